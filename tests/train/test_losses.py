from __future__ import annotations

import subprocess
import sys

import mxnet as mx
import numpy as np
import pytest

from uniface_mx.train.losses import ContrastLoss, DetectionLoss, MimicLoss, Terms, count_terms, total

SOFTPLUS_1, SOFTPLUS_2, SOFTPLUS_3 = 1.3132617, 2.1269280, 3.0485874  # log(1 + e^x)


def gradients(loss, inputs, constants):
    """Outputs of a loss, and the gradients of their sum with respect to the inputs, all in NumPy."""
    arrays = [mx.nd.array(value) for value in inputs]
    for array in arrays:
        array.attach_grad()
    with mx.autograd.record():
        outputs = loss(*arrays, *map(mx.nd.array, constants))
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        mx.nd.add_n(*outputs).backward()
    return [float(value.asscalar()) for value in outputs], [array.grad.asnumpy() for array in arrays]


def detection(
    classes,
    margins=None,
    boxes=None,
    landmarks=None,
    box_targets=None,
    landmark_targets=None,
    landmark_mask=None,
):
    """Inputs and constants of the detection loss; what is not given is 0, and all faces have landmarks."""
    classes = np.asarray(classes, np.float32)
    logits = np.zeros(classes.shape + (2,), np.float32)
    if margins is not None:
        logits[..., 0], logits[..., 1] = 0.25, np.asarray(margins) + 0.25

    def filled(value, width):
        return np.asarray(np.zeros(classes.shape + (width,)) if value is None else value, np.float32)

    mask = np.asarray(classes == 1 if landmark_mask is None else landmark_mask, np.float32)
    return (
        [logits, filled(boxes, 4), filled(landmarks, 10)],
        [classes, filled(box_targets, 4), filled(landmark_targets, 10), mask],
    )


def random_detection(images=4, anchors=40, seed=0):
    rng = np.random.RandomState(seed)
    classes = rng.choice([-1, 0, 1], (images, anchors), p=[0.1, 0.8, 0.1]).astype(np.float32)
    classes[0][classes[0] == 1] = 0
    margins, boxes, landmarks, box_targets, landmark_targets = (
        rng.randn(*classes.shape, *width) for width in ((), (4,), (10,), (4,), (10,))
    )
    return detection(
        classes,
        margins,
        boxes,
        landmarks,
        box_targets,
        landmark_targets,
        (classes == 1) * (rng.rand(*classes.shape) < 0.7),
    )


def numeric_gradient(loss, inputs, constants, which, step=1e-2):
    """Central differences of the sum of a loss's outputs."""
    result = np.zeros_like(inputs[which])
    for index in np.ndindex(*result.shape):
        values = []
        for sign in (1, -1):
            moved = [value.copy() for value in inputs]
            moved[which][index] += sign * step
            values.append(sum(gradients(loss, moved, constants)[0]))
        result[index] = (values[0] - values[1]) / (2 * step)
    return result


# Classification


def test_classification_takes_three_hardest_negatives_a_matched_anchor():
    # One face (margin -1), one ignored anchor (the hardest of all), negatives 3, -5, 2, 1, -1.
    inputs, constants = detection([[0, 1, 0, -1, 0, 0, 0]], [[3, -1, -5, 9, 2, 1, -1]])
    (classification, box, landmarks), (gradient, _, _) = gradients(DetectionLoss(), inputs, constants)
    assert classification == pytest.approx(SOFTPLUS_1 + SOFTPLUS_3 + SOFTPLUS_2 + SOFTPLUS_1, rel=1e-5)
    assert box == landmarks == 0
    # Softmax minus truth, 0 for what is not taught.
    sigmoid = [0.9525741, -0.7310586, 0, 0, 0.8807971, 0.7310586, 0]
    np.testing.assert_allclose(gradient[0, :, 1], sigmoid, atol=1e-5)
    np.testing.assert_allclose(gradient[0, :, 0], np.negative(sigmoid), atol=1e-5)


