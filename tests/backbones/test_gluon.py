import mxnet as mx
import numpy as np
import pytest

from uniface_mx.backbones import convert, load_trunk, read_source
from uniface_mx.nn.inception import InceptionTrunk
from uniface_mx.nn.normalize import CHANNEL_MEAN, CHANNEL_STD, ChannelNormalize


def filled_trunk(path):
    trunk = InceptionTrunk(same_padding=False, prefix='trunk_')
    load_trunk(trunk, path)
    return trunk


def test_the_trunk_is_the_model_up_to_its_last_map(gluon_model, trunk_file):
    pixels = np.random.uniform(0, 255, (1, 3, 299, 299)).astype(np.float32)
    scaled = (pixels - np.reshape(CHANNEL_MEAN, (3, 1, 1))) / np.reshape(CHANNEL_STD, (3, 1, 1))
    expected, data = [], mx.nd.array(scaled)
    for begin, end in ((0, 10), (10, 15), (15, 18)):
        for layer in list(gluon_model.features)[begin:end]:
            data = layer(data)
        expected.append(data.asnumpy())
    maps = filled_trunk(trunk_file)(ChannelNormalize()(mx.nd.array(pixels)))
    assert [array.shape for array in maps] == [(1, 288, 35, 35), (1, 768, 17, 17), (1, 2048, 8, 8)]
    for array, other in zip(maps, expected):
        assert np.abs(array.asnumpy() - other).max() < 1e-5 * np.abs(other).max()


@pytest.mark.parametrize('manner', ['prefixed', 'stripped', 'exported', 'oldest'])
def test_older_names_give_the_same_weights(manner, gluon_model, gluon_source, tmp_path):
    path = tmp_path / 'old.params'
    if manner == 'exported':
        arrays = {
            ('aux:' if 'running' in name else 'arg:') + name: parameter.data()
            for name, parameter in gluon_model.collect_params().items()
        }
        mx.nd.save(str(path), arrays)
    elif manner == 'oldest':
        arrays = {
            name.replace('_conv', '_conv2d'): parameter.data()
            for name, parameter in gluon_model.collect_params().items()
        }
        mx.nd.save(str(path), arrays)
    else:
        gluon_model.collect_params().save(
            str(path), strip_prefix='inception30_' if manner == 'stripped' else ''
        )
    source = read_source(str(path))
    assert source.classifier_names == ['dense0_weight', 'dense0_bias']
    assert source.unused == []
    expected = convert(gluon_source)
    for name, array in convert(source).items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


@pytest.mark.parametrize(
    'scaling, scale',
    [
        ('symmetric', lambda pixels: pixels / 127.5 - 1),
        ('unit', lambda pixels: pixels / 255),
        (
            'imagenet',
            lambda pixels: (
                (pixels / 255 - np.reshape([0.485, 0.456, 0.406], (3, 1, 1)))
                / np.reshape([0.229, 0.224, 0.225], (3, 1, 1))
            ),
        ),
    ],
)
def test_any_scaling_is_adapted_exactly(scaling, scale, gluon_model, gluon_source):
    """The first unit gives on the graph's scaling what the source's gives on its own, borders included."""
    arrays = convert(gluon_source._replace(scaling=scaling))
    unit = InceptionTrunk(prefix='').stem[0]
    for name, parameter in unit.collect_params().items():
        parameter._load_init(mx.nd.array(arrays[name]), mx.cpu())
    pixels = np.random.uniform(0, 255, (1, 3, 31, 31))
    expected = gluon_model.features[0](mx.nd.array(scale(pixels))).asnumpy()
    actual = unit(ChannelNormalize()(mx.nd.array(pixels))).asnumpy()
    np.testing.assert_allclose(actual, expected, atol=1e-5)
    assert expected.max() > 0.5
