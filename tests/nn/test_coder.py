import mxnet as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uniface_mx.nn.anchors import anchor_grid, centre_to_corner
from uniface_mx.nn.coder import (
    MAX_LOG_SIZE,
    SIZE_VARIANCE,
    Decoder,
    decode_boxes,
    decode_landmarks,
    encode_boxes,
    encode_landmarks,
)

ANCHOR = np.array([20, 30, 40, 70], np.float32)  # centre (30, 50), sides 20 and 40


@pytest.fixture(scope='module')
def grid():
    return anchor_grid()


@pytest.fixture(scope='module')
def decoder(grid):
    block = Decoder(grid, 300)
    block.initialize()
    return block


def decode(decoder, boxes, landmarks):
    boxes, landmarks = decoder(mx.nd.array(boxes), mx.nd.array(landmarks))
    return boxes.asnumpy(), landmarks.asnumpy()


def test_both_directions_by_hand():
    # Centre (33, 46), sides 40 and 20.
    box, offsets = [13.0, 36.0, 53.0, 56.0], [1.5, -1.0, np.log(2) / 0.2, -np.log(2) / 0.2]
    np.testing.assert_allclose(encode_boxes(np.array(box), ANCHOR), offsets, rtol=1e-6)
    np.testing.assert_allclose(decode_boxes(np.array(offsets), ANCHOR), box, rtol=1e-6)
    points, offsets = [[30, 50], [32, 50], [30, 46], [20, 30], [40, 70]], [0, 0, 1, 0, 0, -1, -5, -5, 5, 5.0]
    np.testing.assert_allclose(encode_landmarks(np.array(points), ANCHOR), offsets, rtol=1e-6)
    np.testing.assert_allclose(decode_landmarks(np.array(offsets), ANCHOR), points, rtol=1e-6)


# Sizes from 6 pixels: the decoder's limit, e^4, below the highest anchor of 322 is 5.9.
@settings(deadline=None)
@given(
    st.tuples(*[st.floats(-300, 600)] * 2),
    st.tuples(*[st.floats(6, 600)] * 2),
    st.integers(0, 5219),
    st.lists(st.floats(-300, 600), min_size=10, max_size=10),
)
def test_coder_pairs(centre, size, index, points):
    anchor = centre_to_corner(anchor_grid())[index].astype(np.float64)
    box = np.concatenate([np.subtract(centre, np.divide(size, 2)), np.add(centre, np.divide(size, 2))])
    landmarks = np.reshape(points, (5, 2))
    np.testing.assert_allclose(decode_boxes(encode_boxes(box, anchor), anchor), box, atol=1e-6)
    offsets = encode_landmarks(landmarks, anchor)
    np.testing.assert_allclose(decode_landmarks(offsets, anchor), landmarks, atol=1e-6)


def test_decoded_sizes_stay_finite():
    width, height = 20 * np.exp(4), 40 * np.exp(-4)
    np.testing.assert_allclose(
        decode_boxes(np.array([0, 0, 1e9, -1e9]), ANCHOR),
        [30 - width / 2, 50 - height / 2, 30 + width / 2, 50 + height / 2],
        rtol=1e-6,
    )


def test_decode_by_hand():
    block = Decoder(np.array([[100, 50, 20, 40]], np.float32), 300)
    block.initialize()
    boxes, landmarks = decode(block, [[[1, -2, 0, np.log(2) / 0.2]]], [[[0, 0, 5, -5, 10, 0, 0, 1, -1, 2.5]]])
    # The centre moves by 0.1 * 20 and -0.2 * 40, the width stays, the height doubles.
    assert np.allclose(boxes, [[[92, 2, 112, 82]]])
    assert np.allclose(landmarks, [[[100, 50, 110, 30, 120, 50, 100, 54, 98, 60]]])


def test_zero_offsets_are_the_anchors(grid, decoder):
    boxes, landmarks = decode(decoder, np.zeros((2, 5220, 4)), np.zeros((2, 5220, 10)))
    expected = centre_to_corner(grid)
    assert np.allclose(boxes, np.clip(expected, -300, 600)[None], atol=1e-4)
    assert np.allclose(landmarks.reshape(2, 5220, 5, 2), grid[None, :, None, :2])


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 5219), st.floats(-20, 260), st.floats(-20, 260), st.floats(8, 200), st.floats(8, 200))
def test_graph_undoes_the_coder(grid, decoder, index, x, y, width, height):
    box = np.array([x, y, x + width, y + height])
    points = np.array([x, y]) + np.random.RandomState(index).uniform(0, 1, (5, 2)) * [width, height]
    corners = centre_to_corner(grid.astype(np.float64))
    offsets, points_offsets = np.zeros((1, 5220, 4)), np.zeros((1, 5220, 10))
    offsets[0, index] = encode_boxes(box, corners[index])
    points_offsets[0, index] = encode_landmarks(points, corners[index])
    boxes, landmarks = decode(decoder, offsets, points_offsets)
    held = np.abs(offsets[0, index, 2:]).max() < MAX_LOG_SIZE / SIZE_VARIANCE
    assert not held or np.allclose(boxes[0, index], box, atol=2e-3)
    assert np.allclose(landmarks[0, index].reshape(5, 2), points, atol=2e-3)


def test_graph_and_numpy_decode_alike(grid, decoder):
    random = np.random.RandomState(0)
    offsets, points = random.normal(0, 2, (1, 5220, 4)), random.normal(0, 2, (1, 5220, 10))
    boxes, landmarks = decode(decoder, offsets, points)
    corners = centre_to_corner(grid)
    assert np.allclose(boxes, np.clip(decode_boxes(offsets, corners[None]), -300, 600), atol=1e-3)
    expected = decode_landmarks(points, corners[None]).reshape(1, 5220, 10)
    assert np.allclose(landmarks, np.clip(expected, -300, 600), atol=1e-3)


@pytest.mark.parametrize('offset', [1e3, 1e30, -1e30])
def test_no_offset_leaves_the_range(decoder, offset):
    boxes, landmarks = decode(decoder, np.full((1, 5220, 4), offset), np.full((1, 5220, 10), offset))
    for values in (boxes, landmarks):
        assert np.isfinite(values).all() and values.min() >= -300 and values.max() <= 600
    assert np.all(boxes[..., 2:] >= boxes[..., :2])


def test_anchors_get_no_gradient(decoder):
    offsets = mx.nd.ones((1, 5220, 4))
    offsets.attach_grad()
    with mx.autograd.record():
        boxes, _ = decoder(offsets, mx.nd.zeros((1, 5220, 10)))
    boxes.backward()
    assert np.abs(offsets.grad.asnumpy()).max() > 0
    assert decoder.anchors.grad_req == 'null'
