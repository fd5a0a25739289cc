"""What every anchor and every face region is taught: matching, choice of the ROIs (NumPy).

Boxes, anchors and landmarks are in input pixels (see :mod:`uniface_mx.geometry`), labels in the packed rows
of :mod:`uniface_mx.data.records`. Everything here comes from the labels, but for the ROIs that predictions
stand for, so a trainer knows the counts of a whole step (:func:`uniface_mx.train.losses.count_terms`) before the
step begins.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

import numpy as np

from uniface_mx.data.rows import (
    BOX,
    CLASS,
    EMBEDDING,
    EMBEDDING_DIM,
    HAS_EMBEDDING,
    HAS_LANDMARKS,
    IGNORE,
    LANDMARKS,
)
from uniface_mx.geometry import iou
from uniface_mx.nn.coder import decode_boxes, decode_landmarks, encode_boxes, encode_landmarks

BACKGROUND = -1
IGNORED = -2
# Where a face whose landmarks are unknown is taken to have them, as fractions of its box: the mean of 66 of
# MTCNN's faces and their mirror images.
MEAN_LANDMARKS = np.array([[0.28, 0.39], [0.72, 0.39], [0.50, 0.60], [0.30, 0.76], [0.70, 0.76]], np.float32)


class Targets(NamedTuple):
    """What the anchors of a batch are taught (section III.E.1): N images, M anchors.

    Attributes
    ----------
    classes : (N, M) float32
        1 for a face, 0 for background, -1 for neither.
    boxes : (N, M, 4) float32
        Encoded boxes, 0 where the class is not 1.
    landmarks : (N, M, 10) float32
        Encoded landmarks, 0 where they are not taught.
    landmark_mask : (N, M) float32
        1 where the anchor's face has landmarks.
    """

    classes: np.ndarray
    boxes: np.ndarray
    landmarks: np.ndarray
    landmark_mask: np.ndarray


class Predictions(NamedTuple):
    """Decoded detections of a batch, P an image: scores (N, P), boxes (N, P, 4), landmarks (N, P, 5, 2)."""

    scores: np.ndarray
    boxes: np.ndarray
    landmarks: np.ndarray


class Rois(NamedTuple):
    """The faces that the recognition branch sees; R is a multiple of the bucket, the rest is zeros.

    Attributes
    ----------
    faces : (R, 15) float32
        Number of the image in the batch, box, landmarks: the second input of the branch.
    embeddings : (R, 128) float32
        The teacher's raw embeddings.
    mask : (R,) float32
        1 for faces, 0 behind the last.
    predicted : (R,) bool
        Whether a prediction stands for the face.
    """

    faces: np.ndarray
    embeddings: np.ndarray
    mask: np.ndarray
    predicted: np.ndarray


def match(
    boxes: np.ndarray,
    anchors: np.ndarray,
    ignore: Optional[np.ndarray] = None,
    threshold: float = 0.5,
    ignore_threshold: float = 0.3,
) -> np.ndarray:
    """The face that each anchor is taught (section III.E.1).

    First every face takes its best anchor, one anchor each, by descending overlap (a face that no free anchor
    overlaps takes none). Then every anchor goes to the face that it overlaps most, from an overlap of
    ``threshold``; from ``ignore_threshold`` it is left out where that face is an ignored one. All others are
    background. Equal overlaps go to the face, and to the anchor, that comes first, and to a taught face
    before an ignored one.

    Parameters
    ----------
    boxes : (G, 4) array
        Of positive width and height; G may be 0.
    anchors : (M, 4) array
        ``xyxy``, like all boxes.
    ignore : (G,) bool array, optional
        Faces that are neither taught nor background.

    Returns
    -------
    (M,) int array
        Index of the face, or `BACKGROUND`, or `IGNORED`.
    """
    matched = np.full(len(anchors), BACKGROUND, dtype=np.int64)
    if len(boxes) == 0:
        return matched
    ignore = np.zeros(len(boxes), dtype=bool) if ignore is None else np.asarray(ignore, dtype=bool)
    faces = np.argsort(ignore, kind='stable')
    taught = len(faces) - np.count_nonzero(ignore)
    overlaps = iou(boxes[faces], anchors)

    near = np.flatnonzero(overlaps.max(axis=0) >= min(threshold, ignore_threshold))
    owner = overlaps[:, near].argmax(axis=0)
    reached = overlaps[owner, near] >= np.where(owner < taught, threshold, ignore_threshold)
    matched[near[reached]] = np.where(owner < taught, faces[owner], IGNORED)[reached]

    free = overlaps[:taught]
    for _ in range(taught):
        face, anchor = np.unravel_index(free.argmax(), free.shape)
        if free[face, anchor] <= 0:
            break
        matched[anchor] = faces[face]
        free[face] = free[:, anchor] = 0
    return matched


def real_faces(labels: np.ndarray) -> np.ndarray:
    """Mask (..., G) of the label rows (..., G, 146) that hold a face: neither padding nor without an area."""
    boxes = labels[..., BOX]
    size = boxes[..., 2:] - boxes[..., :2]
    return (labels[..., CLASS] >= 0) & np.isfinite(boxes).all(axis=-1) & (size > 0).all(axis=-1)


def _has_landmarks(labels: np.ndarray) -> np.ndarray:
    return (labels[..., HAS_LANDMARKS] > 0) & np.isfinite(labels[..., LANDMARKS]).all(axis=-1)


def assign_targets(
    labels: np.ndarray, anchors: np.ndarray, threshold: float = 0.5, ignore_threshold: float = 0.3
) -> Targets:
    """Targets of a batch of labels (N, G, 146) on anchors (M, 4), both in input pixels; see :func:`match`."""
    count, size = len(labels), len(anchors)
    targets = Targets(
        np.zeros((count, size), np.float32),
        np.zeros((count, size, 4), np.float32),
        np.zeros((count, size, 10), np.float32),
        np.zeros((count, size), np.float32),
    )
    for image, rows in enumerate(labels):
        rows = rows[real_faces(rows)]
        matched = match(rows[:, BOX], anchors, rows[:, IGNORE] > 0, threshold, ignore_threshold)
        targets.classes[image, matched == IGNORED] = -1
        taught = np.flatnonzero(matched >= 0)
        rows = rows[matched[taught]]
        targets.classes[image, taught] = 1
        targets.boxes[image, taught] = encode_boxes(rows[:, BOX], anchors[taught])
        pointed = _has_landmarks(rows)
        taught, points = taught[pointed], rows[pointed, LANDMARKS].reshape(-1, 5, 2)
        targets.landmark_mask[image, taught] = 1
        targets.landmarks[image, taught] = encode_landmarks(points, anchors[taught])
    return targets


def decode_predictions(
    logits: np.ndarray, boxes: np.ndarray, landmarks: np.ndarray, anchors: np.ndarray, top: int = 400
) -> Predictions:
    """The ``top`` most confident predictions of each image, decoded, in no order.

    Parameters
    ----------
    logits : (N, M, 2) array
        Background, face.
    boxes, landmarks : (N, M, 4) and (N, M, 10) arrays
        Offsets to ``anchors`` (M, 4).
    """
    margin = logits[..., 1] - logits[..., 0]
    top = min(top, len(anchors))
    best = np.argpartition(-margin, top - 1, axis=1)[:, :top]
    rows = np.arange(len(best))[:, None]
    return Predictions(
        margin[rows, best],
        decode_boxes(boxes[rows, best], anchors[best]),
        decode_landmarks(landmarks[rows, best], anchors[best]),
    )


def _stand_ins(boxes: np.ndarray, predictions: Predictions, image: int, threshold: float) -> np.ndarray:
    """Index (G,) of the most confident prediction that belongs to each face, -1 where none does."""
    with np.errstate(invalid='ignore'):
        overlaps = iou(boxes, predictions.boxes[image])
    belongs = (overlaps >= threshold) & (overlaps >= overlaps.max(axis=0))
    belongs &= np.isfinite(predictions.landmarks[image]).all(axis=(1, 2))
    best = np.where(belongs, predictions.scores[image], -np.inf).argmax(axis=1)
    return np.where(belongs.any(axis=1), best, -1)


def select_rois(
    labels: np.ndarray, predictions: Optional[Predictions] = None, bucket: int = 8, threshold: float = 0.5
) -> Rois:
    """The faces with an embedding to learn, each where it was detected (sections III.D and III.E.2).

    A prediction belongs to the face that it overlaps most, from a Jaccard overlap of ``threshold``; the most
    confident of a face's predictions stands for it, as non-maximum suppression would choose. A face without
    one stands for itself, at average landmarks where its own are unknown. Which faces are chosen depends on
    the labels alone.

    Parameters
    ----------
    labels : (N, G, 146) array
        In input pixels.
    predictions : Predictions, optional
        Without them every face stands for itself (``roi_source: ground_truth``).
    bucket : int
        The number of rows is the next multiple of it, and at least one bucket, so that few shapes occur.
    """
    chosen_rows = []
    for image, rows in enumerate(labels):
        rows = rows[real_faces(rows)]
        chosen = (rows[:, HAS_EMBEDDING] > 0) & ~(rows[:, IGNORE] > 0)
        if not chosen.any():
            continue
        box = rows[:, BOX].astype(np.float32)
        points = box[:, None, :2] + MEAN_LANDMARKS * (box[:, None, 2:] - box[:, None, :2])
        points = np.where(_has_landmarks(rows)[:, None], rows[:, LANDMARKS], points.reshape(-1, 10))
        found = np.zeros(len(rows), dtype=bool)
        if predictions is not None:
            best = _stand_ins(box, predictions, image, threshold)
            found = best >= 0
            box[found] = predictions.boxes[image, best[found]]
            points[found] = predictions.landmarks[image, best[found]].reshape(-1, 10)
        faces = np.concatenate([np.full((len(rows), 1), image), box, points], axis=1)
        chosen_rows.append((faces[chosen], rows[chosen, EMBEDDING], found[chosen]))

    count = sum(len(faces) for faces, _, _ in chosen_rows)
    size = max(-(-count // bucket), 1) * bucket
    rois = Rois(
        np.zeros((size, 15), np.float32),
        np.zeros((size, EMBEDDING_DIM), np.float32),
        (np.arange(size) < count).astype(np.float32),
        np.zeros(size, bool),
    )
    if count:
        faces, embeddings, predicted = map(np.concatenate, zip(*chosen_rows))
        rois.faces[:count], rois.embeddings[:count], rois.predicted[:count] = faces, embeddings, predicted
    return rois
