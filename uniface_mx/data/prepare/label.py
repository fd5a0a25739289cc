"""Which faces a photo's label holds: the source's annotation against the teacher's eyes (section IV.A).

Ground truth wins. A source whose boxes have another habit takes the teacher's box where the two agree. A face
that only the teacher sees is dropped where the annotation is complete, ignored where it is not, and the truth
where there is none. A masked face has a box, but no landmarks and no embedding.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Callable, Optional, Tuple

import numpy as np

from uniface_mx.data.sources.base import SourceImage
from uniface_mx.geometry import area, clip_boxes, intersection, iou
from uniface_mx.teachers.base import Detections

# MTCNN's box around the five points of a frontal face: from their mean, in units of the distance between the
# middle of the eyes and the middle of the mouth; medians over every fiftieth photo of net_7876.
BOX_ABOUT_POINTS = (-1.01, -1.58, 1.01, 1.14)


@dataclass(frozen=True)
class Rules:
    """How labels are made.

    Parameters
    ----------
    accept : float
        Score from which a face that only the teacher sees is one; below it is ignored.
    agree : float
        Overlap (IoU) from which an annotated and a seen box are the same face.
    min_face : float
        Shorter side of a face, in pixels of the photo, from which the teachers' landmarks and embeddings
        count.
    """

    accept: float = 0.9
    agree: float = 0.5
    min_face: float = 24.0


@dataclass
class Faces:
    """The faces of a photo, those to learn first, each group by descending area.

    Parameters
    ----------
    boxes : (G, 4) float32
        Pixels of the photo, within it.
    landmarks : (G, 5, 2) float32
        Pixels of the photo; NaN rows where unknown.
    show_landmarks, embed, ignore : (G,) bool
        Have landmarks to learn; get an embedding; are neither taught nor mined.
    person : str or None
        The main face's.
    surprises : int
        Faces that only the teacher sees, and surely, in an annotated photo.
    counts : Counter
        What the rules did.
    """

    boxes: np.ndarray
    landmarks: np.ndarray
    show_landmarks: np.ndarray
    embed: np.ndarray
    ignore: np.ndarray
    person: Optional[str]
    surprises: int
    counts: Counter


def label_faces(
    image: SourceImage,
    seen: Detections,
    refine: Callable[[np.ndarray], Detections],
    size: Tuple[int, int],
    complete: bool,
    teacher_box: bool,
    rules: Rules,
) -> Faces:
    """Decide on the faces of one photo.

    Parameters
    ----------
    image : SourceImage
        The annotation.
    seen : Detections
        What the landmark teacher saw.
    refine : callable
        (G, 4) boxes to `Detections`, row for row: the teacher's second look at faces it overlooked.
    size : (int, int)
        The photo's width and height.
    complete, teacher_box : bool
        Of the source.
    rules : Rules
    """
    counts: Counter = Counter()
    annotated = image.boxes is not None or image.landmarks is not None
    truth = _Truth(image)
    match = _match(truth, seen, rules.agree)
    matched = match >= 0
    boxes, landmarks = truth.boxes.copy(), truth.landmarks.copy()
    take = matched & (teacher_box or not truth.has_boxes)
    boxes[take] = seen.boxes[match[take]]
    unknown = np.isnan(landmarks).any(axis=(1, 2)) & ~truth.masked & ~truth.ignore
    landmarks[unknown & matched] = seen.landmarks[match[unknown & matched]]
    overlooked = np.flatnonzero((unknown | (not truth.has_boxes)) & ~matched)
    if len(overlooked):
        second = refine(boxes[overlooked])
        found = ~np.isnan(second.landmarks).any(axis=(1, 2))
        better = overlooked[found & unknown[overlooked]]
        landmarks[better] = second.landmarks[np.searchsorted(overlooked, better)]
        if not truth.has_boxes:
            boxes[overlooked[found]] = second.boxes[found]
        counts['annotated faces found at a second look'] += int(found.sum())
    ignore = truth.ignore.copy()
    persons = list(truth.persons)
    counts['annotated faces'] += len(boxes)
    counts['annotated faces that the teacher sees'] += int(matched.sum())
    counts['masked faces'] += int(truth.masked.sum())

    alone = np.setdiff1d(np.arange(len(seen.boxes)), match)
    if len(alone) and len(boxes):
        shared = intersection(seen.boxes[alone], boxes)
        smaller = np.minimum.outer(area(seen.boxes[alone]), area(boxes))
        alone = alone[(shared < 0.5 * smaller).all(1)]
    surprises = int((seen.scores[alone] >= rules.accept).sum()) if annotated else 0
    if annotated and complete:
        counts['faces that only the teacher sees, dropped'] += len(alone)
        alone = alone[:0]
    if len(alone):
        uncertain = np.full(len(alone), True) if annotated else seen.scores[alone] < rules.accept
        counts['faces that only the teacher sees, ignored'] += int(uncertain.sum())
        boxes = np.concatenate([boxes, seen.boxes[alone]])
        landmarks = np.concatenate([landmarks, seen.landmarks[alone]])
        ignore = np.concatenate([ignore, uncertain])
        persons += [None] * len(alone)
    masked = np.concatenate([truth.masked, np.zeros(len(alone), bool)])
    given = np.concatenate([~np.isnan(truth.landmarks).any(axis=(1, 2)), np.zeros(len(alone), bool)])
    return _assemble(image, boxes, landmarks, masked, ignore, given, persons, size, rules, surprises, counts)


def _assemble(
    image, boxes, landmarks, masked, ignore, given, persons, size, rules, surprises, counts
) -> Faces:
    boxes = clip_boxes(boxes, *size).astype(np.float32)
    landmarks = np.where((masked | ignore)[:, None, None], np.nan, landmarks).astype(np.float32)
    large = (boxes[:, 2:] - boxes[:, :2]).min(axis=1, initial=np.inf) >= rules.min_face
    known = ~np.isnan(landmarks).any(axis=(1, 2))
    counts['faces too small for the teachers'] += int((known & ~large).sum())
    with np.errstate(invalid='ignore'):
        inside = ((landmarks >= 0) & (landmarks <= np.array(size))).all(axis=(1, 2))
    solid = area(boxes) > 0
    order = np.array(sorted(np.flatnonzero(solid), key=lambda i: (ignore[i], -area(boxes[i]))), int)
    named = [persons[i] for i in order if persons[i] is not None and not ignore[i]]
    show, embed = known & inside & (given | large), known & large
    return Faces(
        boxes[order],
        landmarks[order],
        show[order],
        embed[order],
        ignore[order],
        image.person or (named[0] if named else None),
        surprises,
        counts,
    )


class _Truth:
    """An annotation with every optional part filled in."""

    def __init__(self, image: SourceImage):
        self.has_boxes = image.boxes is not None
        count = len(image.boxes) if self.has_boxes else 0 if image.landmarks is None else len(image.landmarks)
        self.landmarks = (
            np.full((count, 5, 2), np.nan, np.float32)
            if image.landmarks is None
            else np.asarray(image.landmarks, np.float32)
        )
        self.boxes = np.asarray(
            image.boxes if self.has_boxes else box_about_points(self.landmarks), np.float32
        )
        self.boxes = self.boxes.reshape(-1, 4)
        self.masked = np.zeros(count, bool) if image.masked is None else np.asarray(image.masked, bool)
        self.ignore = np.zeros(count, bool) if image.ignore is None else np.asarray(image.ignore, bool)
        self.persons = image.persons or (None,) * count


def box_about_points(landmarks: np.ndarray) -> np.ndarray:
    """A box (G, 4) as MTCNN would draw it around the five points (G, 5, 2) of a face."""
    centre = landmarks.mean(axis=1)
    unit = np.linalg.norm(landmarks[:, 3:].mean(axis=1) - landmarks[:, :2].mean(axis=1), axis=1)
    eyes = np.linalg.norm(landmarks[:, 1] - landmarks[:, 0], axis=1)
    unit = np.maximum(unit, eyes)
    return np.concatenate([centre, centre], axis=1) + unit[:, None] * np.array(BOX_ABOUT_POINTS)


def _match(truth: _Truth, seen: Detections, agree: float) -> np.ndarray:
    """For each annotated face the number of the seen face that is the same, or -1."""
    match = np.full(len(truth.boxes), -1)
    if not len(match) or not len(seen.boxes):
        return match
    overlap = iou(truth.boxes, seen.boxes) if truth.has_boxes else np.zeros((len(match), len(seen.boxes)))
    points = truth.landmarks[:, None]
    holds = ((points >= seen.boxes[:, None, :2]) & (points <= seen.boxes[:, None, 2:])).all(axis=(2, 3))
    # Boxes that hold the points come after those that overlap, the better-scored first.
    merit = np.where(overlap >= agree, 1 + overlap, np.where(holds, seen.scores, 0))
    for _ in range(min(merit.shape)):
        i, j = np.unravel_index(np.argmax(merit), merit.shape)
        if merit[i, j] <= 0:
            break
        match[i] = j
        merit[i] = merit[:, j] = 0
    return match
