import mxnet as mx
import numpy as np
import pytest

from uniface_mx.nn.inception import InceptionTrunk, scale_channels
from uniface_mx.nn.pathways import BottomUp, CoarseMap, TopDown


def shapes(block, side, batch=1):
    """Shapes of the outputs, inferred, not computed."""
    outputs = block(mx.sym.var('data'))
    return mx.sym.Group(list(outputs)).infer_shape(data=(batch, 3, side, side))[1]


@pytest.fixture(scope='module')
def images():
    return mx.nd.array(np.random.RandomState(0).uniform(-2, 2, (1, 3, 75, 75)))


@pytest.mark.parametrize(
    'options, side, expected',
    [
        ({}, 300, [(1, 288, 36, 36), (1, 768, 18, 18), (1, 2048, 9, 9)]),
        ({'same_padding': False}, 300, [(1, 288, 35, 35), (1, 768, 17, 17), (1, 2048, 8, 8)]),
        ({'same_padding': False}, 299, [(1, 288, 35, 35), (1, 768, 17, 17), (1, 2048, 8, 8)]),
        ({'width': 0.25}, 300, [(1, 80, 36, 36), (1, 192, 18, 18), (1, 512, 9, 9)]),
    ],
)
def test_shapes(options, side, expected):
    assert shapes(InceptionTrunk(**options), side) == expected


def test_channels_are_multiples_of_16():
    few = [scale_channels(channels, 0.25) for channels in (32, 64, 80, 96, 192, 320, 448)]
    assert few == [16, 16, 16, 32, 48, 80, 112]
    assert [scale_channels(channels, 1) for channels in (32, 80, 448)] == [32, 80, 448]


def test_padding_and_pooling_rule_change_no_weight():
    blocks = [
        InceptionTrunk(prefix='trunk_', **options)
        for options in ({}, {'same_padding': False}, {'count_include_pad': False})
    ]
    for block in blocks:
        block.infer_shape(mx.nd.zeros((1, 3, 300, 300)))
    first, *others = [
        {name: parameter.shape for name, parameter in block.collect_params().items()} for block in blocks
    ]
    assert len(first) == 94 * 5
    assert all(other == first for other in others)


def test_weights_are_those_of_gluons_inception():
    """Layer by layer the shapes of Gluon's own Inception-v3, in its order, but for its classifier."""
    trunk, stock = InceptionTrunk(), mx.gluon.model_zoo.vision.inception_v3()
    for block, side in ((trunk, 300), (stock, 299)):
        block.infer_shape(mx.nd.zeros((1, 3, side, side)))

    def kernels(block):
        return [
            parameter.shape
            for parameter in block.collect_params('.*weight').values()
            if len(parameter.shape) == 4
        ]

    assert kernels(trunk) == kernels(stock)


def test_pooling_rules_differ_only_at_the_border(images):
    counted, uncounted = (
        InceptionTrunk(0.1, count_include_pad=rule, prefix='trunk_') for rule in (True, False)
    )
    counted.initialize(mx.init.Xavier())
    expected = counted.stem(images)
    pool = [block._step('0', 'average pool')(expected).asnumpy() for block in (counted, uncounted)]
    assert np.allclose(pool[0][..., 1:-1, 1:-1], pool[1][..., 1:-1, 1:-1], rtol=1e-5)
    assert np.allclose(pool[0][..., 0, 1:-1] * 1.5, pool[1][..., 0, 1:-1], rtol=1e-5)
    assert np.allclose(pool[0][..., 0, 0] * 9 / 4, pool[1][..., 0, 0], rtol=1e-5)


def test_seven_levels():
    net = BottomUp(InceptionTrunk(0.25), (128, 64, 64, 64))
    channels, sides = (80, 192, 512, 128, 64, 64, 64), (36, 18, 9, 5, 3, 2, 1)
    assert [shape[1:] for shape in shapes(net, 300)] == list(zip(channels, sides, sides))


@pytest.fixture(scope='module')
def levels():
    random = np.random.RandomState(0)
    return [mx.nd.array(random.normal(size=(2, 4, side, side))) for side in (36, 18, 9, 5, 3, 2, 1)]


def test_equation_1_by_numpy(levels):
    """Without the deconvolutions: every level, doubled and cut to 36x36, is added once."""
    net = TopDown(7, 3, ())
    net.initialize(mx.init.Normal(1))
    output = net(*levels).asnumpy()
    fused = 0
    for level, conv in reversed(list(zip(levels, net.lateral))):
        weight, bias = conv.weight.data().asnumpy()[:, :, 0, 0], conv.bias.data().asnumpy()
        side = level.shape[2]
        if np.ndim(fused):
            fused = np.repeat(np.repeat(fused, 2, axis=2), 2, axis=3)[:, :, :side, :side]
        fused = fused + np.einsum('oc,nchw->nohw', weight, level.asnumpy()) + bias[:, None, None]
    assert np.allclose(output, fused, rtol=1e-4, atol=1e-4)


def test_recognition_maps(levels):
    for net, shape in ((TopDown(7, 8, (6, 5)), (2, 5, 144, 144)), (CoarseMap(2, 10), (2, 10, 9, 9))):
        net.initialize()
        assert net(*levels).shape == shape
