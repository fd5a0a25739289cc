import mxnet as mx
import numpy as np
import pytest

from uniface_mx import get_model as public_get_model
from uniface_mx.errors import UnifaceError
from uniface_mx.models import PRESETS, get_model
from uniface_mx.models.cost import count
from uniface_mx.models.files import named_arrays
from uniface_mx.models.randomize import randomize
from uniface_mx.models.uniface import inference_graphs

FULL, LITE = (['uniface_' + letter for letter in 'abcd'], [f'uniface_{letter}_lite' for letter in 'abcd'])


@pytest.fixture(scope='module')
def graphs():
    return {name: inference_graphs(get_model(name)) for name in PRESETS}


@pytest.fixture(scope='module')
def costs(graphs):
    return {name: (count(parts['trunk']), count(parts['faces'])) for name, parts in graphs.items()}


def test_names():
    assert sorted(PRESETS) == sorted(FULL + LITE)
    assert type(public_get_model('uniface_c_lite')) is type(get_model('uniface_c_lite'))


@pytest.mark.parametrize('name', sorted(PRESETS))
def test_shapes(graphs, name):
    whole, trunk, faces = (graphs[name][part] for part in ('whole', 'trunk', 'faces'))
    assert whole.symbol.infer_shape(data=(4, 3, 300, 300))[1] == [(4, 16, 15), (4, 16, 128)]
    channels = {'c': 1024 if 'lite' not in name else 256}.get(name[8], 64 if 'lite' not in name else 32)
    side = 9 if name[8] == 'c' else 144
    assert trunk.symbol.infer_shape(data=(4, 3, 300, 300))[1] == [(4, 16, 15), (4, channels, side, side)]
    assert faces.symbol.infer_shape(features=(4, channels, side, side), faces=(7, 15))[1] == [(7, 128)]


def test_multiply_adds_of_the_design(costs):
    image, face = costs['uniface_a']
    assert image.multiply_adds == pytest.approx(8.4e9, rel=0.02)
    assert face.multiply_adds == pytest.approx(0.22e9, rel=0.02)


@pytest.mark.parametrize('ending, most', [('', 0.001), ('_lite', 0.021)])
def test_recognition_of_d_is_as_large_as_of_a(costs, ending, most):
    a, d = (costs[f'uniface_{letter}{ending}'][1].parameters for letter in 'ad')
    assert abs(d / a - 1) < most


def test_lite_is_small(costs, graphs):
    image, face = costs['uniface_a_lite']
    assert image.parameters + face.parameters <= 3.8e6
    for full, lite in zip(costs['uniface_a'], costs['uniface_a_lite']):
        assert full.multiply_adds >= 5 * lite.multiply_adds
    symbol = graphs['uniface_a_lite']['whole'].symbol
    shapes = symbol.infer_shape(data=(1, 3, 300, 300))
    assert 4 * sum(int(np.prod(shape)) for shape in shapes[0] + shapes[2]) < 16e6


def test_pretrained_names_what_ships():
    with pytest.raises(UnifaceError, match='uniface_b.json: no such manifest; .* ships trained'):
        get_model('uniface_b', pretrained=True)


@pytest.mark.parametrize('rule', [{'normalization': 'image'}, {'count_include_pad': False}])
def test_pretrained_weights_have_their_own_rules(rule):
    (key,) = rule
    with pytest.raises(UnifaceError, match=f'uniface_a_lite: its weights were trained with {key} '):
        get_model('uniface_a_lite', pretrained=True, **rule)


def learned_by(symbol):
    return {
        name
        for name in symbol.list_arguments() + symbol.list_auxiliary_states()
        if name not in ('data', 'decoder_anchors')
    }


@pytest.mark.parametrize('name', sorted(PRESETS))
def test_only_b_shares_nothing(graphs, name):
    detections, features = graphs[name]['trunk'].symbol
    shared = learned_by(detections) & learned_by(features)
    assert bool(shared) == (name[8] != 'b')
    faces = learned_by(graphs[name]['faces'].symbol) - {'features', 'faces'}
    assert not faces & (learned_by(detections) | learned_by(features))


def test_overrides():
    net = get_model('uniface_a_lite', max_faces=3, scales_per_level=2, roi_op='align', normalization='image')
    assert net.anchors.shape == (10440, 4)
    assert inference_graphs(net)['whole'].symbol.infer_shape(data=(2, 3, 300, 300))[1] == [
        (2, 3, 15),
        (2, 3, 128),
    ]


