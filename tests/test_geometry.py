import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uniface_mx import geometry
from uniface_mx.geometry import average_precision, match_boxes

coordinate = st.floats(-1000, 1000, allow_nan=False, width=32)
boxes = st.lists(
    st.tuples(coordinate, coordinate, st.floats(0, 500, width=32), st.floats(0, 500, width=32)),
    min_size=1,
    max_size=6,
).map(lambda rows: np.array(rows, dtype=np.float64))


def test_iou_by_hand():
    a = [[0, 0, 10, 10], [5, 5, 5, 9]]
    b = [[0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [2, 2, 4, 4], [5, 5, 5, 9]]
    assert np.allclose(geometry.iou(a, b), [[1, 1 / 3, 0, 0.04, 0], [0, 0, 0, 0, 0]])
    assert np.allclose(geometry.intersection(a, b)[0], [100, 50, 0, 4, 0])


@pytest.mark.parametrize('a, b', [(0, 3), (3, 0), (0, 0)])
def test_iou_of_nothing(a, b):
    assert geometry.iou(np.zeros((a, 4)), np.zeros((b, 4))).shape == (a, b)


@given(boxes, boxes)
def test_iou_is_symmetric_and_within_0_and_1(a, b):
    a, b = geometry.xywh_to_xyxy(a), geometry.xywh_to_xyxy(b)
    overlaps = geometry.iou(a, b)
    assert np.allclose(overlaps, geometry.iou(b, a).T)
    assert np.all((overlaps >= 0) & (overlaps <= 1 + 1e-9))


def test_area_of_a_box_inside_out_is_0():
    assert geometry.area([[1, 2, 4, 8], [4, 2, 1, 8], [4, 8, 1, 2]]).tolist() == [18, 0, 0]


def test_clip_boxes():
    clipped = geometry.clip_boxes(np.array([[-5, 3, 400, 250], [310, 0, 320, 10]], np.float32), 300, 200)
    assert clipped.tolist() == [[0, 3, 300, 200], [300, 0, 300, 10]]
    assert clipped.dtype == np.float32


@given(boxes)
def test_xywh_and_back(rows):
    assert np.allclose(geometry.xyxy_to_xywh(geometry.xywh_to_xyxy(rows)), rows)


def test_ellipse_to_box_by_hand():
    ellipses = [[20, 10, 0, 50, 60], [20, 10, np.pi / 2, 50, 60], [20, 10, np.pi / 4, 0, 0]]
    side = np.sqrt((400 + 100) / 2)
    expected = [[30, 50, 70, 70], [40, 40, 60, 80], [-side, -side, side, side]]
    assert np.allclose(geometry.ellipse_to_box(ellipses), expected)


@given(st.floats(1, 100), st.floats(1, 100), st.floats(-4, 4))
def test_the_ellipse_touches_its_box(a, b, angle):
    t = np.linspace(0, 2 * np.pi, 2001)
    x = a * np.cos(t) * np.cos(angle) - b * np.sin(t) * np.sin(angle)
    y = a * np.cos(t) * np.sin(angle) + b * np.sin(t) * np.cos(angle)
    box = geometry.ellipse_to_box([a, b, angle, 0, 0])
    assert np.allclose(box, [x.min(), y.min(), x.max(), y.max()], atol=1e-3 * (a + b))


def test_flip_by_hand():
    assert geometry.flip_boxes([[10, 5, 30, 25]], 100).tolist() == [[70, 5, 90, 25]]
    points = np.array([[10, 1], [30, 2], [20, 3], [12, 4], [28, 5]])
    assert geometry.flip_landmarks(points, 100).tolist() == [[70, 2], [90, 1], [80, 3], [72, 5], [88, 4]]


@given(st.integers(1, 400), boxes)
def test_flipped_twice(width, rows):
    rows = geometry.xywh_to_xyxy(rows)
    assert np.allclose(geometry.flip_boxes(geometry.flip_boxes(rows, width), width), rows)
    points = np.random.RandomState(0).uniform(0, width, (3, 5, 2))
    assert np.allclose(geometry.flip_landmarks(geometry.flip_landmarks(points, width), width), points)


@pytest.mark.parametrize(
    'height, width, scale, inner',
    [
        (600, 300, 0.5, (300, 150)),
        (150, 300, 1.0, (150, 300)),
        (100, 100, 3.0, (300, 300)),
        (1, 1, 300.0, (300, 300)),
        (1, 3000, 0.1, (1, 300)),
    ],
)
def test_letterbox_pads_right_or_bottom(height, width, scale, inner):
    canvas, got = geometry.letterbox(np.full((height, width, 3), 200, np.uint8), 300)
    assert canvas.shape == (300, 300, 3) and canvas.dtype == np.uint8
    assert got == pytest.approx(scale)
    assert np.all(canvas[: inner[0], : inner[1]] == 200)
    assert not canvas[inner[0] :].any() and not canvas[:, inner[1] :].any()


def test_letterbox_averages_what_it_reduces():
    """Two white pixels of every five, in stripes: a mean of 102, where taking single pixels gives stripes."""
    image = np.zeros((1500, 1500, 3), np.uint8)
    image[::5] = image[2::5] = 255
    assert np.all(geometry.letterbox(image, 300)[0] == 102)


@pytest.mark.parametrize('height, width', [(480, 640), (97, 211), (1200, 431)])
def test_points_go_where_the_letterbox_takes_them(height, width):
    """A bright square's centre of mass, in the photo and in the letterbox."""
    image = np.zeros((height, width, 3), np.uint8)
    x, y, side = width * 0.7, height * 0.6, min(height, width) * 0.2
    left, top, right, bottom = (int(round(value)) for value in (x - side, y - side, x + side, y + side))
    image[top:bottom, left:right] = 255
    canvas, scale = geometry.letterbox(image, 300)
    weights = canvas[..., 0].astype(float)
    middle = [((np.arange(300) + 0.5) * weights.sum(axis=axis)).sum() / weights.sum() for axis in (0, 1)]
    assert np.allclose(middle, np.array([left + right, top + bottom]) / 2 * scale, atol=0.5)


def test_similarity_transform_by_hand():
    """A quarter turn, twice as large, moved by (10, 20)."""
    matrix = geometry.similarity_transform([[0, 0], [1, 0], [0, 1]], [[10, 20], [10, 22], [8, 20]])
    assert np.allclose(matrix, [[0, -2, 10], [2, 0, 20]])


@settings(deadline=None)
@given(st.floats(-3, 3), st.floats(0.1, 10), st.floats(-50, 50), st.floats(-50, 50))
def test_similarity_transform_finds_what_was_done(angle, scale, x, y):
    matrix = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0]]) * scale
    matrix[:, 2] = x, y
    points = np.array([[1, 2], [30, 4], [5, 60], [70, 80], [9, 10]], dtype=float)
    target = geometry.transform_points(points, matrix)
    assert np.allclose(geometry.similarity_transform(points, target), matrix, atol=1e-6)
    assert np.allclose(
        geometry.transform_points(target, geometry.invert_transform(matrix)), points, atol=1e-6
    )


