import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniface_mx.data.transforms import mosaic
from uniface_mx.geometry import transform_points

SEEDS = st.integers(0, 2**32 - 1)


@given(st.lists(st.floats(1, 300), min_size=1, max_size=9), SEEDS)
def test_cells_cover_the_canvas_and_do_not_overlap(sides, seed):
    cells = mosaic.partition(np.square(sides), 300, np.random.default_rng(seed))
    cover = np.zeros((300, 300), int)
    for x1, y1, x2, y2 in cells:
        assert x2 - x1 >= 30 and y2 - y1 >= 30
        cover[y1:y2, x1:x2] += 1
    assert (cover == 1).all()


def test_areas_follow_the_shares():
    cells = mosaic.partition([1, 1, 2], 300, np.random.default_rng(0))
    areas = (cells[:, 2] - cells[:, 0]) * (cells[:, 3] - cells[:, 1])
    assert areas.tolist() == [22500, 22500, 45000]


def test_sides_follow_the_mix():
    sides = mosaic.draw_sides(20000, (24, 48, 100, 300), (1, 0, 3), np.random.default_rng(0))
    shares = np.histogram(sides, (24, 48, 100, 300))[0] / 20000
    assert shares == pytest.approx([0.25, 0, 0.75], abs=0.02)
    # Log-uniform: the geometric mean of the bin's edges is its median.
    assert np.median(sides[sides > 100]) == pytest.approx(np.sqrt(100 * 300), rel=0.02)


def place(seed, cell, box=(60, 40, 100, 90), side=60.0, zoom=2.0, photo=(200, 150)):
    cell, box = np.array(cell), np.array(box, float)
    matrix = mosaic.face_matrix(cell, *photo, box, side, zoom, np.random.default_rng(seed))
    return matrix, transform_points(box.reshape(2, 2), matrix).ravel()


@given(
    SEEDS,
    st.tuples(st.integers(0, 150), st.integers(0, 150), st.integers(30, 150), st.integers(30, 150)),
    st.floats(24, 300),
)
def test_the_face_lies_in_its_cell(seed, cell, side):
    x, y, w, h = cell
    matrix, box = place(seed, (x, y, x + w, y + h), side=side)
    assert box[0] >= x - 1e-6 and box[1] >= y - 1e-6 and box[2] <= x + w + 1e-6 and box[3] <= y + h + 1e-6
    assert matrix[0, 0] == matrix[1, 1] <= 2 and not matrix[0, 1] and not matrix[1, 0]


def test_the_face_gets_its_size_where_there_is_room():
    _, box = place(0, (0, 0, 300, 300), side=70.0)
    assert np.sqrt((box[2] - box[0]) * (box[3] - box[1])) == pytest.approx(70)


def test_no_photo_is_enlarged_more_than_allowed():
    assert place(0, (0, 0, 300, 300), side=250.0, zoom=1.5)[0][0, 0] == 1.5


@given(SEEDS)
def test_the_photo_covers_its_cell_where_it_can(seed):
    cell = np.array([100, 50, 180, 130])
    matrix, _ = place(seed, cell, side=np.sqrt(2000.0))
    left, top, right, bottom = transform_points([[0, 0], [200, 150]], matrix).ravel()
    assert left <= 100 and top <= 50 and right >= 180 and bottom >= 130


@given(SEEDS, st.floats(10, 500), st.floats(10, 500))
def test_a_covering_photo_covers(seed, width, height):
    matrix = mosaic.cover_matrix(np.array([20, 30, 120, 80]), width, height, np.random.default_rng(seed))
    left, top, right, bottom = transform_points([[0, 0], [width, height]], matrix).ravel()
    assert left <= 20 + 1e-6 and top <= 30 + 1e-6 and right >= 120 - 1e-6 and bottom >= 80 - 1e-6
