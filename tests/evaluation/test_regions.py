import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uniface_mx.evaluation.regions import Region, ellipse_region, overlap, overlaps, rectangle_region

WIDTH, HEIGHT = 90, 70
SIZE = (WIDTH, HEIGHT)


def whole_mask(region, size=SIZE):
    mask = np.zeros((size[1], size[0]), bool)
    height, width = region.mask.shape
    mask[region.y : region.y + height, region.x : region.x + width] = region.mask
    return mask


def drawn(shape, size=SIZE):
    """The shape filled into a mask of the whole image, as FDDB's program does it."""
    mask = np.zeros((size[1], size[0]), np.uint8)
    if len(shape) == 5:
        a, b, angle, x, y = shape
        cv2.ellipse(mask, (round(x), round(y)), (int(a), int(b)), np.degrees(angle), 0, 360, 1, cv2.FILLED)
    else:
        x, y, w, h = shape
        cv2.rectangle(mask, (round(x), round(y)), (round(x + w), round(y + h)), 1, cv2.FILLED)
    return mask > 0


def test_rectangle_has_both_ends():
    region = rectangle_region((2, 3, 4, 1))
    assert (region.x, region.y, region.mask.shape) == (2, 3, (2, 5))
    assert region.mask.all()


def test_rectangle_is_rounded_halves_to_even():
    region = rectangle_region((0.5, 1.5, 2, 2))
    assert (region.x, region.y, region.mask.shape) == (0, 2, (3, 3))


@pytest.mark.parametrize(
    'rectangle, expected',
    [
        ((-3, -2, 5, 5), (0, 0, 4, 3)),
        ((87, 66, 9, 9), (87, 66, 4, 3)),
        ((-5, -5, 200, 200), (0, 0, HEIGHT, WIDTH)),
        ((200, 10, 5, 5), (200, 10, 6, 0)),
        ((-20, 10, 5, 5), (0, 10, 6, 0)),
    ],
)
def test_rectangle_is_cut_at_the_borders(rectangle, expected):
    region = rectangle_region(rectangle, SIZE)
    assert (region.x, region.y) + region.mask.shape == expected


def test_without_a_size_only_left_and_top_cut():
    assert rectangle_region((-3, -2, 200, 100)).mask.shape == (99, 198)


def test_overlap_by_hand():
    a = Region(0, 0, np.ones((2, 3), bool))
    b = Region(2, 1, np.ones((4, 2), bool))
    assert overlap(a, b) == 1 / 13
    assert overlap(a, a) == 1
    assert overlap(a, Region(3, 0, np.ones((2, 2), bool))) == 0
    assert overlap(a, Region(0, 0, np.zeros((2, 3), bool))) == 0


def test_ellipse_has_nearly_the_area_of_an_ellipse():
    region = ellipse_region((60, 40, 0.7, 200, 200))
    assert np.count_nonzero(region.mask) == pytest.approx(np.pi * 60.5 * 40.5, rel=0.02)


def test_the_angle_turns_the_major_axis_from_x_towards_y():
    mask = whole_mask(ellipse_region((30, 5, np.radians(45), 40, 35), SIZE))
    assert mask[35 + 15, 40 + 15] and not mask[35 - 15, 40 + 15]


positions = st.floats(-40, 130)
radii = st.floats(1, 60)
ellipses = st.tuples(radii, radii, st.floats(-3.2, 3.2), positions, positions)
rectangles = st.tuples(positions, positions, st.floats(0, 90), st.floats(0, 90))


@settings(max_examples=300, deadline=None)
@given(ellipses, st.one_of(rectangles, ellipses))
def test_overlap_is_the_count_on_a_mask_of_the_whole_image(ellipse, other):
    a, b = drawn(ellipse), drawn(other)
    expected = (a & b).sum() / max(1, (a | b).sum())
    second = ellipse_region(other, SIZE) if len(other) == 5 else rectangle_region(other, SIZE)
    np.testing.assert_array_equal(whole_mask(ellipse_region(ellipse, SIZE)), a)
    assert overlap(ellipse_region(ellipse, SIZE), second) == expected


@pytest.mark.parametrize('x, y', [(0, 35), (90, 35), (45, 0), (45, 70), (0, 0), (90, 70), (-10, 75)])
def test_overlap_at_each_border(x, y):
    ellipse, rectangle = (25, 18, 1.3, x, y), (x - 20.0, y - 22.0, 41.0, 40.0)
    a, b = drawn(ellipse), drawn(rectangle)
    expected = (a & b).sum() / (a | b).sum()
    assert 0 < expected < 1
    assert overlap(ellipse_region(ellipse, SIZE), rectangle_region(rectangle, SIZE)) == expected


def test_overlaps_keeps_its_shape_without_regions():
    one = [rectangle_region((0, 0, 5, 5))]
    assert overlaps([], one).shape == (0, 1)
    assert overlaps(one, []).shape == (1, 0)
    assert overlaps(one, one).tolist() == [[1.0]]
