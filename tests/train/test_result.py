import mxnet as mx
import numpy as np
import pytest

from tools import export
from uniface_mx.models import get_model
from uniface_mx.models.files import named_arrays
from uniface_mx.models.randomize import randomize
from uniface_mx.train import TrainError
from uniface_mx.train.checkpoint import Checkpoint, Checkpoints
from uniface_mx.train.result import load_run

SMALL = {'width': 0.1, 'fusion_channels': 16, 'deconv_channels': (16, 8), 'extra_channels': (32, 16, 16, 16)}
MEAN = np.linspace(-1, 1, 128).tolist()


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """Two checkpoints, of which the first is the better, with different weights."""
    folder = tmp_path_factory.mktemp('run')
    checkpoints, arrays = Checkpoints(folder), {}
    for iteration in (10, 20):
        net = get_model('uniface_a_lite', **SMALL)
        randomize(net, iteration)
        arrays[iteration] = {name: array.asnumpy() for name, array in named_arrays(net).items()}
        state = {
            'model': 'uniface_a_lite',
            'mean_embedding': MEAN,
            'teachers': {},
            'records': {},
            'config': {
                'model': dict(SMALL, name='uniface_a_lite', max_faces=None),
                'data': {'root': '/my/records', 'workers': 1},
            },
            'best': {'iteration': 10, 'value': 1.0},
            'meter': {'totals': {'faces': 7 * iteration}},
        }
        checkpoints.save(
            Checkpoint(iteration, named_arrays(net), {'momentum:x': mx.nd.zeros(1)}, state), best=10
        )
    return folder, arrays


@pytest.mark.parametrize('which, iteration', [('best', 10), ('last', 20)])
def test_weights_and_origin_of_a_run(run, which, iteration):
    folder, arrays = run
    model = load_run(folder, which, max_faces=3)
    assert model.name == 'uniface_a_lite' and model.net.max_faces == 3
    assert model.details['training']['iteration'] == iteration
    assert model.details['training']['views'] == 7 * iteration
    assert model.details['training']['config']['data'] == {'workers': 1}
    np.testing.assert_allclose(model.mean, MEAN, atol=1e-7)
    for name, array in named_arrays(model.net).items():
        np.testing.assert_array_equal(array.asnumpy(), arrays[iteration][name])


def test_export_of_a_run_folds_the_mean_embedding(run, tmp_path, capsys):
    folder, arrays = run
    assert export.main(['--run', str(folder), '--out', str(tmp_path)]) == 0
    written = mx.nd.load(str(tmp_path / 'uniface_a_lite-0000.params'))[
        'arg:recognition_embedding_bias'
    ].asnumpy()
    np.testing.assert_allclose(
        written, arrays[10]['arg:recognition_embedding_bias'] - np.float32(MEAN), atol=1e-6
    )


def test_a_folder_without_a_run(tmp_path, capsys):
    with pytest.raises(TrainError, match='no checkpoint'):
        load_run(tmp_path)
    assert export.main(['--run', str(tmp_path), '--out', str(tmp_path / 'out')]) == 2
    assert 'no checkpoint' in capsys.readouterr().err