@pytest.mark.parametrize(
    'name, overrides, message',
    [
        ('uniface_e', {}, "unknown model 'uniface_e'.*valid names: uniface_a, uniface_a_lite"),
        ('', {}, 'valid names'),
        ('uniface_a', {'roi_opp': 'pool'}, "no argument 'roi_opp', did you mean 'roi_op'"),
        ('uniface_a', {'roi_op': 'crop'}, "roi_op is 'crop'; choose one of align, pool"),
        ('uniface_a', {'normalization': 'none'}, "normalization is 'none'; choose one of channel, image"),
        ('uniface_a', {'max_faces': 0}, 'max_faces is 0; choose whole numbers from 1 to 400'),
        ('uniface_a', {'max_faces': 401}, 'max_faces is 401'),
        ('uniface_a', {'max_faces': 'many'}, "max_faces is 'many'"),
        ('uniface_a', {'width': -1}, 'width is -1; choose numbers from 0.05 to 2'),
        ('uniface_a', {'width': float('nan')}, 'width is nan'),
        ('uniface_a', {'scales_per_level': 0}, 'scales_per_level is 0; choose whole numbers from 1 to 2'),
        ('uniface_a', {'scales_per_level': 1.0}, 'scales_per_level is 1.0'),
        ('uniface_a', {'face_hidden': True}, 'face_hidden is True; choose whole numbers from 1 on'),
        ('uniface_a', {'deconv_channels': (128, 0)}, r'deconv_channels is \(128, 0\); choose whole numbers'),
        ('uniface_a', {'deconv_channels': ()}, r'deconv_channels is \(\)'),
        ('uniface_a', {'aspect_ratios': (0.8, -1)}, r'aspect_ratios is \(0.8, -1\); .* from 0.1 to 10'),
        ('uniface_a', {'iou_threshold': 1.5}, 'iou_threshold is 1.5; choose numbers from 0 to 1'),
        ('uniface_a', {'anchor_heights': (24, 48)}, 'anchor_heights has 2 heights; .* each of the 7 levels'),
        ('uniface_a', {'extra_channels': (64,)}, 'anchor_heights has 7 heights; .* each of the 4 levels'),
        (None, {}, 'unknown model None; valid names'),
    ],
)
def test_errors(name, overrides, message):
    with pytest.raises(UnifaceError, match=message):
        get_model(name, **overrides)


@pytest.fixture(scope='module', params=LITE)
def lite(request):
    net = get_model(request.param)
    randomize(net, seed=1)
    return net


def test_gradient_reaches_every_weight(lite):
    faces = mx.nd.array([[0, 60, 60, 200, 220, 100, 110, 160, 110, 130, 150, 105, 180, 155, 180]])
    for parameter in lite.collect_params().values():
        parameter.zero_grad()
    with mx.autograd.record():
        *outputs, features = lite.network(mx.nd.random.uniform(0, 255, (1, 3, 300, 300)))
        outputs.append(lite.recognition(features, faces))
        loss = sum((output**2).sum() for output in outputs)
    loss.backward()
    trainable = {
        name: parameter for name, parameter in lite.collect_params().items() if parameter.grad_req != 'null'
    }
    assert len(trainable) > 280
    assert [
        name for name, parameter in trainable.items() if not parameter.grad().abs().max().asscalar() > 0
    ] == []


def test_finite_whatever_the_picture(lite):
    for value in (0, 255, 1e6):
        data = mx.nd.full((1, 3, 300, 300), value)
        detections, embeddings = (output.asnumpy() for output in lite(data))
        assert np.isfinite(detections).all() and np.isfinite(embeddings).all()


def test_no_face_and_more_faces_than_rows():
    net = get_model('uniface_a_lite', max_faces=2)
    randomize(net, seed=1)
    data = mx.nd.random.uniform(0, 255, (2, 3, 300, 300))
    detections, embeddings = (output.asnumpy() for output in net(data))
    assert np.all(detections[..., 0] > 0) and np.allclose(np.linalg.norm(embeddings, axis=2), 1, atol=1e-5)
    for head in net.network.heads.heads:
        head.bias.set_data(mx.nd.array(np.tile([50.0] + [0] * 15, 3)))
    detections, embeddings = (output.asnumpy() for output in net(data))
    assert np.all(detections == -1) and np.all(embeddings == 0)


def test_one_cell_answers_with_its_anchor():
    """One anchor of the coarsest level is biased: it is the face, and its landmarks are in its middle."""
    net = get_model('uniface_a_lite')
    randomize(net, seed=1)
    for head in net.network.heads.heads:
        head.weight.set_data(head.weight.data() * 0)
        head.bias.set_data(mx.nd.array(np.tile([50.0] + [0] * 15, 3)))
    bias = np.tile([50.0] + [0] * 15, 3)
    bias[16] = -50
    net.network.heads.heads[6].bias.set_data(mx.nd.array(bias))
    detections = net(mx.nd.zeros((1, 3, 300, 300)))[0].asnumpy()[0]
    assert np.allclose(detections[0], [1, 33.5, 4.5, 265.5, 294.5] + [149.5] * 10, atol=1e-3)
    assert np.all(detections[1:] == -1)
    assert np.allclose(net.anchors[-2], detections[0, 1:5], atol=1e-3)


def test_module_training_leaves_the_anchors_alone():
    net = get_model('uniface_a_lite')
    randomize(net, seed=1)
    logits, boxes, landmarks, _ = net.network(mx.sym.var('data'))
    boxes, landmarks = net.decoder(boxes, landmarks)
    loss = mx.sym.MakeLoss(mx.sym.sum(logits) + mx.sym.sum(boxes) + mx.sym.sum(landmarks))
    arrays = {name.split(':')[1]: array for name, array in named_arrays(net).items()}
    module = mx.mod.Module(loss, data_names=['data'], label_names=None)
    data = np.random.RandomState(0).uniform(0, 255, (1, 3, 300, 300))
    module.bind(data_shapes=[('data', data.shape)])
    module.set_params(
        {name: arrays[name] for name in loss.list_arguments() if name != 'data'},
        {name: arrays[name] for name in loss.list_auxiliary_states()},
    )
    module.init_optimizer(
        optimizer='sgd', optimizer_params={'learning_rate': 1e-6, 'wd': 1000.0, 'momentum': 0.9}
    )
    for _ in range(2):
        module.forward_backward(mx.io.DataBatch([mx.nd.array(data)]))
        module.update()
    arguments, _ = module.get_params()
    assert np.array_equal(arguments['decoder_anchors'].asnumpy(), arrays['decoder_anchors'].asnumpy())
    weight = 'heads_level0_weight'
    assert not np.allclose(arguments[weight].asnumpy(), arrays[weight].asnumpy(), rtol=1e-4)
