"""Faces as sets of pixels, which is how FDDB's own program compares them.

The program fills the ellipse or the rectangle into a mask of the image's size with OpenCV's drawing functions
and counts pixels. That settles the details: centres and corners are rounded (halves to even), axes are cut to
whole pixels, angles rounded to whole degrees, both ends of a rectangle are drawn, and what lies outside the
image does not count.
"""

from __future__ import annotations

from typing import Sequence, Tuple

import cv2
import numpy as np


def ellipse_mask(ellipse: Sequence[float], size: Tuple[int, int]) -> np.ndarray:
    """Pixels (height, width) bool of an ellipse in an image of ``size``, width and height.

    ``ellipse`` is FDDB's five numbers: major and minor radius, angle of the major axis to the x axis (radians),
    centre x, y.
    """
    major, minor, angle, x, y = (float(value) for value in ellipse[:5])
    mask, axes = np.zeros(size[::-1], np.uint8), (int(major), int(minor))
    cv2.ellipse(mask, (round(x), round(y)), axes, np.degrees(angle), 0, 360, 1, cv2.FILLED)
    return mask.view(bool)


def rectangle_mask(rectangle: Sequence[float], size: Tuple[int, int]) -> np.ndarray:
    """Pixels (height, width) bool of a rectangle, given as x, y, width, height, in an image of ``size``."""
    x, y, width, height = (float(value) for value in rectangle[:4])
    mask = np.zeros(size[::-1], np.uint8)
    cv2.rectangle(mask, (round(x), round(y)), (round(x + width), round(y + height)), 1, cv2.FILLED)
    return mask.view(bool)


def overlaps(annotated: Sequence[np.ndarray], detected: Sequence[np.ndarray]) -> np.ndarray:
    """Pixels in both masks over pixels in either, of every annotated with every detected one, (A, D) float64.

    0 where both are empty.
    """
    areas = np.array([np.count_nonzero(mask) for mask in detected], int)
    table = np.zeros((len(annotated), len(detected)))
    for row, mask in zip(table, annotated):
        both = np.array([np.count_nonzero(mask & other) for other in detected], int)
        either = np.count_nonzero(mask) + areas - both
        np.divide(both, either, out=row, where=both > 0)
    return table
