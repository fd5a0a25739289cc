"""A Gluon Inception-v3 with random weights and statistics, in every manner of file."""

import mxnet as mx
import numpy as np
import pytest
from mxnet.gluon.model_zoo.vision import Inception3

from uniface_mx.backbones import read_source, write_trunk


@pytest.fixture(scope='session')
def gluon_model():
    mx.random.seed(0)
    random = np.random.RandomState(0)
    net = Inception3(prefix='inception30_')
    net.infer_shape(mx.nd.zeros((1, 3, 299, 299)))
    net.initialize(mx.init.MSRAPrelu(factor_type='in', slope=0))
    for name, parameter in net.collect_params('.*(gamma|beta|running_mean|running_var)').items():
        low, high = (0.7, 1.3) if name.endswith(('gamma', 'var')) else (-0.2, 0.2)
        parameter.set_data(mx.nd.array(random.uniform(low, high, parameter.shape)))
    return net


@pytest.fixture(scope='session')
def gluon_file(gluon_model, tmp_path_factory):
    path = tmp_path_factory.mktemp('gluon') / 'inceptionv3.params'
    gluon_model.save_parameters(str(path))
    return path


@pytest.fixture(scope='session')
def gluon_source(gluon_file):
    return read_source(str(gluon_file))


@pytest.fixture(scope='session')
def trunk_file(gluon_source, gluon_file, tmp_path_factory):
    path = tmp_path_factory.mktemp('trunk') / 'trunk.params'
    write_trunk(path, gluon_source, gluon_file)
    return path
