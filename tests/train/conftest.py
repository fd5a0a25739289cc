"""Small record sets and a small model for tests of training."""

import pytest
import yaml
from drawn import write_records

from uniface_mx.config.reader import load_config
from uniface_mx.train.build import build_trainer

TINY = {
    'name': 'uniface_a_lite',
    'width': 0.05,
    'extra_channels': [16] * 4,
    'fusion_channels': 16,
    'deconv_channels': [8, 8],
    'face_hidden': 8,
    'landmark_hidden': 8,
}


@pytest.fixture(scope='session')
def records(tmp_path_factory):
    """Sets `faces` (12 photos of 0 to 4 faces) and `negatives` (3 of none)."""
    folder = tmp_path_factory.mktemp('records')
    write_records(folder / 'faces', [1, 2, 4, 1, 3, 2, 1, 4, 1, 2, 3, 1])
    write_records(folder / 'negatives', [0, 0, 0], seed=1)
    return folder


@pytest.fixture
def configuration(records, tmp_path):
    """A function that gives a small configuration, changed by settings `section.key=value`."""
    content = {
        'model': TINY,
        'data': {
            'root': str(records),
            'train': [{'path': 'faces'}, {'path': 'negatives', 'tile': 0}],
            'workers': 0,
            'max_faces': 8,
        },
        'optimizer': {'learning_rate': 0.005, 'clip_gradient': 5.0},
        'schedule': {'name': 'constant'},
        'losses': {'contrast': 0.3, 'contrast_bank': 16},
        'training': {
            'iterations': 4,
            'batch_size': 4,
            'log_every': 1,
            'checkpoint_every': 2,
            'tensorboard': False,
        },
    }
    path = tmp_path / 'tiny.yaml'
    path.write_text(yaml.safe_dump(content))

    def configure(*settings):
        return load_config(path, settings)

    configure.path = path
    return configure


@pytest.fixture
def build(configuration, tmp_path):
    """A function that gives the trainer of a small configuration, whose run is a folder of `tmp_path`."""
    built = []

    def make(*settings, run='run', resume=False):
        built.append(build_trainer(configuration(*settings), tmp_path / run, resume))
        return built[-1]

    yield make
    for trainer in built:
        trainer.log.close()
