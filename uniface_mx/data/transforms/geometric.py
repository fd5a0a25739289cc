"""Geometric transforms: (2, 3) matrices in continuous coordinates, and what they do to faces and pixels.

A chain of transforms is one matrix, so that every photo is resampled once, and only where it is seen.
"""

from __future__ import annotations

from typing import Tuple

import cv2
import numpy as np

from uniface_mx.data.rows import BOX, EMBEDDING, HAS_EMBEDDING, HAS_LANDMARKS, IGNORE, LANDMARKS
from uniface_mx.geometry import MIRRORED_LANDMARKS, area, transform_points

# Width over height of random crops is at most this, at least its inverse.
ASPECT = 2.0


def scale_matrix(scale_x: float, scale_y: float) -> np.ndarray:
    """Multiplies x and y."""
    return np.array([[scale_x, 0, 0], [0, scale_y, 0]], np.float64)


def flip_matrix(width: float) -> np.ndarray:
    """Mirrors an image `width` pixels wide."""
    return np.array([[-1, 0, width], [0, 1, 0]], np.float64)


def rotation_matrix(degrees: float, centre_x: float, centre_y: float) -> np.ndarray:
    """Turns around a point, clockwise as seen on the screen."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    linear = np.array([[cos, -sin], [sin, cos]])
    centre = np.array([centre_x, centre_y])
    return np.hstack([linear, (centre - linear @ centre)[:, None]])


def window_matrix(window: np.ndarray, size: int) -> np.ndarray:
    """Shows a window (x1, y1, x2, y2) of a photo on a canvas `size` pixels wide, letterboxed."""
    scale = size / max(window[2] - window[0], window[3] - window[1])
    return np.array([[scale, 0, -scale * window[0]], [0, scale, -scale * window[1]]])


def chain(*matrices: np.ndarray) -> np.ndarray:
    """One matrix for several, the first one applied first."""
    linear, shift = np.eye(2), np.zeros(2)
    for matrix in matrices:
        linear, shift = matrix[:, :2] @ linear, matrix[:, :2] @ shift + matrix[:, 2]
    return np.hstack([linear, shift[:, None]])


def matrix_scale(matrix: np.ndarray) -> float:
    """By how much lengths grow."""
    return float(np.sqrt(abs(_determinant(matrix))))


def _determinant(matrix: np.ndarray) -> float:
    # NumPy's would wake LAPACK's threads for four numbers.
    return matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0]


def transform_objects(objects: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Faces seen through a matrix.

    A box stands for the ellipse that it holds: turned by a few degrees it hardly grows, as a face does, where
    the turned rectangle's hull would. A mirrored face's left and right points change places; its embedding
    stays, as the teacher's vector is the mean of the face's and its mirror image's.

    Parameters
    ----------
    objects : (G, 146) float32
        Label rows, in pixels.
    matrix : (2, 3) float64

    Returns
    -------
    (G, 146) float32
        New rows, in the pixels that the matrix leads to.
    """
    moved = objects.copy()
    low, high = np.split(objects[:, BOX].astype(np.float64), 2, axis=1)
    centres = transform_points((low + high) / 2, matrix)
    halves = np.sqrt(((high - low) / 2) ** 2 @ (matrix[:, :2] ** 2).T)
    moved[:, BOX] = np.hstack([centres - halves, centres + halves])
    points = transform_points(objects[:, LANDMARKS].reshape(-1, 5, 2).astype(np.float64), matrix)
    if _determinant(matrix) < 0:
        points = points[:, list(MIRRORED_LANDMARKS)]
    moved[:, LANDMARKS] = points.reshape(-1, 10)
    moved[objects[:, HAS_LANDMARKS] == 0, LANDMARKS] = 0
    return moved


def sides(objects: np.ndarray) -> np.ndarray:
    """Square roots of the boxes' areas, (G,)."""
    return np.sqrt(area(objects[:, BOX]))


def forget(objects: np.ndarray, rows: np.ndarray, landmarks: bool = True) -> None:
    """Take the embeddings, and the landmarks if asked, of some rows away, in place."""
    objects[rows, HAS_EMBEDDING] = 0
    objects[rows, EMBEDDING] = 0
    if landmarks:
        objects[rows, HAS_LANDMARKS] = 0
        objects[rows, LANDMARKS] = 0


