import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniface_mx.data.rows import BOX, EMBEDDING, HAS_EMBEDDING, HAS_LANDMARKS, IGNORE, LANDMARKS, OBJECT_WIDTH
from uniface_mx.data.transforms import geometric as g
from uniface_mx.geometry import invert_transform, letterbox, transform_points


def face(box, points=None, ignore=0):
    row = np.zeros(OBJECT_WIDTH, np.float32)
    row[BOX] = box
    row[IGNORE] = ignore
    if points is not None:
        row[LANDMARKS] = np.asarray(points, np.float32).ravel()
        row[HAS_LANDMARKS] = row[HAS_EMBEDDING] = 1
        row[EMBEDDING] = np.arange(1, 129)
    return row


POINTS = [[20, 30], [40, 32], [31, 45], [22, 58], [39, 60]]
FACE = face([10, 10, 50, 70], POINTS)[None]
MATRICES = st.tuples(
    st.floats(-20, 20), st.floats(0.2, 3), st.floats(-50, 50), st.floats(-50, 50), st.booleans()
).map(
    lambda v: g.chain(
        g.flip_matrix(100) if v[4] else np.eye(2, 3),
        g.rotation_matrix(v[0], 40, 40),
        g.scale_matrix(v[1], v[1]),
        np.array([[1, 0, v[2]], [0, 1, v[3]]]),
    )
)


def test_flip_swaps_left_and_right_points_and_keeps_the_embedding():
    moved = g.transform_objects(FACE, g.flip_matrix(100))
    assert moved[0, BOX].tolist() == [50, 10, 90, 70]
    assert moved[0, LANDMARKS].tolist() == [60, 32, 80, 30, 69, 45, 61, 60, 78, 58]
    assert np.array_equal(moved[0, EMBEDDING], FACE[0, EMBEDDING]) and moved[0, HAS_EMBEDDING] == 1


def test_a_quarter_turn_is_clockwise_on_the_screen_and_swaps_the_sides_of_the_box():
    matrix = g.rotation_matrix(90, 0, 0)
    assert np.allclose(transform_points([[1, 0], [0, 1]], matrix), [[0, 1], [-1, 0]])
    moved = g.transform_objects(FACE, matrix)
    assert np.allclose(moved[0, BOX], [-70, 10, -10, 50], atol=1e-4)


def test_a_slightly_turned_box_hardly_grows():
    box = g.transform_objects(face([0, 0, 80, 100])[None], g.rotation_matrix(10, 40, 50))[0, BOX]
    # Half sides hypot(40 cos 10, 50 sin 10) and hypot(50 cos 10, 40 sin 10).
    assert np.allclose(box, [40 - 40.339, 50 - 49.728, 40 + 40.339, 50 + 49.728], atol=1e-2)


def test_chain_applies_the_first_first():
    matrix = g.chain(g.scale_matrix(2, 3), np.array([[1, 0, 5], [0, 1, 7]]), g.flip_matrix(100))
    assert transform_points([[1, 1]], matrix).tolist() == [[93, 10]]


def test_matrix_scale_of_a_turned_mirrored_enlargement():
    matrix = g.chain(g.flip_matrix(9), g.rotation_matrix(33, 4, 5), g.scale_matrix(2, 2))
    assert g.matrix_scale(matrix) == pytest.approx(2)


@given(MATRICES)
def test_a_transform_and_its_inverse_give_the_points_back(matrix):
    there = g.transform_objects(FACE, matrix)
    back = g.transform_objects(there, invert_transform(matrix))
    assert np.allclose(back[0, LANDMARKS], FACE[0, LANDMARKS], atol=1e-2)
    assert np.array_equal(back[0, EMBEDDING], FACE[0, EMBEDDING])


@given(st.floats(0.2, 3), st.floats(-50, 50), st.booleans())
def test_without_a_turn_boxes_come_back_too(scale, shift, mirrored):
    matrix = g.chain(
        g.flip_matrix(100) if mirrored else np.eye(2, 3),
        g.scale_matrix(scale, scale),
        np.array([[1, 0, shift], [0, 1, -shift]]),
    )
    back = g.transform_objects(g.transform_objects(FACE, matrix), invert_transform(matrix))
    assert np.allclose(back[0, BOX], FACE[0, BOX], atol=1e-3)


