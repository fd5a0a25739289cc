"""What a network can do, on records that it was not taught: the losses, and what they are for."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Dict, Iterator, List, Optional, Tuple

import mxnet as mx
import numpy as np
from tqdm import tqdm

from uniface_mx.data.ahead import in_order
from uniface_mx.data.iterators import network_input
from uniface_mx.data.loader import Batch, Canvases
from uniface_mx.data.rows import BOX, HAS_LANDMARKS, IGNORE, LANDMARKS
from uniface_mx.geometry import average_precision, match_boxes, point_errors, unit_vectors
from uniface_mx.nn.detection import Suppression
from uniface_mx.train.errors import TrainError
from uniface_mx.train.losses import Terms
from uniface_mx.train.step import Criteria, Graphs
from uniface_mx.train.targets import real_faces

MAX_FACES = 100


class Validation:
    """Whole photos, letterboxed as in inference, through the network as it stands.

    Parameters
    ----------
    canvases : Canvases
        Unshuffled and without augmentation.
    batch_size : int
    images : int, optional
        How many photos, evenly spread over the records; all by default.
    score_threshold : float
        Of the recall. The average precision counts all detections from 0.01.
    max_faces : int
        Label rows of a photo.
    workers : int
        Threads that read photos.
    """

    def __init__(
        self,
        canvases: Canvases,
        batch_size: int = 32,
        images: Optional[int] = None,
        score_threshold: float = 0.5,
        max_faces: int = 128,
        workers: int = 2,
    ):
        count = len(canvases)
        self.indices = np.arange(count)
        if images is not None and images < count:
            self.indices = np.linspace(0, count - 1, images).round().astype(int)
        self.canvases, self.batch_size, self.max_faces, self.workers = (
            canvases,
            batch_size,
            max_faces,
            workers,
        )
        self.score_threshold = score_threshold
        self._suppression = Suppression(MAX_FACES, 0.01, 0.45)

    def __call__(
        self,
        graphs: Graphs,
        decoder,
        criteria: Criteria,
        mean: np.ndarray,
        device: mx.Context,
        predicted: bool = True,
    ) -> Dict[str, float]:
        """Run it.

        Parameters
        ----------
        graphs : Graphs
        decoder : Decoder
            The model's.
        criteria : Criteria
        mean : (128,) array
            Mean teacher embedding, which cosines are centred on.
        predicted : bool
            Whether faces are embedded where they were detected, or where they are.

        Returns
        -------
        dict
            ``loss`` and its terms; ``average_precision`` and ``recall`` at IoU 0.5; ``landmark_error`` of the
            faces found, over the distance of the eyes; ``cosine``, centred, between the embeddings and the
            teacher's, these two only where something can be compared; ``photos``, ``bad_records`` (damaged, which
            count for nothing and are told) and ``faces``.

        Raises
        ------
        TrainError
            All records are damaged.
        """
        sums, counts = np.zeros(len(Terms._fields)), np.zeros(len(Terms._fields))
        found: List[Tuple] = []
        photos = 0
        errors: List[float] = []
        cosines: List[float] = []
        for batch in map(_whole, self._batches()):
            if not batch.count:
                continue
            photos += batch.count
            # What a batch is filled up with counts for nothing.
            label = batch.label[: batch.count]
            targets = criteria.targets(label)
            data = network_input(batch.data, device)
            *outputs, features = graphs.network(data)
            outputs = [output[: batch.count] for output in outputs]
            rois = criteria.rois(label, criteria.predictions(outputs) if predicted else None)
            embeddings = None
            if criteria.rules.recognition:
                embeddings = graphs.recognition(features, mx.nd.array(rois.faces, ctx=device))
                cosines += _centred_cosines(embeddings.asnumpy(), rois.embeddings, mean)[
                    rois.mask > 0
                ].tolist()
            sums += [
                0.0 if value is None else value.asscalar()
                for value in criteria.sums(outputs, targets, embeddings, rois)
            ]
            counts += criteria.counts(targets, rois.mask)
            detections = self._suppression(outputs[0], *decoder(*outputs[1:])).asnumpy()
            for rows, faces in zip(detections, label):
                outcome = self._photo(rows[rows[:, 0] >= 0], faces[real_faces(faces)])
                found.append(outcome[:3])
                errors += outcome[3]
        if not found:
            raise TrainError('data.validation: all of its records are damaged; prepare the sets again')
        terms = criteria.values(Terms(*sums), Terms(*counts))
        scores, hits, scored = (np.concatenate(arrays) for arrays in zip(*found))
        figures = {
            'loss': float(sum(terms)),
            **{name: float(value) for name, value in terms._asdict().items()},
            'average_precision': average_precision(scores, hits, len(scored)),
            'recall': float((scored >= self.score_threshold).mean()) if len(scored) else 0.0,
        }
        for name, values in (('landmark_error', errors), ('cosine', cosines)):
            if values:
                figures[name] = float(np.mean(values))
        return dict(figures, photos=photos, bad_records=len(self.indices) - photos, faces=len(scored))

    def _batches(self) -> Iterator[Batch]:
        tasks = (
            (self.indices[first : first + self.batch_size], self.max_faces, self.batch_size)
            for first in range(0, len(self.indices), self.batch_size)
        )
        with ThreadPoolExecutor(max(1, self.workers)) as pool:
            yield from in_order(pool, self.canvases.batch, tasks, max(2, self.workers))

    @staticmethod
    def _photo(rows: np.ndarray, faces: np.ndarray) -> Tuple:
        """Scores and hits of a photo's detections, scores by which its faces were found, errors of their
        landmarks.
        """
        ignored = faces[:, IGNORE] > 0
        outcome = match_boxes(rows[:, 1:5], rows[:, 0], faces[:, BOX], ignored)
        hit = outcome.by >= 0
        pointed = faces[~ignored][hit]
        taught = pointed[:, HAS_LANDMARKS] > 0
        predicted = rows[outcome.by[hit][taught], 5:].reshape(-1, 5, 2)
        errors = point_errors(predicted, pointed[taught, LANDMARKS].reshape(-1, 5, 2)).mean(axis=1)
        return outcome.scores, outcome.hits, outcome.found, errors.tolist()


def _whole(batch: Batch) -> Batch:
    """A batch that counts no canvas whose record is damaged, but tells of it."""
    messages = sum(batch.bad, [])
    if not messages:
        return batch
    tqdm.write('validation leaves out: ' + '; '.join(messages[:3]), file=sys.stderr)
    bad = np.array([bool(messages) for messages in batch.bad] + [True] * (len(batch.data) - batch.count))
    order = np.argsort(bad, kind='stable')
    return batch._replace(data=batch.data[order], label=batch.label[order], count=int((~bad).sum()))


def _centred_cosines(vectors: np.ndarray, teacher: np.ndarray, mean: np.ndarray) -> np.ndarray:
    return (unit_vectors(vectors - mean) * unit_vectors(teacher - mean)).sum(axis=1)