def test_similarity_transform_never_reflects():
    points = np.array([[0, 0], [4, 0], [4, 1], [0, 1]], dtype=float)
    matrix = geometry.similarity_transform(points, points * (-1, 1))
    assert np.linalg.det(matrix[:, :2]) > 0


def test_similarity_transform_of_one_point():
    with pytest.raises(ValueError, match='two points'):
        geometry.similarity_transform([[3, 3], [3, 3]], [[0, 0], [1, 1]])


def test_warp_keeps_the_coordinate_rule():
    """Doubled, pixel [3, 4) covers [6, 8); OpenCV's own convention would be half a pixel off."""
    image = np.zeros((8, 8), np.uint8)
    image[2, 3] = 200
    doubled = geometry.warp(image, np.array([[2.0, 0, 0], [0, 2.0, 0]]), 16, 16).astype(float)
    x = (doubled.sum(axis=0) * (np.arange(16) + 0.5)).sum() / doubled.sum()
    y = (doubled.sum(axis=1) * (np.arange(16) + 0.5)).sum() / doubled.sum()
    assert (x, y) == (pytest.approx(7, abs=0.01), pytest.approx(5, abs=0.01))
    assert np.array_equal(
        geometry.warp(image, np.array([[1.0, 0, 2], [0, 1.0, 1]]), 8, 8)[3], np.roll(image[2], 2)
    )


