"""Error of the five landmarks against annotated ones, over the distance of the eyes."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List

import numpy as np
from tqdm import tqdm

from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation.intervals import bootstrap_mean, wilson
from uniface_mx.evaluation.photos import batches, face_at, pad, readable
from uniface_mx.evaluation.subject import Subject
from uniface_mx.geometry import point_errors

POINTS = ('left_eye', 'right_eye', 'nose', 'left_mouth', 'right_mouth')
FAILURE = 0.1


def summarise(errors: np.ndarray, annotated: int) -> Dict[str, Any]:
    """Figures of the (n, 5) errors of the faces that were found, among ``annotated`` ones.

    A face that was not found has no error and counts as a failure.
    """
    mean = errors.mean(axis=1)
    failures = int((mean > FAILURE).sum()) + annotated - len(errors)
    return {
        'faces': annotated,
        'found': len(errors),
        'error': mean.mean() if len(mean) else None,
        'error_interval': bootstrap_mean(mean),
        'median_error': np.median(mean) if len(mean) else None,
        'error_by_point': dict(zip(POINTS, errors.mean(axis=0))) if len(mean) else None,
        'failure_rate': failures / annotated,
        'failure_interval': wilson(failures, annotated),
        'failure_rate_of_found': float((mean > FAILURE).mean()) if len(mean) else None,
    }


def evaluate(
    subject: Subject, source: Iterable, margin: float = 0.0, progress: bool = True
) -> Dict[str, Any]:
    """Find the annotated faces of a source and compare their landmarks.

    Parameters
    ----------
    subject : Subject
    source : iterable of SourceImage
        ``uniface_mx.data.sources``; faces without landmarks are passed over.
    margin : float
        Black room around each photo, in shares of its longer side, for sources of tight crops.

    Returns
    -------
    dict
        Mean and median error (1 = the distance of the eyes), the error of each point, the rate of failures
        (mean error above 10 %, or face not found), 95 % intervals, and the photos that could not be read.
    """
    errors: List[np.ndarray] = []
    annotated = 0
    skipped: List[str] = []
    pointed = [item for item in source if item.landmarks is not None]
    with tqdm(total=len(pointed), unit='photo', disable=not progress) as bar:
        for batch in batches(readable(pointed, lambda item: item.path, skipped)):
            padded = [pad(image, margin) for _, image in batch]
            for (item, _), (_, room), faces in zip(batch, padded, subject([canvas for canvas, _ in padded])):
                known = [
                    points + room for points in np.asarray(item.landmarks, np.float64) if _measurable(points)
                ]
                annotated += len(known)
                meant = [face_at(faces, points.mean(axis=0)) for points in known]
                errors += [
                    point_errors(face.landmarks, points)
                    for face, points in zip(meant, known)
                    if face is not None and np.isfinite(face.landmarks).all()
                ]
            bar.update(len(batch))
    if not annotated:
        raise UnifaceError('the source has no readable photo with five annotated points')
    return dict(
        summarise(np.array(errors).reshape(-1, 5), annotated),
        margin=margin,
        photos=len(pointed),
        skipped=len(skipped),
        skipped_photos=skipped[:20],
    )


def _measurable(points: np.ndarray) -> bool:
    return bool(np.isfinite(points).all() and np.linalg.norm(points[0] - points[1]) > 0)
