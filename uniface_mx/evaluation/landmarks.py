"""Error of the five landmarks against annotated ones, over the distance of the eyes."""

from __future__ import annotations

import argparse
from typing import Any, Dict, Iterable, List

import numpy as np

from uniface_mx.data.sources import open_source
from uniface_mx.data.sources.base import SourceImage
from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation import options
from uniface_mx.evaluation.intervals import bootstrap_mean, wilson
from uniface_mx.evaluation.results import shown
from uniface_mx.evaluation.subject import Subject, face_at, look, pad
from uniface_mx.geometry import point_errors
from uniface_mx.photos import read_photos

HELP = 'error of the five landmarks'
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
    subject: Subject, source: Iterable[SourceImage], margin: float = 0.0, progress: bool = True
) -> Dict[str, Any]:
    """Find the annotated faces of a source and compare their landmarks.

    Faces without landmarks are passed over; ``margin`` is as in `pad`, for sources of tight crops. Figures are mean
    and median error (1 = the distance of the eyes), the error of each point, the rate of failures (mean error above
    10 %, or face not found), 95 % intervals, and the photos that could not be read.
    """
    errors: List[np.ndarray] = []
    annotated = 0
    skipped: Dict[str, str] = {}
    pointed = [item for item in source if item.landmarks is not None]
    padded = ((item, *pad(image, margin)) for item, image in read_photos(pointed, skipped))
    photos = (((item, room), canvas) for item, canvas, room in padded)
    for (item, room), _, faces in look(subject, photos, len(pointed), progress):
        for points in filter(_measurable, np.asarray(item.landmarks, np.float64) + room):
            annotated += 1
            face = face_at(faces, points.mean(axis=0))
            if face is not None and np.isfinite(face.landmarks).all():
                errors.append(point_errors(face.landmarks, points))
    if not annotated:
        raise UnifaceError('the source has no readable photo with five annotated points')
    figures = summarise(np.array(errors).reshape(-1, 5), annotated)
    told = list(skipped.values())[:20]
    return dict(figures, margin=margin, photos=len(pointed), skipped=len(skipped), skipped_photos=told)


def _measurable(points: np.ndarray) -> bool:
    return bool(np.isfinite(points).all() and np.linalg.norm(points[0] - points[1]) > 0)


def add_options(command: argparse.ArgumentParser) -> None:
    """Options of :func:`run`."""
    options.add_subject(command)
    command.add_argument('--source', required=True, metavar='KIND:PATH', help='with annotated points')
    text = 'black room around each photo, in shares of its longer side, for tight crops'
    command.add_argument('--margin', type=options.SHARE, default=0, metavar='F', help=text)


def run(arguments: argparse.Namespace) -> None:
    """Error of the five landmarks."""
    source = open_source(arguments.source)
    chosen = options.subject(arguments, embed=False)
    figures = evaluate(chosen, source, arguments.margin, arguments.progress)
    print(
        f'{figures["found"]} of {figures["faces"]} faces found; error {shown(figures["error"])} of the distance of '
        f'the eyes, failures {shown(figures["failure_rate"])}; {figures["skipped"]} photos skipped'
    )
    data = {'name': source.name, 'photos': figures['photos'], 'faces': figures['faces']}
    options.write(arguments, f'landmarks_{source.name}', chosen, data, figures)