@given(MATRICES, st.lists(st.tuples(st.floats(0, 6.2832), st.floats(0, 1)), min_size=5, max_size=5))
def test_points_in_the_ellipse_of_a_face_stay_in_its_box(matrix, polar):
    points = [[30 + 20 * r * np.cos(a), 40 + 30 * r * np.sin(a)] for a, r in polar]
    moved = g.transform_objects(face([10, 10, 50, 70], points)[None], matrix)[0]
    x, y = moved[LANDMARKS].reshape(5, 2).T
    x1, y1, x2, y2 = moved[BOX]
    assert (x >= x1 - 1e-2).all() and (x <= x2 + 1e-2).all()
    assert (y >= y1 - 1e-2).all() and (y <= y2 + 1e-2).all()


def test_unknown_landmarks_stay_zero():
    moved = g.transform_objects(face([10, 10, 50, 70])[None], g.rotation_matrix(10, 90, 90))
    assert not moved[0, LANDMARKS].any()


def cut(region, rows=FACE):
    return g.cut_objects(rows, np.array(region), 0.1, 0.6, 0.9)


def test_a_face_wholly_in_the_region_is_untouched():
    assert np.array_equal(cut([0, 0, 100, 100]), FACE)


@pytest.mark.parametrize(
    'right, kept, box_right, ignored, landmarks, embedding',
    [
        (47, 1, 47, 0, 1, 1),  # 37/40 visible
        (44, 1, 44, 0, 1, 0),  # 34/40: too little to recognise
        (39.5, 1, 39.5, 0, 0, 0),  # 74 %, an eye cut away
        (30, 1, 30, 1, 0, 0),  # half: ignored
        (13, 0, None, None, None, None),  # 7.5 %: background
    ],
)
def test_the_rule_for_cut_faces(right, kept, box_right, ignored, landmarks, embedding):
    result = cut([0, 0, right, 100])
    assert len(result) == kept
    if kept:
        row = result[0]
        assert row[BOX].tolist() == [10, 10, box_right, 70]
        assert (row[IGNORE], row[HAS_LANDMARKS], row[HAS_EMBEDDING]) == (ignored, landmarks, embedding)
        assert row[LANDMARKS].any() == bool(landmarks) and row[EMBEDDING].any() == bool(embedding)


def test_an_ignored_face_stays_ignored_and_a_face_outside_goes():
    rows = np.stack([face([10, 10, 50, 70], ignore=1), face([200, 10, 250, 70])])
    result = cut([0, 0, 100, 100], rows)
    assert len(result) == 1 and result[0, IGNORE] == 1
    # What is not seen at all goes even where the slightest part would stay.
    assert len(g.cut_objects(rows, np.array([0, 0, 100, 100]), 0.0, 0.6, 0.9)) == 1


def test_cutting_leaves_its_argument_alone():
    rows = FACE.copy()
    cut([0, 0, 30, 100], rows)
    assert np.array_equal(rows, FACE)


def test_small_faces_are_ignored_and_blurred_ones_lose_their_embedding():
    rows = np.stack(
        [face([0, 0, 10, 10], POINTS), face([0, 0, 30, 30], POINTS), face([0, 0, 30, 30], POINTS)]
    )
    g.ignore_small(rows, np.array([10, 30, 20]), min_side=12, embedding_side=24)
    assert rows[:, IGNORE].tolist() == [1, 0, 0]
    assert rows[:, HAS_EMBEDDING].tolist() == [0, 1, 0] and rows[:, HAS_LANDMARKS].tolist() == [0, 1, 1]


