import mxnet as mx
import numpy as np
import pytest

from uniface_mx.nn.conv import as_convolutions, deconv_unit


def unit(channels, inputs, seed=0):
    random = np.random.RandomState(seed)
    block = deconv_unit('up', channels)
    block.initialize()
    block(mx.nd.zeros((1, inputs, 2, 2)))
    for parameter in block.collect_params().values():
        parameter.set_data(mx.nd.array(random.uniform(0.2, 1, parameter.shape)))
    block[0].weight.set_data(mx.nd.array(random.normal(size=block[0].weight.shape)))
    return block


def test_by_hand():
    """One pixel of 1 leaves the kernel itself, where nothing is cut off or negative."""
    block = unit(1, 1)
    for name, value in (('gamma', 1), ('beta', 0), ('running_mean', 0), ('running_var', 1 - 1e-3)):
        getattr(block[1], name).set_data(mx.nd.array([value]))
    kernel = np.arange(1, 17, dtype=np.float32).reshape(1, 1, 4, 4)
    block[0].weight.set_data(mx.nd.array(kernel))
    data = mx.nd.zeros((1, 1, 3, 3))
    data[0, 0, 1, 1] = 1
    output = as_convolutions(block, 6)(data).asnumpy()[0, 0]
    np.testing.assert_allclose(output[1:5, 1:5], kernel[0, 0], rtol=1e-6)
    assert np.count_nonzero(output) == 16


@pytest.mark.parametrize('batch, inputs, channels, side', [(1, 3, 2, 2), (2, 5, 4, 10), (3, 1, 1, 14)])
def test_the_same_as_the_deconvolution(batch, inputs, channels, side):
    block = unit(channels, inputs, seed=side)
    data = mx.nd.random.normal(shape=(batch, inputs, side // 2, side // 2))
    expected = block(data).asnumpy()
    assert expected.shape == (batch, channels, side, side) and 0.1 < np.mean(expected > 0) < 0.98
    np.testing.assert_allclose(as_convolutions(block, side)(data).asnumpy(), expected, rtol=1e-5, atol=1e-5)


def test_as_a_graph():
    block = as_convolutions(unit(4, 3), 8)
    data = mx.nd.random.normal(shape=(2, 3, 4, 4))
    symbol = block(mx.sym.var('data'))
    assert not any('Deconvolution' in line for line in symbol.tojson().splitlines())
    arguments = {name: parameter.data() for name, parameter in block.collect_params().items()}
    executor = symbol.bind(mx.cpu(), dict(arguments, data=data), grad_req='null')
    np.testing.assert_allclose(executor.forward()[0].asnumpy(), block(data).asnumpy(), rtol=1e-6)
