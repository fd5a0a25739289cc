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
class LabelRules:
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
    rules: LabelRules,
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
    """
    counts: Counter = Counter()
    annotated = image.boxes is not None or image.landmarks is not None
    faces = _Rows(image)
    match = _match(faces, seen, rules.agree)
    _complete_annotation(faces, match, seen, refine, teacher_box, counts)

    alone = np.setdiff1d(np.arange(len(seen.boxes)), match)
    if len(alone) and len(match):
        shared = intersection(seen.boxes[alone], faces.boxes)
        smaller = np.minimum.outer(area(seen.boxes[alone]), area(faces.boxes))
        alone = alone[(shared < 0.5 * smaller).all(1)]
    surprises = int((seen.scores[alone] >= rules.accept).sum()) if annotated else 0
    if annotated and complete:
        counts['faces that only the teacher sees, dropped'] += len(alone)
        alone = alone[:0]
    if len(alone):
        uncertain = np.full(len(alone), True) if annotated else seen.scores[alone] < rules.accept
        counts['faces that only the teacher sees, ignored'] += int(uncertain.sum())
        faces.append(seen.boxes[alone], seen.landmarks[alone], uncertain)

    boxes = clip_boxes(faces.boxes, *size).astype(np.float32)
    hidden = (faces.masked | faces.ignore)[:, None, None]
    landmarks = np.where(hidden, np.nan, faces.landmarks).astype(np.float32)
    large = (boxes[:, 2:] - boxes[:, :2]).min(axis=1, initial=np.inf) >= rules.min_face
    known = _known(landmarks)
    counts['faces too small for the teachers'] += int((known & ~large).sum())
    with np.errstate(invalid='ignore'):
        inside = ((landmarks >= 0) & (landmarks <= np.array(size))).all(axis=(1, 2))
    solid = np.flatnonzero(area(boxes) > 0)
    order = solid[np.lexsort((-area(boxes[solid]), faces.ignore[solid]))]
    named = [faces.persons[i] for i in order if faces.persons[i] is not None and not faces.ignore[i]]
    show = known & inside & (faces.given | large)
    person = image.person or (named[0] if named else None)
    rows = (rows[order] for rows in (boxes, landmarks, show, known & large, faces.ignore))
    return Faces(*rows, person, surprises, counts)


class _Rows:
    """The faces so far, row for row: an annotation with every optional part filled in.

    `given` tells which of them have landmarks by the annotation itself.
    """

    def __init__(self, image: SourceImage) -> None:
        self.has_boxes = image.boxes is not None
        rows = image.boxes if self.has_boxes else image.landmarks
        count = 0 if rows is None else len(rows)
        nowhere = np.full((count, 5, 2), np.nan)
        self.landmarks = np.array(nowhere if image.landmarks is None else image.landmarks, np.float32)
        boxes = image.boxes if self.has_boxes else box_about_points(self.landmarks)
        self.boxes = np.array(boxes, np.float32).reshape(-1, 4)
        none = np.zeros(count, bool)
        self.masked = none if image.masked is None else np.asarray(image.masked, bool)
        self.ignore = none if image.ignore is None else np.asarray(image.ignore, bool)
        self.persons = list(image.persons or [None] * count)
        self.given = _known(self.landmarks)

    def append(self, boxes: np.ndarray, landmarks: np.ndarray, ignore: np.ndarray) -> None:
        """Faces that only the teacher sees."""
        none = np.zeros(len(boxes), bool)
        self.boxes = np.concatenate([self.boxes, boxes])
        self.landmarks = np.concatenate([self.landmarks, landmarks])
        self.ignore = np.concatenate([self.ignore, ignore])
        self.masked, self.given = (np.concatenate([rows, none]) for rows in (self.masked, self.given))
        self.persons += [None] * len(boxes)


def _known(landmarks: np.ndarray) -> np.ndarray:
    """Which faces (G,) have all of their landmarks (G, 5, 2)."""
    return ~np.isnan(landmarks).any(axis=(1, 2))


def box_about_points(landmarks: np.ndarray) -> np.ndarray:
    """A box (G, 4) as MTCNN would draw it around the five points (G, 5, 2) of a face."""
    centre = landmarks.mean(axis=1)
    height = np.linalg.norm(landmarks[:, 3:].mean(axis=1) - landmarks[:, :2].mean(axis=1), axis=1)
    unit = np.maximum(height, np.linalg.norm(landmarks[:, 1] - landmarks[:, 0], axis=1))
    return np.concatenate([centre, centre], axis=1) + unit[:, None] * np.array(BOX_ABOUT_POINTS)


def _match(faces: _Rows, seen: Detections, agree: float) -> np.ndarray:
    """For each annotated face the number of the seen face that is the same, or -1."""
    match = np.full(len(faces.boxes), -1)
    if not len(match) or not len(seen.boxes):
        return match
    overlap = iou(faces.boxes, seen.boxes) if faces.has_boxes else np.zeros((len(match), len(seen.boxes)))
    points = faces.landmarks[:, None]
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


def _complete_annotation(
    faces: _Rows,
    match: np.ndarray,
    seen: Detections,
    refine: Callable[[np.ndarray], Detections],
    teacher_box: bool,
    counts: Counter,
) -> None:
    """Give annotated faces what only the teacher knows of them, in place; overlooked ones get a second look."""
    matched = match >= 0
    take = matched & (teacher_box or not faces.has_boxes)
    faces.boxes[take] = seen.boxes[match[take]]
    unknown = ~faces.given & ~faces.masked & ~faces.ignore
    faces.landmarks[unknown & matched] = seen.landmarks[match[unknown & matched]]
    overlooked = np.flatnonzero((unknown | (not faces.has_boxes)) & ~matched)
    if len(overlooked):
        second = refine(faces.boxes[overlooked])
        found = _known(second.landmarks)
        better = found & unknown[overlooked]
        faces.landmarks[overlooked[better]] = second.landmarks[better]
        if not faces.has_boxes:
            faces.boxes[overlooked[found]] = second.boxes[found]
        counts['annotated faces found at a second look'] += int(found.sum())
    counts['annotated faces'] += len(match)
    counts['annotated faces that the teacher sees'] += int(matched.sum())
    counts['masked faces'] += int(faces.masked.sum())
