"""A record set's faces found again: average precision and recall, also by the size of the face, landmarks and
embeddings.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from tqdm import tqdm

from uniface_mx.data.records import (
    BOX,
    CLASS,
    EMBEDDING,
    HAS_EMBEDDING,
    HAS_LANDMARKS,
    IGNORE,
    LANDMARKS,
    Record,
)
from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation.intervals import mean_with_interval, wilson
from uniface_mx.evaluation.photos import batches
from uniface_mx.evaluation.subject import FoundFace, Subject, similarities
from uniface_mx.geometry import INPUT_SIZE, Matched, average_precision, match_boxes, point_errors

# Face heights at the network's input.
SIZES = (0, 16, 24, 32, 48, 64, 96, 144, 192, INPUT_SIZE + 1)


def spread(records: Sequence[Record], limit: Optional[int] = None) -> Iterator[Record]:
    """At most ``limit`` records of a set, evenly spread over it and always the same; all without a limit."""
    count = len(records)
    if limit is None or limit >= count:
        return iter(records)
    return (records[int(number)] for number in np.linspace(0, count - 1, limit).round())


def sizes_of(outcome: Matched, detected: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Where each detection that counts belongs when sizes are looked at apart: with the face that it found, else
    with its own size.

    Parameters
    ----------
    outcome : Matched
    detected, faces : arrays
        Heights of all detections, and (G,) of the faces that count.
    """
    sizes = np.array(detected, np.float64)
    found = outcome.by >= 0
    sizes[outcome.by[found]] = faces[found]
    return sizes[outcome.numbers]


def summarise(
    matched: Sequence[Matched], heights: np.ndarray, detected: np.ndarray, threshold: float
) -> Dict[str, Any]:
    """Figures over all photos.

    Parameters
    ----------
    matched : sequence of Matched
    heights : (G,) array
        Of the faces that count, in the order of the photos, in pixels at the network's input.
    detected : (D,) array
        Of the detections that count, as `sizes_of` gives them.
    threshold : float
        Score above which precision and recall are given.
    """
    scores = np.concatenate([photo.scores for photo in matched])
    hits = np.concatenate([photo.hits for photo in matched])
    found = np.concatenate([photo.found for photo in matched])
    shown = scores >= threshold
    by_size: List[Dict[str, Any]] = []
    for low, high in zip(SIZES, SIZES[1:]):
        inside = found[(heights >= low) & (heights < high)]
        own = (detected >= low) & (detected < high)
        got = int((inside >= threshold).sum())
        by_size.append(
            {
                'from': low,
                'below': high,
                'faces': len(inside),
                'average_precision': average_precision(scores[own], hits[own], len(inside))
                if len(inside)
                else None,
                'recall': got / len(inside) if len(inside) else None,
                'interval': wilson(got, len(inside)) if len(inside) else None,
            }
        )
    got = int((found >= threshold).sum())
    return {
        'faces': len(found),
        'average_precision': average_precision(scores, hits, len(found)),
        'threshold': threshold,
        'recall': got / len(found),
        'recall_interval': wilson(got, len(found)),
        'precision': hits[shown].mean() if shown.any() else None,
        'false_positives_per_photo': float((shown & ~hits).sum() / len(matched)),
        'by_height': by_size,
    }


def compare_labels(
    faces: Sequence[FoundFace], labels: np.ndarray, size: Tuple[int, int], mean: Optional[np.ndarray]
) -> Tuple[List[float], List[float]]:
    """Landmark errors, and centred cosines, of found faces against their rows in the record.

    Parameters
    ----------
    faces : sequence of n faces
    labels : (n, 146) array
    size : (int, int)
        Width and height of the photo.
    mean : (128,) array or None
        Mean teacher embedding; without one no embeddings are compared.
    """
    errors, cosines = [], []
    for face, row in zip(faces, labels):
        if row[HAS_LANDMARKS] and np.isfinite(face.landmarks).all():
            errors.append(float(point_errors(face.landmarks, row[LANDMARKS].reshape(5, 2) * size).mean()))
        if row[HAS_EMBEDDING] and mean is not None and face.embedding is not None:
            cosines.append(float(similarities([face.embedding], [row[EMBEDDING] - mean], 'cosine')[0]))
    return errors, cosines


def evaluate(
    subject: Subject,
    records: Iterable[Record],
    threshold: float = 0.5,
    mean: Optional[np.ndarray] = None,
    progress: bool = True,
) -> Dict[str, Any]:
    """Detect faces in the photos of a record set and compare them with its labels.

    Parameters
    ----------
    subject : Subject
    records : iterable of Record
        A ``RecordReader``, or several chained.
    threshold : float
        As in :func:`summarise`; the average precision is over all detections.
    mean : (128,) array, optional
        Mean teacher embedding that the subject's unit embeddings are centred on.

    Raises
    ------
    RecordError
        If a record is damaged.
    """
    matched, heights, detected = [], [np.zeros(0)], [np.zeros(0)]
    errors: List[float] = []
    cosines: List[float] = []
    with tqdm(unit='photo', disable=not progress) as bar:
        for batch in batches(records):
            for record, faces in zip(batch, subject([record.decode() for record in batch])):
                objects = record.objects[record.objects[:, CLASS] >= 0]
                truth = objects[:, BOX] * np.array([record.width, record.height] * 2, np.float64)
                ignored = objects[:, IGNORE] > 0
                boxes = np.array([face.box for face in faces], np.float64).reshape(-1, 4)
                outcome = match_boxes(
                    boxes, np.array([face.score for face in faces], np.float64), truth, ignored
                )
                matched.append(outcome)
                scale = INPUT_SIZE / max(record.width, record.height)
                heights.append((truth[~ignored, 3] - truth[~ignored, 1]) * scale)
                detected.append(sizes_of(outcome, (boxes[:, 3] - boxes[:, 1]) * scale, heights[-1]))
                hit = outcome.by >= 0
                more = compare_labels(
                    [faces[number] for number in outcome.by[hit]],
                    objects[~ignored][hit],
                    (record.width, record.height),
                    mean,
                )
                errors += more[0]
                cosines += more[1]
            bar.update(len(batch))
    heights = np.concatenate(heights)
    if not len(heights):
        raise UnifaceError('the record set has no face that counts')
    return dict(
        summarise(matched, heights, np.concatenate(detected), threshold),
        photos=len(matched),
        landmark_error=mean_with_interval(errors),
        cosine_to_teacher=mean_with_interval(cosines),
    )