def test_negatives_are_chosen_image_by_image():
    # The second image's easy negatives are taught for its own face, though the first image has harder ones.
    inputs, constants = detection([[1, 0, 0, 0, 0], [1, 0, 0, 0, 0]], [[0, 3, 3, 3, 3], [0, 1, 1, 1, 1]])
    (classification, _, _), (gradient, _, _) = gradients(DetectionLoss(), inputs, constants)
    assert classification == pytest.approx(2 * np.log(2) + 3 * SOFTPLUS_3 + 3 * SOFTPLUS_1, rel=1e-5)
    assert np.count_nonzero(gradient[0, 1:, 1]) == np.count_nonzero(gradient[1, 1:, 1]) == 3


@pytest.mark.parametrize('anchors, quota', [(30, 12), (12, 12), (5, 5)])
def test_an_image_without_faces_teaches_its_hardest_negatives(anchors, quota):
    inputs, constants = detection(np.zeros((1, anchors)), np.zeros((1, anchors)))
    (classification, _, _), (gradient, _, _) = gradients(DetectionLoss(), inputs, constants)
    assert classification == pytest.approx(quota * np.log(2), rel=1e-5)
    assert np.count_nonzero(gradient[..., 1]) == quota


def test_negative_ratio_and_faceless():
    inputs, constants = detection([[1, 0, 0, 0, 0], [0, 0, 0, 0, 0]], np.zeros((2, 5)))
    (classification, _, _), _ = gradients(DetectionLoss(negative_ratio=2, faceless=1), inputs, constants)
    assert classification == pytest.approx((1 + 2 + 2) * np.log(2), rel=1e-5)


def test_an_image_of_ignored_anchors_teaches_nothing():
    inputs, constants = detection(-np.ones((1, 6)), np.full((1, 6), 5.0))
    sums, found = gradients(DetectionLoss(), inputs, constants)
    assert sums == [0, 0, 0] and not any(value.any() for value in found)


def test_extreme_logits_stay_finite():
    inputs, constants = detection([[1, 1, 0, 0]], [[-3e4, 3e4, 3e4, -3e4]])
    (classification, _, _), found = gradients(DetectionLoss(), inputs, constants)
    assert classification == pytest.approx(6e4)
    assert all(np.isfinite(value).all() for value in found)


# Boxes and landmarks


def test_box_and_landmark_literals():
    boxes, landmarks = np.zeros((1, 3, 4)), np.zeros((1, 3, 10))
    box_targets, landmark_targets = np.zeros((1, 3, 4)), np.zeros((1, 3, 10))
    boxes[0, 0], box_targets[0, 0] = [1.5, 0, -1, 3], [1, 0, 2, 2]  # 0.125, 0, 2.5, 0.5
    boxes[0, 1] = 100  # background: not taught
    landmarks[0, 0, :3], landmark_targets[0, 0, 2] = [0.2, -4, 1], 0.5  # 0.02, 3.5, 0.125
    landmarks[0, 2] = 100  # a face without landmarks
    inputs, constants = detection(
        [[1, 0, 1]], None, boxes, landmarks, box_targets, landmark_targets, landmark_mask=[[1, 0, 0]]
    )
    (_, box, points), (_, box_gradient, point_gradient) = gradients(DetectionLoss(), inputs, constants)
    assert box == pytest.approx(3.125, rel=1e-6) and points == pytest.approx(3.645, rel=1e-6)
    np.testing.assert_allclose(box_gradient[0], [[0.5, 0, -1, 1], [0] * 4, [0] * 4], rtol=1e-6)
    np.testing.assert_allclose(point_gradient[0, 0, :4], [0.2, -1, 0.5, 0], rtol=1e-6)
    assert not point_gradient[0, 1:].any()


