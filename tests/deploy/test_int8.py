import json

import mxnet as mx
import numpy as np
import pytest
from calibrating import face, write

from tools import export as tool
from uniface_mx.deploy import int8
from uniface_mx.deploy.backends import BackendError, Int8Backend
from uniface_mx.deploy.int8 import move_bytes, quantize, without_deconvolutions
from uniface_mx.deploy.predictor import Predictor
from uniface_mx.models import get_model
from uniface_mx.models.files import ManifestError, ModelFiles, named_arrays
from uniface_mx.models.randomize import randomize


@pytest.fixture(scope='module')
def records(tmp_path_factory):
    """Eight photos with two faces each, one damaged, two without a face to take."""
    photos = [[face(0.1, 0.2, 0.2), face(0.5, 0.1, 0.4)] for _ in range(8)]
    photos += [None, [], [face(0.1, 0.1, 0.2, landmarks=0), face(0.2, 0.2, 0.2, ignore=1)]]
    return write(tmp_path_factory.mktemp('records') / 'set', photos)


@pytest.mark.parametrize(
    'options, reason', [([], 'give --calibrate'), (['--calibrate', 'nowhere'], 'nowhere.json: No such file')]
)
def test_the_tool_without_records(tmp_path, capsys, options, reason):
    arguments = f'--model uniface_c_lite --random 0 --out {tmp_path} --int8'.split()
    assert tool.main(arguments + options) == 2
    assert reason in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def small_graph():
    """Two layers with a crop and a change of shape between them, and the crop as an output, too."""
    random = np.random.RandomState(1)
    first = mx.sym.Convolution(mx.sym.var('data'), num_filter=8, kernel=(3, 3), pad=(1, 1), name='first')
    first = mx.sym.Activation(first, act_type='relu')
    cut = mx.sym.slice(first, begin=(None, None, 1, 1), end=(None, None, None, None))
    moved = mx.sym.reshape(cut, shape=(0, 16, 4, 8))
    second = mx.sym.Convolution(moved, num_filter=4, kernel=(1, 1), name='second')
    shapes = {'first_weight': (8, 3, 3, 3), 'first_bias': (8,), 'second_weight': (4, 16, 1, 1)}
    arrays = {
        'arg:' + name: mx.nd.array(random.normal(size=shape))
        for name, shape in dict(shapes, second_bias=(4,)).items()
    }
    return mx.sym.Group([second, cut]), arrays, [{'data': random.normal(size=(2, 3, 9, 9))} for _ in range(3)]


def run(symbol, arrays, inputs):
    arguments = {name[4:]: array for name, array in arrays.items() if name.startswith('arg:')}
    inputs = {name: mx.nd.array(array) for name, array in inputs.items()}
    executor = symbol.bind(mx.cpu(), dict(arguments, **inputs), grad_req='null')
    return [output.asnumpy() for output in executor.forward()]


def operators(symbol):
    return [node['op'] for node in json.loads(symbol.tojson())['nodes'] if node['op'] != 'null']


def test_bytes_are_moved(monkeypatch):
    symbol, arrays, batches = small_graph()
    expected = run(symbol, arrays, batches[0])
    monkeypatch.setattr(int8, 'move_bytes', lambda symbol: symbol)
    plain, quantized = quantize(symbol, arrays, batches)
    moved = move_bytes(plain)
    assert operators(plain).count('_contrib_quantize_v2') == 2
    assert operators(moved).count('_contrib_quantize_v2') == 1
    order = operators(moved)
    assert order.index('slice') < order.index('_contrib_dequantize')
    for found in (run(plain, quantized, batches[0]), run(moved, quantized, batches[0])):
        for one, other in zip(expected, found):
            assert one.shape == other.shape
            assert np.abs(one - other).max() < 0.02 * np.abs(one).max()


@pytest.fixture(scope='module')
def exported(tmp_path_factory, records):
    folder = tmp_path_factory.mktemp('int8')
    options = f'--model uniface_a_lite --random 1 --roi-op align --out {folder} --name lite --split --int8'
    assert tool.main([*options.split(), '--calibrate', records]) == 0
    return folder / 'lite'


def test_without_deconvolutions_is_the_same_network():
    net = get_model('uniface_d_lite')
    randomize(net, 2)
    data = mx.nd.random.uniform(0, 255, (1, 3, 300, 300))
    expected, before = net.detector(data), net.network.recognition_map.deconv
    with without_deconvolutions(net, 144):
        found = net.detector(data)
        assert 'Deconvolution' not in net.detector(mx.sym.var('data'))[1].tojson()
    for one, other in zip(expected, found):
        np.testing.assert_allclose(one.asnumpy(), other.asnumpy(), rtol=1e-4, atol=1e-4)
    assert net.network.recognition_map.deconv is before
    assert not any('phases' in name for name in named_arrays(net))
    coarse = get_model('uniface_c_lite')
    with without_deconvolutions(coarse, 9):
        pass


