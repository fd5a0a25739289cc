"""Weights to begin with: small outputs, the mean embedding, and a top-down pathway that carries faces."""

import mxnet as mx
import numpy as np
import pytest

from uniface_mx import get_model
from uniface_mx.train.start import bilinear_taps, initialize


@pytest.fixture(scope='module')
def net():
    net = get_model('uniface_a_lite')
    initialize(net, [mx.cpu()], 3, np.arange(128, dtype=np.float32))
    return net


def deviation(net, name):
    return float(net.collect_params()[name].data().asnumpy().std())


def test_taps():
    assert np.allclose(bilinear_taps(4)[1], [0.1875, 0.5625, 0.5625, 0.1875])
    assert np.allclose(bilinear_taps(2), np.full((2, 2), 0.25))


def test_taps_interpolate():
    """A ramp stays a ramp: outputs lie a quarter of a cell beside the cells, on both sides."""
    ramp = mx.nd.array(np.arange(6.0).reshape(1, 1, 1, 6) * np.ones((1, 1, 6, 1)))
    out = mx.nd.Deconvolution(
        ramp,
        mx.nd.array(bilinear_taps(4)[None, None]),
        kernel=(4, 4),
        stride=(2, 2),
        pad=(1, 1),
        num_filter=1,
        no_bias=True,
    )
    assert np.allclose(out[0, 0, 6, 1:-1].asnumpy(), np.arange(0.25, 5, 0.5))


def test_top_down(net):
    deconvolution = net.collect_params()['topdown_up0_deconv_weight'].data().asnumpy()
    mixing = deconvolution[:, :, :1, :1] / bilinear_taps(4)[0, 0]
    assert np.allclose(deconvolution, mixing * bilinear_taps(4), atol=1e-6)
    assert mixing.std() == pytest.approx(np.sqrt(2 / 64), rel=0.1)
    assert deviation(net, 'topdown_lateral0_weight') == pytest.approx(np.sqrt(2 / 80), rel=0.05)
    assert deviation(net, 'topdown_lateral1_weight') == pytest.approx(0.1 * np.sqrt(2 / 192), rel=0.05)


def test_outputs(net):
    assert deviation(net, 'heads_level0_weight') == pytest.approx(0.01, rel=0.05)
    assert deviation(net, 'recognition_embedding_weight') == pytest.approx(0.0001, rel=0.05)
    assert np.array_equal(net.recognition.embedding.bias.data().asnumpy(), np.arange(128))


def test_a_seed_gives_the_same_weights(net):
    other = get_model('uniface_a_lite')
    initialize(other, [mx.cpu()], 3)
    name = 'topdown_up1_deconv_weight'
    assert np.array_equal(
        net.collect_params()[name].data().asnumpy(), other.collect_params()[name].data().asnumpy()
    )
