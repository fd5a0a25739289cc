"""Fixtures of all tests: the real data where it exists, and fixed seeds."""

import os

os.environ.setdefault('OMP_NUM_THREADS', '1')

import random
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from uniface_mx.paths import data_root

# Lets tests import what lies beside this file.
sys.path.append(str(Path(__file__).resolve().parent))

# No test is timed: a busy machine proves nothing.
settings.register_profile('untimed', deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile('untimed')


class RealData(type(Path())):
    """A path below the real data; the test is skipped where it leads to nothing."""

    def __truediv__(self, name):
        path = super().__truediv__(name)
        if not path.exists():
            pytest.skip(f'no {path}: set UNIFACE_DATA')
        return path


@pytest.fixture(scope='session')
def real_data():
    """The folder of real data; the test is skipped where there is none, or not what it looks for."""
    root = RealData(data_root())
    if not root.is_dir():
        pytest.skip(f'no real data at {root}: set UNIFACE_DATA')
    return root


@pytest.fixture(autouse=True)
def seeds():
    """The same random numbers for a test, whatever ran before it."""
    import mxnet as mx

    random.seed(0)
    np.random.seed(0)
    mx.random.seed(0)


@pytest.fixture(scope='session')
def exported_model(tmp_path_factory):
    """Prefix of an exported uniface_a_lite with random weights, as a whole and in halves, for MXNet and ONNX."""
    from uniface_mx.deploy.export import export_model
    from uniface_mx.models import get_model
    from uniface_mx.models.randomize import randomize

    folder = tmp_path_factory.mktemp('exported')
    net = get_model('uniface_a_lite', roi_op='align')
    randomize(net, 1)
    export_model(net, 'lite', folder, split=True, onnx=True, details={'thresholds': {'verification': 0.3}})
    return folder / 'lite'
