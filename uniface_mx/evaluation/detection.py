"""A record set's faces found again: average precision, recall, landmarks and embeddings, also by the face's size."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

import numpy as np

from uniface_mx.data.records import Record
from uniface_mx.data.rows import BOX, CLASS, EMBEDDING, HAS_EMBEDDING, HAS_LANDMARKS, IGNORE, LANDMARKS
from uniface_mx.deploy.predictor import Face
from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation import options
from uniface_mx.evaluation.intervals import mean_with_interval, wilson
from uniface_mx.evaluation.results import shown
from uniface_mx.evaluation.subject import Subject, boxes_of, look, similarities
from uniface_mx.geometry import INPUT_SIZE, Matched, average_precision, match_boxes, point_errors

HELP = "a record set's faces found again"
# Face heights at the network's input.
SIZES = (0, 16, 24, 32, 48, 64, 96, 144, 192, INPUT_SIZE + 1)


def sizes_of(outcome: Matched, detected: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Where each detection that counts belongs: with the size of the face that it found, else with its own.

    ``detected`` are heights of all detections, ``faces`` (G,) of the faces that count.
    """
    sizes = np.array(detected, np.float64)
    found = outcome.by >= 0
    sizes[outcome.by[found]] = faces[found]
    return sizes[outcome.numbers]


def summarise(
    matched: Sequence[Matched], heights: np.ndarray, detected: np.ndarray, threshold: float
) -> Dict[str, Any]:
    """Figures over all photos.

    ``heights`` (G,) are those of the faces that count, in the order of the photos, in pixels at the network's input,
    ``detected`` (D,) those of the detections that count, as `sizes_of` gives them. Precision and recall are given from
    the ``threshold`` of scores on.
    """
    scores, hits, found = (
        np.concatenate([getattr(photo, name) for photo in matched]) for name in ('scores', 'hits', 'found')
    )
    kept = scores >= threshold

    def recall(faces: np.ndarray) -> Tuple[Optional[float], Optional[Tuple[float, float]]]:
        got = int((faces >= threshold).sum())
        return (got / len(faces), wilson(got, len(faces))) if len(faces) else (None, None)

    by_height: List[Dict[str, Any]] = []
    for low, high in zip(SIZES, SIZES[1:]):
        inside = found[(heights >= low) & (heights < high)]
        own = (detected >= low) & (detected < high)
        precision = average_precision(scores[own], hits[own], len(inside)) if len(inside) else None
        row = {'from': low, 'below': high, 'faces': len(inside), 'average_precision': precision}
        by_height.append(dict(row, **dict(zip(('recall', 'interval'), recall(inside)))))
    share, interval = recall(found)
    return {
        'faces': len(found),
        'average_precision': average_precision(scores, hits, len(found)),
        'threshold': threshold,
        'recall': share,
        'recall_interval': interval,
        'precision': hits[kept].mean() if kept.any() else None,
        'false_positives_per_photo': float((kept & ~hits).sum() / len(matched)),
        'by_height': by_height,
    }


def compare_labels(
    faces: Sequence[Face], labels: np.ndarray, size: Tuple[int, int], mean: Optional[np.ndarray]
) -> Tuple[List[float], List[float]]:
    """Landmark errors, and centred cosines, of n found faces against their rows (n, 146) in the record.

    ``size`` are width and height of the photo; without a ``mean`` embedding (128,) none are compared.
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
    images = ((record, record.decode()) for record in records)
    for record, _, faces in look(subject, images, progress=progress):
        size = record.width, record.height
        objects = record.objects[record.objects[:, CLASS] >= 0]
        truth = objects[:, BOX] * np.array(size * 2, np.float64)
        ignored = objects[:, IGNORE] > 0
        boxes = boxes_of(faces)
        outcome = match_boxes(boxes, np.array([face.score for face in faces]), truth, ignored)
        matched.append(outcome)
        scale = INPUT_SIZE / max(size)
        heights.append((truth[~ignored, 3] - truth[~ignored, 1]) * scale)
        detected.append(sizes_of(outcome, (boxes[:, 3] - boxes[:, 1]) * scale, heights[-1]))
        hit = outcome.by >= 0
        found = [faces[number] for number in outcome.by[hit]]
        for told, more in zip((errors, cosines), compare_labels(found, objects[~ignored][hit], size, mean)):
            told += more
    heights = np.concatenate(heights)
    if not len(heights):
        raise UnifaceError('the record set has no face that counts')
    return dict(
        summarise(matched, heights, np.concatenate(detected), threshold),
        photos=len(matched),
        landmark_error=mean_with_interval(errors),
        cosine_to_teacher=mean_with_interval(cosines),
    )


def add_options(command: argparse.ArgumentParser) -> None:
    """Options of :func:`run`."""
    options.add_subject(command, options.ANY_SCORE)
    command.add_argument('--records', required=True, nargs='+', metavar='NAME')
    command.add_argument('--name', help="of the result; the record sets' by default")
    text = 'for recall and precision (%(default)s)'
    command.add_argument('--threshold', type=options.SHARE, default=0.5, help=text)
    options.add_limit(command, None)
    options.add_mean(command)


def run(arguments: argparse.Namespace) -> None:
    """A record set's faces found again."""
    readers = options.open_records(arguments, arguments.records)
    mean = options.mean_embedding(arguments, needed=False)
    embed = mean is not None and any(reader.meta.embeddings for reader in readers)
    chosen = options.subject(arguments, embed, mean)
    records = options.spread(readers, arguments.limit)
    figures = evaluate(chosen, records, arguments.threshold, mean, arguments.progress)
    print(
        f'average precision {shown(figures["average_precision"])}; at score {figures["threshold"]:g}: '
        f'recall {shown(figures["recall"])}, precision {shown(figures["precision"])}'
    )
    for row in figures['by_height']:
        print(
            f'  height {row["from"]:>3} to {row["below"]:>3}: {row["faces"]:>6} faces, '
            f'average precision {shown(row["average_precision"])}, recall {shown(row["recall"])}'
        )
    name = arguments.name or '_'.join(Path(reader.name).name for reader in readers)
    data = dict(options.about_records(readers), photos=figures['photos'], faces=figures['faces'])
    options.write(arguments, f'detection_{name}', chosen, data, figures)
