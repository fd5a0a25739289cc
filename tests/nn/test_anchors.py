import mxnet as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uniface_mx.nn import anchors, coder
from uniface_mx.nn.anchors import anchor_grid, anchor_shapes, centre_to_corner, level_centres, map_frame
from uniface_mx.nn.coder import Decoder, decode_boxes, decode_landmarks, encode_boxes, encode_landmarks


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


def test_receptive_centres_by_hand():
    assert anchors.receptive_centre([]) == (0.5, 1)
    assert anchors.receptive_centre([(3, 2, 0)]) == (1.5, 2)
    assert anchors.receptive_centre([(3, 2, 1)]) == (0.5, 2)
    assert anchors.receptive_centre([(3, 2, 0), (3, 1, 0)]) == (3.5, 2)
    assert anchors.receptive_centre(anchors.STEM_LAYERS) == (9.5, 8)


def test_centres_of_the_levels():
    centres = level_centres(7)
    assert [len(level) for level in centres] == [36, 18, 9, 5, 3, 2, 1]
    assert np.allclose(centres[0], 9.5 + 8 * np.arange(36)) and centres[0][-1] == 289.5
    assert np.allclose(centres[1], 9.5 + 16 * np.arange(18)) and centres[1][-1] == 281.5
    assert np.allclose(centres[2], 9.5 + 32 * np.arange(9)) and centres[2][-1] == 265.5
    # The 5x5 level's first cell sees the finest cells 0 to 7, its second 1 to 15.
    assert np.allclose(centres[3][:2], [9.5 + 8 * 3.5, 9.5 + 8 * 8])


def test_coarse_levels_see_what_their_pools_read():
    """The finest cells that a coarse cell depends on, found by pushing cells through pools of 3, 2, 1."""
    seen = np.eye(36, dtype=bool)
    for level, centres in enumerate(level_centres(7)[1:], 1):
        padded = np.pad(seen, ((0, 0), (1, 1)))
        seen = padded[:, :-2:2] | padded[:, 1:-1:2] | padded[:, 2::2]
        if level > 2:
            expected = [9.5 + 8 * (np.flatnonzero(column)[[0, -1]].mean()) for column in seen.T]
            assert np.allclose(centres, expected)


def test_frames():
    assert map_frame(upsampling=4) == (5.5, 2)
    assert map_frame(2) == (-6.5, 32)
    assert map_frame() == (5.5, 8)


def test_5220_anchors_in_the_order_of_the_heads(grid):
    assert grid.shape == (5220, 4) and grid.dtype == np.float32
    assert np.allclose(grid[:3, :2], [9.5, 9.5]) and np.allclose(grid[3, :2], [17.5, 9.5])
    assert np.allclose(grid[36 * 3, :2], [9.5, 17.5])
    assert np.allclose(grid[36 * 36 * 3, :2], [9.5, 9.5]) and np.allclose(
        grid[36 * 36 * 3 + 3, :2], [25.5, 9.5]
    )
    assert np.allclose(grid[1::3][:2, 2:], [[20.8, 26], [20.8, 26]])
    assert np.allclose(grid[-2], [149.5, 149.5, 232, 290])


def test_ratios_share_an_area():
    shapes = anchor_shapes(100)
    assert np.allclose(shapes[1], [80, 100])
    assert np.allclose(shapes[:, 0] / shapes[:, 1], [0.95, 0.8, 0.65])
    assert np.allclose(shapes.prod(axis=1), 8000)


def test_two_scales_a_level(grid):
    double = anchor_grid(scales_per_level=2)
    assert double.shape == (10440, 4)
    assert np.allclose(double.reshape(-1, 2, 3, 4)[:, 0].reshape(-1, 4), grid)
    heights = double.reshape(-1, 2, 3, 4)[:, 1, 1, 3]
    assert heights[0] == pytest.approx(np.sqrt(26 * 60)) and heights[-1] == pytest.approx(
        290 * np.sqrt(290 / 260)
    )


def test_centre_to_corner():
    assert centre_to_corner(np.array([[10, 20, 4, 6]])).tolist() == [[8, 17, 12, 23]]


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
    held = np.abs(offsets[0, index, 2:]).max() < coder.MAX_LOG_SIZE / coder.SIZE_VARIANCE
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