def test_unit_vectors():
    assert geometry.unit_vectors(np.array([[3.0, 4], [0, 0]])).tolist() == [[0.6, 0.8], [0, 0]]


FACES = np.array([[0, 0, 10, 10], [20, 20, 40, 40]], float)


def test_match_by_hand():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 20, 40, 30], [60, 60, 70, 70]], float)
    matched = match_boxes(boxes, [0.6, 0.9, 0.8, 0.7], FACES, [False, False])
    # By score: the second box takes face 0 first, the third overlaps face 1 by a half, the fourth none, the
    # first is late.
    assert matched.scores.tolist() == [0.9, 0.8, 0.7, 0.6]
    assert matched.hits.tolist() == [True, True, False, False]
    assert matched.found.tolist() == [0.9, 0.8]
    assert matched.by.tolist() == [1, 2]


def test_match_with_an_ignored_face():
    boxes = np.array([[20, 20, 40, 40], [21, 21, 25, 25], [0, 0, 10, 10], [60, 60, 70, 70]], float)
    matched = match_boxes(boxes, [0.9, 0.8, 0.7, 0.6], FACES, [False, True])
    assert matched.scores.tolist() == [0.7, 0.6]
    assert matched.hits.tolist() == [True, False]
    assert matched.found.tolist() == [0.7]
    assert matched.by.tolist() == [2]


@pytest.mark.parametrize('left, counted', [(20, 0), (30, 0), (31, 1)])
def test_half_of_a_detection_within_an_ignored_face_excuses_it(left, counted):
    """It is 20 pixels wide, and the ignored face, which is eight times as large, ends at 40."""
    box, ignored = np.array([[left, 0.0, left + 20, 10]]), np.array([[0.0, 0, 40, 40]])
    assert len(match_boxes(box, [0.9], ignored, [True]).scores) == counted


@pytest.mark.parametrize('boxes, faces', [(0, 0), (0, 2), (2, 0)])
def test_match_without_faces_or_boxes(boxes, faces):
    matched = match_boxes(FACES[:boxes], np.ones(boxes), FACES[:faces], np.zeros(faces, bool))
    assert (len(matched.scores), matched.hits.any(), len(matched.found)) == (boxes, False, faces)


def test_average_precision_by_hand():
    scores = np.array([0.9, 0.8, 0.7, 0.6])
    # Recall 1/4 at precision 1, 2/4 at 2/3, 3/4 at 3/4; the dip before the last hit is filled to 3/4.
    assert average_precision(scores, np.array([True, False, True, True]), 4) == pytest.approx(
        1 / 4 + 2 / 4 * 3 / 4
    )
    assert average_precision(scores, np.ones(4, bool), 4) == 1
    assert average_precision(scores, np.zeros(4, bool), 4) == 0
    assert average_precision(np.zeros(0), np.zeros(0, bool), 4) == 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=20),
    st.randoms(use_true_random=False),
)
def test_the_order_of_equal_scores_does_not_matter(detections, random):
    shuffled = list(detections)
    random.shuffle(shuffled)
    faces = max(1, sum(hit for _, hit in detections))
    values = [
        average_precision(
            np.array([score for score, _ in some], float), np.array([hit for _, hit in some]), faces
        )
        for some in (detections, shuffled)
    ]
    assert values[0] == pytest.approx(values[1])
    assert 0 <= values[0] <= 1


def test_errors_are_in_distances_of_the_eyes():
    points = np.array([[40, 40], [60, 40], [50, 50], [42, 60], [58, 60]], np.float32)
    moved = points + [[0, 0], [2, 0], [0, 4], [3, 4], [0, 0]]
    np.testing.assert_allclose(geometry.point_errors(moved, points), [0, 0.1, 0.2, 0.25, 0])
