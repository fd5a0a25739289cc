import mxnet as mx
import numpy as np

from uniface_mx.nn.normalize import ChannelNormalize, ImageNormalize


def test_channel_by_hand():
    pixel = np.array([123.675, 116.28 + 57.12, 103.53 - 2 * 57.375], np.float32).reshape(1, 3, 1, 1)
    assert np.allclose(ChannelNormalize()(mx.nd.array(pixel)).asnumpy().ravel(), [0, 1, -2], atol=1e-5)
    assert not list(ChannelNormalize().collect_params().keys())


def test_image_has_mean_0_and_deviation_1_each_by_itself():
    images = np.random.RandomState(0).uniform(0, 255, (2, 3, 20, 20)) * np.array([1, 0.1]).reshape(2, 1, 1, 1)
    result = ImageNormalize()(mx.nd.array(images)).asnumpy()
    assert np.allclose(result.mean(axis=(1, 2, 3)), 0, atol=1e-5)
    assert np.allclose(result.std(axis=(1, 2, 3)), 1, atol=1e-4)


def test_an_image_of_one_colour_is_finite():
    assert np.allclose(ImageNormalize()(mx.nd.full((1, 3, 8, 8), 77)).asnumpy(), 0)