def test_a_face_without_landmarks_is_masked_out_of_the_landmark_term_only():
    inputs, constants = detection(
        [[1, 0]], [[-1, -1]], np.ones((1, 2, 4)), np.ones((1, 2, 10)), landmark_mask=[[0, 0]]
    )
    (classification, box, points), (logits, boxes, landmarks) = gradients(DetectionLoss(), inputs, constants)
    assert points == 0 and not landmarks.any()
    assert box == 2 and boxes[0, 0].all() and not boxes[0, 1].any()
    assert classification == pytest.approx(SOFTPLUS_1 + np.log1p(np.exp(-1)), rel=1e-5) and logits[0, 0].all()


# Recognition


def test_mimic_literal():
    embeddings, teacher = np.array([[1, 2], [0, 0], [5, 5]]), np.array([[0, 4], [3, 0], [0, 0]])
    (loss,), (gradient,) = gradients(MimicLoss(), [embeddings], [teacher, [1, 1, 0]])
    assert loss == 14  # 1 + 4 and 9; the last is padding
    np.testing.assert_array_equal(gradient, [[2, -4], [-6, 0], [0, 0]])


def test_contrast_literal():
    # Minus the mean (1, 1) and at unit length: embedding (0.6, 0.8), teacher (1, 0); others (0, 1), (-1, 0),
    # and (0.8, 0.6), which is nearer than 0.5 to the teacher and left out. Cosines 0.6 | 0.8, -0.6.
    mean, embeddings, teacher = [1, 1], [[4, 5], [9, 9]], [[3, 1], [1, 0]]
    bank = [[1, 4], [-1, 1], [5, 4]]
    loss = ContrastLoss(temperature=0.2)
    (loss,), (gradient,) = gradients(loss, [embeddings], [teacher, [1, 0], bank, mean])
    assert loss == pytest.approx(np.log(1 + np.exp(1) + np.exp(-6)), rel=1e-5)
    # Chances of the two others: 0.7304, 0.000666; the gradient by the unit vector, (p2 (-1, 0) + p1 (0, 1) -
    # (p1 + p2) (1, 0)) / 0.2, without its part along the vector, by the embedding's length, 5.
    first, second = np.exp([1, -6]) / (1 + np.exp(1) + np.exp(-6))
    along = np.array([-first - 2 * second, first]) / 0.2
    unit = np.array([0.6, 0.8])
    np.testing.assert_allclose(gradient[0], (along - unit * unit.dot(along)) / 5, rtol=1e-4)
    assert not gradient[1].any()


def test_contrast_leaves_the_face_itself_out_of_the_others():
    mean, embeddings, teacher = [0, 0], [[1, 2]], [[2, 1]]
    with_itself = gradients(ContrastLoss(), [embeddings], [teacher, [1], [[4, 2], [-1, 1]], mean])
    without = gradients(ContrastLoss(), [embeddings], [teacher, [1], [[-1, 1]], mean])
    assert with_itself[0] == pytest.approx(without[0], rel=1e-6) and without[0][0] > 0
    assert gradients(ContrastLoss(), [embeddings], [teacher, [1], [[4, 2]], mean])[0] == [0]


def test_contrast_nearest_decides_who_is_left_out():
    mean, embeddings, teacher, bank = [0, 0], [[1, 0]], [[1, 0]], [[0.8, 0.6]]
    assert gradients(ContrastLoss(), [embeddings], [teacher, [1], bank, mean])[0] == [0]
    (loss,), _ = gradients(ContrastLoss(nearest=0.9), [embeddings], [teacher, [1], bank, mean])
    assert loss == pytest.approx(np.log1p(np.exp(-2)), rel=1e-4)


def test_contrast_stays_finite_at_its_ends():
    # As wrong as can be, and an embedding that is the mean itself, as a fresh network's.
    bank = np.tile([[-1.0, 0]], (8192, 1))
    (loss,), (gradient,) = gradients(ContrastLoss(), [[[-3.0, 0]]], [[[2.0, 0]], [1], bank, [0, 0]])
    assert loss == pytest.approx(20 + np.log(8192), rel=1e-5) and np.isfinite(gradient).all()
    mean = [0.5, 0.5]
    (loss,), (gradient,) = gradients(ContrastLoss(), [[mean]], [[[2.0, 0]], [1], [[-1.0, 0]], mean])
    assert loss == pytest.approx(np.log(2), rel=1e-5) and np.isfinite(gradient).all()


