"""Boxes and how detections are matched with faces, landmarks, letterbox and their inverses, and unit vectors, in NumPy.

The one coordinate rule of the package: a point (x, y) is continuous, in pixels of the image at hand, and
pixel ``i`` covers [i, i + 1). Boxes are ``xyxy``, right and bottom exclusive. Landmarks are five points,
ordered image-left eye, image-right eye, nose, image-left mouth corner, image-right mouth corner.
"""

from __future__ import annotations

from typing import NamedTuple, Tuple

import cv2
import numpy as np

MIRRORED_LANDMARKS = (1, 0, 2, 4, 3)
# Side of the network's input in pixels (section IV.A).
INPUT_SIZE = 300
# The least overlap of a detection with the face that it finds.
SAME_FACE = 0.5


def area(boxes: np.ndarray) -> np.ndarray:
    """Areas of boxes (..., 4) in square pixels; 0 where a box is inside out."""
    boxes = np.asarray(boxes, dtype=np.float64)
    return np.maximum(boxes[..., 2] - boxes[..., 0], 0) * np.maximum(boxes[..., 3] - boxes[..., 1], 0)


def intersection(boxes_a: np.ndarray, boxes_b: np.ndarray) -> np.ndarray:
    """Areas (A, B) that boxes (A, 4) and boxes (B, 4) share, in square pixels."""
    # Coordinate by coordinate: ten times faster for thousands of boxes.
    a = np.asarray(boxes_a, dtype=np.float64).reshape(-1, 4).T[..., None]
    b = np.ascontiguousarray(np.asarray(boxes_b, dtype=np.float64).reshape(-1, 4).T)[:, None]
    width = np.minimum(a[2], b[2]) - np.maximum(a[0], b[0])
    height = np.minimum(a[3], b[3]) - np.maximum(a[1], b[1])
    return np.maximum(width, 0) * np.maximum(height, 0)


def iou(boxes_a: np.ndarray, boxes_b: np.ndarray) -> np.ndarray:
    """Jaccard overlaps (A, B) of boxes (A, 4) and boxes (B, 4); 0 where both are empty."""
    shared = intersection(boxes_a, boxes_b)
    union = area(boxes_a).reshape(-1, 1) + area(boxes_b).reshape(1, -1) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


class Matched(NamedTuple):
    """One photo's outcome.

    ``scores`` (D,) of the detections that count, ``hits`` (D,) bool whether each found a face, ``numbers`` (D,)
    int which of all detections each is, ``found`` (G,) the score with which each face that counts was found, -inf
    where it was not, ``by`` (G,) int the number of the detection that found it, -1 where none did.
    """

    scores: np.ndarray
    hits: np.ndarray
    numbers: np.ndarray
    found: np.ndarray
    by: np.ndarray


def match_boxes(boxes: np.ndarray, scores: np.ndarray, faces: np.ndarray, ignored: np.ndarray) -> Matched:
    """Give each detection, by falling score, the face that it overlaps most and that is not yet found.

    Parameters
    ----------
    boxes : (D, 4) array
    scores : (D,) array
    faces : (G, 4) array
    ignored : (G,) bool array
        Faces that need not be found; a detection that finds no other face, and overlaps such a one by
        0.5 or lies in it by half, does not count.
    """
    boxes, faces = np.reshape(boxes, (-1, 4)), np.reshape(faces, (-1, 4))
    scores, ignored = np.asarray(scores, np.float64), np.asarray(ignored, bool)
    overlap = iou(boxes, faces)
    own_area = np.maximum(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), 1e-9)
    inside = intersection(boxes, faces) / own_area[:, None]
    excused = ((overlap >= SAME_FACE) | (inside >= 0.5))[:, ignored].any(axis=1)
    overlap = overlap[:, ~ignored]
    found, by = np.full(overlap.shape[1], -np.inf), np.full(overlap.shape[1], -1)
    hits, order = np.zeros(len(boxes), bool), np.argsort(-scores, kind='stable')
    for detection in order if overlap.size else ():
        free = np.where(by < 0, overlap[detection], -1.0)
        best = np.argmax(free)
        if free[best] >= SAME_FACE:
            found[best], by[best], hits[detection] = scores[detection], detection, True
    numbers = order[(hits | ~excused)[order]]
    return Matched(scores[numbers], hits[numbers], numbers, found, by)


def average_precision(scores: np.ndarray, hits: np.ndarray, faces: int) -> float:
    """Area under precision over recall, precision made to fall (VOC 2010 and later).

    Parameters
    ----------
    scores, hits : (D,) arrays
        Of all photos; equal scores count as one threshold.
    faces : int
    """
    thresholds = np.unique(scores)[::-1]
    if not len(thresholds) or not faces:
        return 0.0
    order = np.argsort(-scores, kind='stable')
    last = np.searchsorted(-scores[order], -thresholds, side='right') - 1
    true = np.cumsum(hits[order])[last]
    precision = np.maximum.accumulate((true / (last + 1))[::-1])[::-1]
    return float(np.sum(np.diff(true, prepend=0) / faces * precision))


def clip_boxes(boxes: np.ndarray, width: float, height: float) -> np.ndarray:
    """Boxes (..., 4) cut at the borders of an image of ``width`` x ``height`` pixels."""
    return np.clip(boxes, 0, np.array([width, height, width, height], np.float32))


def xywh_to_xyxy(boxes: np.ndarray) -> np.ndarray:
    """Left, top, width, height (..., 4) to left, top, right, bottom."""
    boxes = np.asarray(boxes)
    return np.concatenate([boxes[..., :2], boxes[..., :2] + boxes[..., 2:]], axis=-1)


