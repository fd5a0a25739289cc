import numpy as np
import pytest

from uniface_mx.nn import anchors
from uniface_mx.nn.anchors import anchor_grid, anchor_shapes, centre_to_corner, level_centres, map_frame


@pytest.fixture(scope='module')
def grid():
    return anchor_grid()


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