def test_paint_follows_the_coordinate_rule():
    image = np.zeros((4, 4, 3), np.uint8)
    image[1, 2] = 200
    canvas = np.full((8, 8, 3), 7, np.uint8)
    g.paint(canvas, (2, 1, 8, 8), image, np.array([[1.0, 0, 3], [0, 1, 2]]))
    # Pixel (2, 1) covers [2, 3) x [1, 2), and lies at [5, 6) x [3, 4) now.
    assert canvas[3, 5].tolist() == [200] * 3 and (canvas == 200).sum() == 3
    assert (canvas[2:6, 3:7] != 7).all() and (canvas == 7).sum() == 3 * (64 - 16)


def test_paint_stays_in_its_cell():
    canvas = np.zeros((20, 20, 3), np.uint8)
    g.paint(
        canvas, (5, 6, 11, 15), np.full((50, 50, 3), 255, np.uint8), np.array([[1.0, 0, -10], [0, 1, -10]])
    )
    assert canvas[6:15, 5:11].min() == 255 and canvas.sum() == 255 * 3 * 9 * 6


def test_the_window_of_a_whole_photo_is_its_letterbox():
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 256, (40, 60, 3)).astype(np.uint8), (0, 0), 3)
    canvas = np.zeros((120, 120, 3), np.uint8)
    g.paint(canvas, (0, 0, 120, 120), image, g.window_matrix((0, 0, 60, 40), 120))
    inside = np.s_[2:77, 2:117]
    assert np.abs(canvas[inside].astype(int) - letterbox(image, 120)[0][inside]).max() <= 2
    assert not canvas[82:].any()


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.1, 0.5, 0.9]))
def test_a_crop_shows_as_much_of_a_face_as_asked(seed, overlap):
    box = np.array([[60.0, 30, 100, 80]])
    window = g.crop_window(200, 120, box, np.random.default_rng(seed), (0.3, 1.0), overlap)
    x1, y1, x2, y2 = window
    assert 0 <= x1 < x2 <= 200 and 0 <= y1 < y2 <= 120
    seen = max(0, min(x2, 100) - max(x1, 60)) * max(0, min(y2, 80) - max(y1, 30)) / 2000
    assert seen >= overlap - 1e-9
    assert 0.5 <= (x2 - x1) / (y2 - y1) <= 2


@given(st.integers(0, 2**32 - 1))
def test_a_crop_shows_one_face_of_several(seed):
    """No window of half the sides holds both."""
    boxes = np.array([[40.0, 30, 60, 50], [140, 70, 160, 90]])
    window = g.crop_window(200, 120, boxes, np.random.default_rng(seed), (0.3, 0.5), 0.9, tries=1000)
    assert window[2] - window[0] <= 100 and window[3] - window[1] <= 60


def test_crops_of_a_photo_without_faces():
    windows = [
        g.crop_window(200, 120, np.zeros((0, 4)), np.random.default_rng(seed), (0.3, 1.0), 0.9)
        for seed in range(20)
    ]
    assert len({tuple(window) for window in windows}) == 20
    assert min(window[2] - window[0] for window in windows) < 120


def test_an_impossible_crop_is_the_whole_photo():
    box = np.array([[0.0, 0, 200, 120]])
    window = g.crop_window(200, 120, box, np.random.default_rng(0), (0.3, 0.5), 0.9)
    assert window.tolist() == [0, 0, 200, 120]


@given(st.integers(0, 2**32 - 1))
def test_an_expansion_holds_the_photo(seed):
    x1, y1, x2, y2 = g.expand_window(200, 120, np.random.default_rng(seed), 3)
    assert x1 <= 0 and y1 <= 0 and x2 >= 200 and y2 >= 120 and x2 - x1 <= 600 and y2 - y1 <= 360
    assert (x2 - x1) / 200 == pytest.approx((y2 - y1) / 120)


def test_expansions_reach_all_sizes_and_places():
    windows = np.array([g.expand_window(200, 120, np.random.default_rng(seed), 3) for seed in range(200)])
    ratios = (windows[:, 2] - windows[:, 0]) / 200
    assert ratios.min() < 1.1 and ratios.max() > 2.9
    # Where the photo lies in the room that is left, from 0 (left, top) to 1.
    for side, length in ((0, 200), (1, 120)):
        places = -windows[:, side] / (length * (ratios - 1))
        assert places.min() < 0.1 and places.max() > 0.9