def xyxy_to_xywh(boxes: np.ndarray) -> np.ndarray:
    """Left, top, right, bottom (..., 4) to left, top, width, height."""
    boxes = np.asarray(boxes)
    return np.concatenate([boxes[..., :2], boxes[..., 2:] - boxes[..., :2]], axis=-1)


def ellipse_to_box(ellipses: np.ndarray) -> np.ndarray:
    """The upright boxes (..., 4) that just hold ellipses (..., 5).

    An ellipse is FDDB's: major radius, minor radius, angle of the major axis to the x axis in radians, centre
    x, centre y.
    """
    a, b, angle, x, y = np.moveaxis(np.asarray(ellipses, dtype=np.float64), -1, 0)
    half_width = np.hypot(a * np.cos(angle), b * np.sin(angle))
    half_height = np.hypot(a * np.sin(angle), b * np.cos(angle))
    return np.stack([x - half_width, y - half_height, x + half_width, y + half_height], axis=-1)


def flip_boxes(boxes: np.ndarray, width: float) -> np.ndarray:
    """Boxes (..., 4) in the mirror image of an image ``width`` pixels wide."""
    boxes = np.asarray(boxes)
    return np.stack([width - boxes[..., 2], boxes[..., 1], width - boxes[..., 0], boxes[..., 3]], axis=-1)


def flip_landmarks(landmarks: np.ndarray, width: float) -> np.ndarray:
    """Landmarks (..., 5, 2) in the mirror image of an image ``width`` wide; left and right change places."""
    landmarks = np.asarray(landmarks)[..., list(MIRRORED_LANDMARKS), :]
    return np.stack([width - landmarks[..., 0], landmarks[..., 1]], axis=-1)


def point_errors(predicted: np.ndarray, annotated: np.ndarray) -> np.ndarray:
    """Distances (..., 5) of points (..., 5, 2) from annotated ones, over the annotated distance of the eyes."""
    predicted, annotated = np.asarray(predicted, np.float64), np.asarray(annotated, np.float64)
    eyes = np.linalg.norm(annotated[..., 0, :] - annotated[..., 1, :], axis=-1)
    return np.linalg.norm(predicted - annotated, axis=-1) / eyes[..., None]


def unit_vectors(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., d) at length one; a vector of zeros stays."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)


def letterbox_scale(height: int, width: int, size: int) -> float:
    """The factor from an image's pixels to the pixels of its letterbox (section IV.A)."""
    return size / max(height, width)


def letterbox(image: np.ndarray, size: int) -> Tuple[np.ndarray, float]:
    """Pad an image with 0 at the right or bottom to a square, and resize it (section IV.A).

    Parameters
    ----------
    image : numpy.ndarray
        (H, W, 3) uint8.
    size : int
        Side of the result in pixels.

    Returns
    -------
    (numpy.ndarray, float)
        The (size, size, 3) image, and the scale by which points and boxes are multiplied on the way in and
        divided on the way out: padding moves nothing.
    """
    height, width = image.shape[:2]
    scale = letterbox_scale(height, width, size)
    inner_height, inner_width = (max(1, int(round(side * scale))) for side in (height, width))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas = np.zeros((size, size, 3), dtype=np.uint8)
    canvas[:inner_height, :inner_width] = cv2.resize(image, (inner_width, inner_height), interpolation=method)
    return canvas, scale


def similarity_transform(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The rotation, scale and shift that brings points nearest to others (Umeyama, no reflection).

    Parameters
    ----------
    source, target : array_like
        (P, 2) points, P at least 2.

    Returns
    -------
    numpy.ndarray
        (2, 3) float64: ``target ~ source @ M[:, :2].T + M[:, 2]``, least squares.

    Raises
    ------
    ValueError
        The source points coincide.
    """
    source, target = np.asarray(source, dtype=np.float64), np.asarray(target, dtype=np.float64)
    from_centre, to_centre = source.mean(axis=0), target.mean(axis=0)
    s, t = source - from_centre, target - to_centre
    spread = np.sum(s * s)
    if spread < 1e-12:
        raise ValueError('a similarity transform needs two points that differ')
    a = np.sum(s * t) / spread
    b = np.sum(s[:, 0] * t[:, 1] - s[:, 1] * t[:, 0]) / spread
    linear = np.array([[a, -b], [b, a]])
    return np.hstack([linear, (to_centre - linear @ from_centre)[:, None]])


def transform_points(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Points (..., 2) through an affine (2, 3) matrix."""
    return np.asarray(points) @ matrix[:, :2].T + matrix[:, 2]


def invert_transform(matrix: np.ndarray) -> np.ndarray:
    """The (2, 3) affine matrix that undoes another."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.hstack([linear, -(linear @ matrix[:, 2:])])


def warp(
    image: np.ndarray, matrix: np.ndarray, width: int, height: int, border: int = cv2.BORDER_CONSTANT
) -> np.ndarray:
    """Draw an image through an affine matrix given in continuous coordinates (pixel i covers [i, i + 1)).

    OpenCV's own matrices speak of pixel centres at whole numbers; the half pixel is accounted for here.
    """
    linear, shift = matrix[:, :2], matrix[:, 2]
    centred = np.hstack([linear, (shift + linear @ (0.5, 0.5) - 0.5)[:, None]])
    return cv2.warpAffine(image, centred, (width, height), flags=cv2.INTER_LINEAR, borderMode=border)