def cut_objects(
    objects: np.ndarray,
    region: np.ndarray,
    drop_visible: float,
    keep_visible: float,
    embedding_visible: float,
) -> np.ndarray:
    """Faces as far as they are seen in a region.

    By the visible part of a face's box: below `drop_visible` the face is left out; below `keep_visible` it is
    marked to be ignored, being neither a face worth finding nor background; otherwise it stays, its box cut
    at the border. Its landmarks stay if all five are visible, its embedding if they are and
    `embedding_visible` of the box is.

    Parameters
    ----------
    objects : (G, 146) float32
    region : (4,) x1, y1, x2, y2
        In the same pixels.

    Returns
    -------
    (G', 146) float32
    """
    low, high = np.tile(region[:2], 2), np.tile(region[2:], 2)
    clipped = np.clip(objects[:, BOX], low, high)
    visible = area(clipped) / np.maximum(area(objects[:, BOX]), 1e-9)
    points = objects[:, LANDMARKS].reshape(-1, 5, 2)
    points_in = ((points >= region[:2]) & (points <= region[2:])).all(axis=(1, 2))
    lost = (objects[:, HAS_LANDMARKS] == 1) & ~points_in
    cut = objects.copy()
    cut[:, BOX] = clipped
    ignored = visible < keep_visible
    cut[ignored, IGNORE] = 1
    forget(cut, ignored | lost)
    forget(cut, visible < embedding_visible, landmarks=False)
    return cut[(visible >= drop_visible) & (visible > 0)]


def ignore_small(objects: np.ndarray, detail: np.ndarray, min_side: float, embedding_side: float) -> None:
    """Mark faces too small to find, and take the embeddings of those too small to recognise, in place.

    Parameters
    ----------
    objects : (G, 146) float32
        In canvas pixels.
    detail : (G,)
        How many real pixels a face's side has: enlarging adds none, low resolution takes some away.
    """
    small = sides(objects) < min_side
    objects[small, IGNORE] = 1
    forget(objects, small)
    forget(objects, detail < embedding_side, landmarks=False)


def paint(canvas: np.ndarray, cell: np.ndarray, image: np.ndarray, matrix: np.ndarray) -> None:
    """Draw an image through a matrix onto a cell of a canvas, in place; beyond the image the canvas stays.

    Parameters
    ----------
    canvas : (S, S, 3) uint8
    cell : (4,) int
        x1, y1, x2, y2 on the canvas.
    image : (H, W, 3) uint8
    matrix : (2, 3)
        From the image's to the canvas's continuous coordinates.
    """
    x1, y1, x2, y2 = (int(v) for v in cell)
    linear = matrix[:, :2]
    # OpenCV's matrices speak of pixel centres at whole numbers.
    shift = matrix[:, 2] - (x1, y1) + linear @ (0.5, 0.5) - 0.5
    cv2.warpAffine(
        image,
        np.hstack([linear, shift[:, None]]),
        (x2 - x1, y2 - y1),
        dst=canvas[y1:y2, x1:x2],
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_TRANSPARENT,
    )


def crop_window(
    width: float,
    height: float,
    boxes: np.ndarray,
    rng: np.random.Generator,
    scale: Tuple[float, float],
    min_overlap: float,
    tries: int = 50,
) -> np.ndarray:
    """SSD's random crop: a window that shows at least one face with some overlap.

    Parameters
    ----------
    width, height : float
        Of the photo.
    boxes : (G, 4)
    scale : (float, float)
        Range of the window's sides as parts of the photo's.
    min_overlap : float
        So much of one face's box must be seen (SSD asks for the IoU with the window, which small faces never
        reach).

    Returns
    -------
    (4,) float64
        The window in photo pixels; the whole photo if no try satisfied the rule.
    """
    for _ in range(tries):
        w, h = width * rng.uniform(*scale), height * rng.uniform(*scale)
        if not 1 / ASPECT <= w / h <= ASPECT:
            continue
        x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
        window = np.array([x, y, x + w, y + h])
        seen = area(np.hstack([np.maximum(boxes[:, :2], window[:2]), np.minimum(boxes[:, 2:], window[2:])]))
        if not len(boxes) or (seen >= min_overlap * area(boxes)).any():
            return window
    return np.array([0, 0, width, height], np.float64)


def expand_window(width: float, height: float, rng: np.random.Generator, max_ratio: float) -> np.ndarray:
    """SSD's expansion: a window around the photo, up to `max_ratio` times its sides, (4,) in its pixels."""
    ratio = rng.uniform(1, max_ratio)
    x, y = -rng.uniform(0, width * (ratio - 1)), -rng.uniform(0, height * (ratio - 1))
    return np.array([x, y, x + width * ratio, y + height * ratio])
