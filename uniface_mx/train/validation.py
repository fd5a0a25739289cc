"""What a network can do, on records that it was not taught: the losses, and what they are for."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Dict, Iterator, NamedTuple, Optional, Tuple

import mxnet as mx
import numpy as np
from mxnet.gluon import HybridBlock
from tqdm import tqdm

from uniface_mx.config.schema import ValidationConfig
from uniface_mx.data.loader import Batch, Canvases, in_order, network_input
from uniface_mx.data.rows import BOX, HAS_LANDMARKS, IGNORE, LANDMARKS
from uniface_mx.geometry import average_precision, match_boxes, point_errors, unit_vectors
from uniface_mx.nn.detection import Suppression
from uniface_mx.train import TrainError
from uniface_mx.train.criteria import Criteria, Graphs
from uniface_mx.train.losses import Terms, weighted
from uniface_mx.train.targets import real_faces

MAX_FACES = 100


class PhotoFigures(NamedTuple):
    """Scores and hits of a photo's detections, scores that found its faces, errors of their landmarks."""

    scores: np.ndarray
    hits: np.ndarray
    found: np.ndarray
    errors: np.ndarray


@dataclass
class Validation:
    """Whole photos, letterboxed as in inference, through the network as it stands.

    Parameters
    ----------
    canvases : Canvases
        Unshuffled and without augmentation.
    settings : ValidationConfig
        Its score threshold is that of the recall; the average precision counts all detections from 0.01.
    decoder : Decoder
        The model's.
    mean : (128,) array, optional
        Mean teacher embedding, which cosines are centred on.
    workers : int
        Threads that read photos.
    """

    canvases: Canvases
    settings: ValidationConfig
    graphs: Graphs
    decoder: HybridBlock
    criteria: Criteria
    mean: Optional[np.ndarray]
    device: mx.Context
    workers: int = 2

    def __post_init__(self) -> None:
        self._indices = spread(len(self.canvases), self.settings.images)
        self._suppression = Suppression(MAX_FACES, 0.01, 0.45)

    def __call__(self) -> Dict[str, float]:
        """Run it.

        Returns
        -------
        dict
            ``loss`` and its terms; ``average_precision`` and ``recall`` at IoU 0.5; ``landmark_error`` of the
            faces found, over the distance of the eyes; ``cosine``, centred, between the embeddings and the
            teacher's, these two only where something can be compared; ``photos``, ``bad_records`` (damaged,
            which count for nothing and are told) and ``faces``.

        Raises
        ------
        TrainError
            All records are damaged.
        """
        batches = [self._measure(batch) for batch in map(_whole, self._batches()) if batch.count]
        if not batches:
            raise TrainError('data.validation: all of its records are damaged; prepare the sets again')
        sums, counts, cosines, photos = zip(*batches)
        sums, counts = (Terms(*np.sum(values, axis=0, dtype=np.float64)) for values in (sums, counts))
        terms = weighted(sums, counts, self.criteria.weights)
        photos = sum(photos, [])
        scores, hits, found, errors = map(np.concatenate, zip(*photos))
        figures = {
            'loss': float(sum(terms)),
            **{name: float(value) for name, value in terms._asdict().items()},
            'average_precision': average_precision(scores, hits, len(found)),
            'recall': float((found >= self.settings.score_threshold).mean()) if len(found) else 0.0,
        }
        for name, values in (('landmark_error', errors), ('cosine', np.concatenate(cosines))):
            if len(values):
                figures[name] = float(np.mean(values, dtype=np.float64))
        return dict(
            figures, photos=len(photos), bad_records=len(self._indices) - len(photos), faces=len(found)
        )

    def _batches(self) -> Iterator[Batch]:
        size = self.settings.batch_size
        tasks = (
            (self._indices[first : first + size], self.settings.max_faces, size)
            for first in range(0, len(self._indices), size)
        )
        with ThreadPoolExecutor(max(1, self.workers)) as pool:
            yield from in_order(pool, self.canvases.batch, tasks, max(2, self.workers))

    def _measure(self, batch: Batch) -> Tuple:
        """Sums and counts of the terms, cosines to the teacher, and the `PhotoFigures` that count."""
        criteria = self.criteria
        # What a batch is filled up with counts for nothing.
        label = batch.label[: batch.count]
        targets = criteria.targets(label)
        *outputs, features = self.graphs.network(network_input(batch.data, self.device))
        outputs = [output[: batch.count] for output in outputs]
        rois = criteria.rois(label, outputs if criteria.predicted() else None)
        embeddings, cosines = None, np.zeros(0)
        if criteria.recognition:
            embeddings = self.graphs.embed(features, rois)
            vectors, teacher = (
                unit_vectors(one - self.mean) for one in (embeddings.asnumpy(), rois.embeddings)
            )
            cosines = (vectors * teacher).sum(axis=1)[rois.mask > 0]
        sums = criteria.sums(outputs, targets, embeddings, rois).numbers()
        detections = self._suppression(outputs[0], *self.decoder(*outputs[1:])).asnumpy()
        photos = [
            judge(rows[rows[:, 0] >= 0], faces[real_faces(faces)]) for rows, faces in zip(detections, label)
        ]
        return sums, criteria.counts(targets, rois.mask), cosines, photos


def spread(count: int, wanted: Optional[int]) -> np.ndarray:
    """Indices of `wanted` of `count` photos, evenly spread; of all where it is None, or more than those."""
    if wanted is None or wanted >= count:
        return np.arange(count)
    return np.linspace(0, count - 1, wanted).round().astype(int)


def judge(rows: np.ndarray, faces: np.ndarray) -> PhotoFigures:
    """What the detections (D, 15) of a photo are, beside its label rows (G, 146) of faces."""
    ignored = faces[:, IGNORE] > 0
    matched = match_boxes(rows[:, 1:5], rows[:, 0], faces[:, BOX], ignored)
    hit = matched.by >= 0
    pointed = faces[~ignored][hit]
    taught = pointed[:, HAS_LANDMARKS] > 0
    predicted = rows[matched.by[hit][taught], 5:].reshape(-1, 5, 2)
    errors = point_errors(predicted, pointed[taught, LANDMARKS].reshape(-1, 5, 2)).mean(axis=1)
    return PhotoFigures(matched.scores, matched.hits, matched.found, errors)


def _whole(batch: Batch) -> Batch:
    """A batch that counts no canvas whose record is damaged, but tells of it."""
    messages = sum(batch.bad, [])
    if not messages:
        return batch
    tqdm.write('validation leaves out: ' + '; '.join(messages[:3]), file=sys.stderr)
    bad = np.array([bool(messages) for messages in batch.bad] + [True] * (len(batch.data) - batch.count))
    order = np.argsort(bad, kind='stable')
    return batch._replace(data=batch.data[order], label=batch.label[order], count=int((~bad).sum()))
