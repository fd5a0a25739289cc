"""Faces as sets of pixels, which is how FDDB's own program compares them.

The program fills the ellipse or the rectangle into a mask of the image's size with OpenCV's drawing functions
and counts pixels. That settles the details: centres and corners are rounded (halves to even), axes are cut to
whole pixels, angles rounded to whole degrees, both ends of a rectangle are drawn, and what lies outside the
image does not count. Here a region keeps only the window that holds it, so that a comparison costs the pixels
that two regions share and not those of the photo; the counts are the same.
"""

from __future__ import annotations

from typing import NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np


class Region(NamedTuple):
    """Pixels of the image: ``mask`` (h, w) bool, its top-left pixel at column ``x`` and row ``y``."""

    x: int
    y: int
    mask: np.ndarray


def ellipse_region(ellipse: Sequence[float], size: Optional[Tuple[int, int]] = None) -> Region:
    """Pixels of an ellipse.

    Parameters
    ----------
    ellipse : sequence of float
        FDDB's five numbers: major and minor radius, angle of the major axis to the x axis (radians), centre
        x, y.
    size : (int, int), optional
        Width and height of the image. Without it only the left and top borders cut.
    """
    major, minor, angle, centre_x, centre_y = (float(value) for value in ellipse[:5])
    axes, x, y = (int(major), int(minor)), int(np.rint(centre_x)), int(np.rint(centre_y))
    reach = max(axes) + 2
    width, height = (max(1, x + reach), max(1, y + reach)) if size is None else size
    mask = np.zeros((height, width), np.uint8)
    cv2.ellipse(mask, (x, y), axes, np.degrees(angle), 0, 360, 1, cv2.FILLED)
    left, top = max(0, x - reach), max(0, y - reach)
    return Region(left, top, mask[top : max(0, y + reach), left : max(0, x + reach)].view(bool))


def rectangle_region(rectangle: Sequence[float], size: Optional[Tuple[int, int]] = None) -> Region:
    """Pixels of a rectangle, given as x, y, width, height; both end columns and rows are drawn.

    ``size`` as in :func:`ellipse_region`.
    """
    x, y, width, height = (float(value) for value in rectangle[:4])
    first, last = np.rint([x, y]).astype(int), np.rint([x + width, y + height]).astype(int)
    (left, top), (right, bottom) = np.minimum(first, last), np.maximum(first, last)
    left, top = max(left, 0), max(top, 0)
    if size is not None:
        right, bottom = min(right, size[0] - 1), min(bottom, size[1] - 1)
    return Region(int(left), int(top), np.ones((max(0, bottom - top + 1), max(0, right - left + 1)), bool))


def overlap(a: Region, b: Region) -> float:
    """Pixels in both regions over pixels in either; 0 where both are empty."""
    left, top = max(a.x, b.x), max(a.y, b.y)
    right = min(a.x + a.mask.shape[1], b.x + b.mask.shape[1])
    bottom = min(a.y + a.mask.shape[0], b.y + b.mask.shape[0])
    if right <= left or bottom <= top:
        return 0.0
    both = np.count_nonzero(
        a.mask[top - a.y : bottom - a.y, left - a.x : right - a.x]
        & b.mask[top - b.y : bottom - b.y, left - b.x : right - b.x]
    )
    return both / (np.count_nonzero(a.mask) + np.count_nonzero(b.mask) - both) if both else 0.0


def overlaps(annotated: Sequence[Region], detected: Sequence[Region]) -> np.ndarray:
    """Overlap of every annotated region with every detected one, (A, D) float64."""
    return np.array([[overlap(a, d) for d in detected] for a in annotated], np.float64).reshape(
        len(annotated), len(detected)
    )