def test_manifest(exported):
    manifest = ModelFiles(exported).verify()
    assert manifest['int8']['records'] == ['set'] and manifest['int8']['photos'] == 8
    assert 0.99 < manifest['int8']['cosine'] <= 1.00001
    assert {
        f'lite-{part}-int8-{file}' for part in ('trunk', 'faces') for file in ('symbol.json', '0000.params')
    } <= set(manifest['files'])
    assert len(manifest['files']) == 8


def test_what_is_int8(exported):
    trunk = mx.sym.load(f'{exported}-trunk-int8-symbol.json')
    assert 'Deconvolution' not in operators(trunk) and 'Convolution' not in operators(trunk)
    nodes = [node for node in json.loads(trunk.tojson())['nodes'] if node['op'] == '_sg_mkldnn_conv']
    assert len(nodes) > 100 and all(node['attrs']['quantized'] == 'true' for node in nodes)
    # The picture, and the map that is fused out of float32 sums.
    assert operators(trunk).count('_contrib_quantize_v2') == 2
    faces = operators(mx.sym.load(f'{exported}-faces-int8-symbol.json'))
    # What follows the regions is int8 up to the embedding.
    assert faces.count('_contrib_quantized_pooling') == 10 and '_contrib_dequantize' not in faces
    assert faces.count('_sg_mkldnn_conv') == 10 and faces.count('_sg_mkldnn_fully_connected') == 1


def test_module_takes_it(exported):
    symbol, arguments, statistics = mx.model.load_checkpoint(f'{exported}-faces-int8', 0)
    random = np.random.RandomState(0)
    points = [100, 110, 160, 110, 130, 150, 105, 180, 155, 180]
    inputs = {
        'features': random.uniform(0, 2, (2, 32, 144, 144)).astype(np.float32),
        'faces': np.array([[number, 60, 60, 200, 220, *points] for number in range(2)], np.float32),
    }
    module = mx.mod.Module(symbol, data_names=list(inputs), label_names=None)
    module.bind(data_shapes=[(name, array.shape) for name, array in inputs.items()], for_training=False)
    module.set_params(arguments, statistics)
    module.forward(mx.io.DataBatch([mx.nd.array(array) for array in inputs.values()]), is_train=False)
    found = module.get_outputs()[0].asnumpy()
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-4)
    (expected,) = Int8Backend(ModelFiles(exported)).run('faces', inputs)
    np.testing.assert_allclose(found, expected.asnumpy(), atol=1e-5)


def test_the_predictor_loads_it_like_the_others(exported):
    photos = [np.random.RandomState(n).randint(0, 255, (6, 6, 3), dtype=np.uint8) for n in range(9)]
    photos = [np.repeat(np.repeat(photo, 50, axis=0), 50, axis=1) for photo in photos]
    plain = Predictor.load(exported, score_threshold=0.2)
    fast = Predictor.load(exported, 'mxnet-int8', score_threshold=0.2)
    assert (fast.backend, fast.device, fast.identity) == ('mxnet-int8', 'cpu', plain.identity)
    compared = 0
    for expected, found in zip(plain(photos), fast(photos)):
        for one in expected:
            nearest = min(found, key=lambda other: np.abs(one.box - other.box).max(), default=None)
            if nearest is not None and np.abs(one.box - nearest.box).max() < 3:
                assert one.similarity(nearest) > 0.97
                compared += 1
    assert compared >= 20
    alone = [fast(photo) for photo in photos[:2]]
    for faces, others in zip(alone, fast(photos)[:2]):
        np.testing.assert_allclose([one.box for one in faces], [one.box for one in others], atol=1e-2)


def test_damaged_and_left_out(exported, exported_model, tmp_path):
    for path in exported.parent.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    damaged = tmp_path / 'lite-faces-int8-0000.params'
    damaged.write_bytes(damaged.read_bytes()[:-1] + b'x')
    with pytest.raises(ManifestError, match='lite-faces-int8-0000.params: damaged'):
        Predictor.load(tmp_path / 'lite', 'mxnet-int8')
    with pytest.raises(
        BackendError,
        match='export it anew: uniface-export --exported PREFIX --out DIR --split --int8 --calibrate RECORDS',
    ):
        Predictor.load(exported_model, 'mxnet-int8')
