import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uniface_mx.evaluation.fddb import ellipse_mask, overlaps, rectangle_mask

WIDTH, HEIGHT = 90, 70
SIZE = (WIDTH, HEIGHT)


def drawn(shape):
    """The shape by another way: an ellipse cut out of a larger image, the pixels between a rectangle's corners."""
    if len(shape) == 5:
        a, b, angle, x, y = shape
        large = np.zeros((HEIGHT + 400, WIDTH + 400), np.uint8)
        centre = round(x) + 200, round(y) + 200
        cv2.ellipse(large, centre, (int(a), int(b)), np.degrees(angle), 0, 360, 1, cv2.FILLED)
        return large[200:-200, 200:-200] > 0
    x, y, w, h = shape
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    inside = (round(x) <= columns) & (columns <= round(x + w))
    return inside & (round(y) <= rows) & (rows <= round(y + h))


def window(mask):
    """First column and row, and shape, of a mask's pixels, which fill a rectangle."""
    rows, columns = np.nonzero(mask)
    shape = (rows.max() - rows.min() + 1, columns.max() - columns.min() + 1)
    assert mask.sum() == shape[0] * shape[1]
    return (columns.min(), rows.min()) + shape


@pytest.mark.parametrize(
    'rectangle, expected',
    [
        # Both ends are drawn, halves are rounded to even.
        ((2, 3, 4, 1), (2, 3, 2, 5)),
        ((0.5, 1.5, 2, 2), (0, 2, 3, 3)),
        # The borders cut.
        ((-3, -2, 5, 5), (0, 0, 4, 3)),
        ((87, 66, 9, 9), (87, 66, 4, 3)),
        ((-5, -5, 200, 200), (0, 0, HEIGHT, WIDTH)),
    ],
)
def test_rectangle(rectangle, expected):
    assert window(rectangle_mask(rectangle, SIZE)) == expected


@pytest.mark.parametrize('rectangle', [(200, 10, 5, 5), (-20, 10, 5, 5)])
def test_a_rectangle_outside_has_no_pixels(rectangle):
    assert not rectangle_mask(rectangle, SIZE).any()


def overlap(first, second):
    ((value,),) = overlaps([first], [second])
    return value


def test_overlap_by_hand():
    a, b, c = (rectangle_mask(sides, SIZE) for sides in ((0, 0, 2, 1), (2, 1, 1, 3), (3, 0, 1, 1)))
    assert overlap(a, b) == 1 / 13
    assert overlap(a, a) == 1
    assert overlap(a, c) == 0
    nothing = np.zeros_like(a)
    assert overlap(a, nothing) == overlap(nothing, nothing) == 0


def test_ellipse_has_nearly_the_area_of_an_ellipse():
    mask = ellipse_mask((60, 40, 0.7, 200, 200), (400, 400))
    assert np.count_nonzero(mask) == pytest.approx(np.pi * 60.5 * 40.5, rel=0.02)


def test_the_angle_turns_the_major_axis_from_x_towards_y():
    mask = ellipse_mask((30, 5, np.radians(45), 40, 35), SIZE)
    assert mask[35 + 15, 40 + 15] and not mask[35 - 15, 40 + 15]


positions = st.floats(-40, 130)
radii = st.floats(1, 60)
ellipses = st.tuples(radii, radii, st.floats(-3.2, 3.2), positions, positions)
rectangles = st.tuples(positions, positions, st.floats(0, 90), st.floats(0, 90))


def mask_of(shape):
    return (ellipse_mask if len(shape) == 5 else rectangle_mask)(shape, SIZE)


@settings(max_examples=300, deadline=None)
@given(ellipses, st.one_of(rectangles, ellipses))
def test_masks_and_their_overlap(ellipse, other):
    for shape in (ellipse, other):
        expected = drawn(shape)
        cut = len(shape) == 5 and (expected[[0, -1]].any() or expected[:, [0, -1]].any())
        # Where the border cuts an ellipse, OpenCV fills a few pixels more or less.
        assert np.count_nonzero(mask_of(shape) ^ expected) <= (60 if cut else 0)
    a, b = mask_of(ellipse), mask_of(other)
    assert overlap(a, b) == (a & b).sum() / max(1, (a | b).sum())


@pytest.mark.parametrize('x, y', [(0, 35), (90, 35), (45, 0), (45, 70), (0, 0), (90, 70), (-10, 75)])
def test_overlap_at_each_border(x, y):
    a, b = mask_of((25, 18, 1.3, x, y)), mask_of((x - 20.0, y - 22.0, 41.0, 40.0))
    expected = (a & b).sum() / (a | b).sum()
    assert 0 < expected < 1
    assert overlap(a, b) == expected


def test_overlaps_keeps_its_shape_without_regions():
    one = [rectangle_mask((0, 0, 5, 5), SIZE)]
    assert overlaps([], one).shape == (0, 1)
    assert overlaps(one, []).shape == (1, 0)
    assert overlaps(one, one).tolist() == [[1.0]]