# All losses


def random_faces(rows=6, width=8, seed=1):
    rng = np.random.RandomState(seed)
    mask = np.ones(rows, np.float32)
    mask[rows // 2] = 0
    return rng.randn(rows, width), rng.randn(rows, width), mask, rng.randn(20, width), rng.randn(width)


CASES = [
    (DetectionLoss, random_detection()),
    (MimicLoss, ([random_faces()[0]], random_faces()[1:3])),
    (ContrastLoss, ([random_faces()[0]], random_faces()[1:])),
]


@pytest.mark.parametrize('loss, case', CASES)
def test_hybridized_and_symbolic_equal_imperative(loss, case):
    inputs, constants = case
    sums, grads = gradients(loss(), inputs, constants)
    for options in ({}, {'static_alloc': True, 'static_shape': True}):
        hybrid = loss()
        hybrid.hybridize(**options)
        for _ in range(2):
            found, found_grads = gradients(hybrid, inputs, constants)
            np.testing.assert_allclose(found, sums, rtol=1e-6)
            for one, other in zip(found_grads, grads):
                np.testing.assert_allclose(one, other, atol=1e-6)
    names = [f'input{number}' for number in range(len(inputs) + len(constants))]
    symbol = loss()(*map(mx.sym.var, names))
    symbol = symbol if isinstance(symbol, mx.sym.Symbol) else mx.sym.Group(list(symbol))
    arrays = {name: mx.nd.array(value) for name, value in zip(names, list(inputs) + list(constants))}
    outputs = symbol.bind(mx.cpu(), arrays).forward()
    np.testing.assert_allclose([float(value.asscalar()) for value in outputs], sums, rtol=1e-6)


@pytest.mark.parametrize(
    'loss, case',
    [(DetectionLoss, random_detection(2, 9)), CASES[1], (lambda: ContrastLoss(temperature=0.5), CASES[2][1])],
)
def test_gradients_are_finite_differences(loss, case):
    inputs, constants = case
    inputs = [np.asarray(value, np.float32) for value in inputs]
    loss = loss()
    _, grads = gradients(loss, inputs, constants)
    for which, gradient in enumerate(grads):
        assert gradient.any()
        np.testing.assert_allclose(gradient, numeric_gradient(loss, inputs, constants, which), atol=6e-3)


@pytest.mark.parametrize('loss, case', CASES)
@pytest.mark.parametrize('dtype', ['float16', 'float32'])
def test_sums_are_float32(loss, case, dtype):
    inputs, constants = case
    outputs = loss()(*[mx.nd.array(value, dtype=dtype) for value in inputs], *map(mx.nd.array, constants))
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    assert all(value.dtype == np.float32 and value.shape == (1,) for value in outputs)
    rounded = [np.asarray(value, dtype).astype(np.float32) for value in inputs]
    expected, _ = gradients(loss(), rounded, constants)
    np.testing.assert_allclose([float(value.asscalar()) for value in outputs], expected, rtol=1e-6)


AMP = """
import numpy as np, mxnet as mx
from mxnet.contrib import amp
amp.init(target_dtype='bfloat16')
from uniface_mx.train.losses import ContrastLoss, MimicLoss
features, teacher, bank = (mx.nd.random.normal(shape=shape) for shape in ((6, 16), (6, 8), (20, 8)))
mask, mean = mx.nd.ones(6), mx.nd.zeros(8)
dense = mx.gluon.nn.Dense(8, in_units=16)
dense.initialize(mx.init.Normal(0.5))
plain = features.asnumpy() @ dense.weight.data().asnumpy().T
dense.hybridize()
for loss, others in ((MimicLoss(), ()), (ContrastLoss(), (bank, mean))):
    loss.hybridize()
    with mx.autograd.record():
        value = loss(dense(features), teacher, mask, *others)
    value.backward()
    exact = loss(mx.nd.array(plain), teacher, mask, *others)
    assert value.dtype == np.float32, value.dtype
    np.testing.assert_allclose(value.asnumpy(), exact.asnumpy(), rtol=0.03)
    gradient = dense.weight.grad().asnumpy()
    assert np.isfinite(gradient).all() and gradient.any()
"""


def test_under_amp_losses_are_float32():
    # A process of its own: amp.init cannot be undone.
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', AMP],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout


# Counts and Eq. (2)


def test_count_terms_literal():
    counts = count_terms(np.array([[1, 1, 0, -1], [0, 0, -1, 0], [1, 0, 0, 0]]), np.array([1, 1, 0, 1, 0]))
    assert counts == Terms(classification=7, box=3, landmarks=3, mimic=3, contrast=3)
    assert count_terms(np.zeros((2, 4)), np.zeros(8), faceless=1) == Terms(2, 0, 0, 0, 0)


def test_total_literal():
    sums = Terms(*(mx.nd.array([value]) for value in (8, 6, 4, 10, 3)))
    counts, weights = Terms(4, 2, 2, 5, 5), Terms(1, 2, 0.5, 3, 0)
    assert total(sums, counts, weights).asscalar() == 2 + 2 * 3 + 0.5 * 2 + 3 * 2


def test_total_leaves_out_what_has_no_weight_or_value():
    sums = Terms(mx.nd.array([2]), mx.nd.array([np.nan]), None, mx.nd.array([3]), None)
    assert total(sums, Terms(1, 1, 1, 1, 1), Terms(1, 0, 1, 1, 1)).asscalar() == 5
    assert total(Terms(None, None, None, None, None), Terms(0, 0, 0, 0, 0), Terms(1, 1, 1, 1, 1)) == 0


def test_a_count_of_nothing_divides_by_one():
    sums = Terms(mx.nd.array([2]), mx.nd.array([0]), mx.nd.array([0]), mx.nd.array([0]), None)
    assert total(sums, Terms(8, 0, 0, 0, 0), Terms(1, 1, 1, 1, 0)).asscalar() == 0.25


def step(parts):
    """The loss of Eq. (2) and its gradients, computed part by part with the counts of the whole."""
    weights = Terms(1, 0.5, 2, 1, 0.3)
    counts = Terms(*np.sum([count_terms(constants[0], faces[2]) for (_, constants), faces in parts], axis=0))
    losses, grads = [], []
    for (inputs, constants), (embeddings, teacher, mask, bank, mean) in parts:
        outputs = [mx.nd.array(value) for value in inputs + [embeddings]]
        for output in outputs:
            output.attach_grad()
        teacher, mask, bank, mean = map(mx.nd.array, (teacher, mask, bank, mean))
        with mx.autograd.record():
            sums = Terms(
                *DetectionLoss()(*outputs[:3], *map(mx.nd.array, constants)),
                MimicLoss()(outputs[3], teacher, mask),
                ContrastLoss()(outputs[3], teacher, mask, bank, mean),
            )
            loss = total(sums, counts, weights)
        loss.backward()
        losses.append(loss.asscalar())
        grads.append([output.grad.asnumpy() for output in outputs])
    return sum(losses), [np.concatenate(values) for values in zip(*grads)]


@pytest.mark.parametrize('images, rows', [(1, 1), (2, 5), (3, 3)])
def test_parts_of_a_step_add_up_to_the_whole(images, rows):
    # Unevenly: the first image has no face at all.
    (inputs, constants), faces = random_detection(), random_faces()
    whole, whole_grads = step([((inputs, constants), faces)])
    parts, grads = step(
        [
            (
                ([value[part] for value in inputs], [value[part] for value in constants]),
                tuple(value[where] for value in faces[:3]) + faces[3:],
            )
            for part, where in ((slice(0, images), slice(0, rows)), (slice(images, None), slice(rows, None)))
        ]
    )
    assert parts == pytest.approx(whole, rel=1e-5)
    for one, other in zip(grads, whole_grads):
        np.testing.assert_allclose(one, other, atol=1e-6)
