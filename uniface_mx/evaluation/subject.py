"""Whoever is evaluated: a trained model, or the teachers as the upper bound of what it can learn."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

import cv2
import numpy as np

from uniface_mx.geometry import unit_vectors
from uniface_mx.models.manifest import find_model, read_manifest
from uniface_mx.teachers.base import EmbeddingTeacher, LandmarkTeacher, embed_faces


class FoundFace(NamedTuple):
    """One face, in pixels of the photo; ``uniface_mx.deploy.predictor.Face`` has the same four attributes and serves
    as well.

    ``box`` (4,), ``score``, ``landmarks`` (5, 2), ``embedding`` (128,) or None.
    """

    box: np.ndarray
    score: float
    landmarks: np.ndarray
    embedding: Optional[np.ndarray]


class Subject:
    """Finds the faces in photos: what every evaluation takes.

    Attributes
    ----------
    name : str
        For tables and folders.
    identity : dict
        What the answers follow from (hashes of weights, versions); caches and result files are bound to it.
    metric : str
        How two embeddings are compared: ``cosine`` or ``euclidean``.
    """

    name: str
    identity: Dict[str, Any]
    metric: str = 'cosine'

    def __call__(self, images: Sequence[np.ndarray]) -> List[List[FoundFace]]:
        """Faces of each (H, W, 3) RGB uint8 photo."""
        raise NotImplementedError


class TeacherSubject(Subject):
    """The teachers' pipeline: one network finds the faces, another embeds each.

    Parameters
    ----------
    landmarks : LandmarkTeacher
    embeddings : EmbeddingTeacher, optional
        Without one the faces have no embedding, which saves its time where only boxes are asked for.
    mirror : bool
        Average the embeddings of a face and its mirror image.
    centre : (dim,) array, optional
        Mean embedding. With it the answers are what a model learns to give, unit vectors around that mean,
        compared by cosine; without it the raw vectors, compared by their distance.
    """

    def __init__(
        self,
        landmarks: LandmarkTeacher,
        embeddings: Optional[EmbeddingTeacher] = None,
        mirror: bool = True,
        centre: Optional[np.ndarray] = None,
    ):
        self.landmarks, self.embeddings, self.mirror = landmarks, embeddings, mirror
        self.centre = None if centre is None else np.asarray(centre, np.float32)
        self.metric = 'euclidean' if centre is None else 'cosine'
        self.name = 'teachers'
        self.identity = {'landmarks': landmarks.identity}
        if embeddings is not None:
            self.identity['embeddings'] = dict(embeddings.identity, mirror=mirror)
        if centre is not None:
            self.identity['centre'] = hashlib.sha256(self.centre.tobytes()).hexdigest()

    def __call__(self, images: Sequence[np.ndarray]) -> List[List[FoundFace]]:
        return [self._faces(image, found) for image, found in zip(images, self.landmarks.detect(images))]

    def _faces(self, image: np.ndarray, found) -> List[FoundFace]:
        vectors: Sequence[Optional[np.ndarray]] = [None] * len(found.boxes)
        if self.embeddings is not None and len(found.boxes):
            vectors = embed_faces(self.embeddings, image, found.landmarks, mirror=self.mirror)
            if self.centre is not None:
                vectors = unit_vectors(vectors - self.centre)
        return [
            FoundFace(box, float(score), points, vector)
            for box, score, points, vector in zip(found.boxes, found.scores, found.landmarks, vectors)
        ]


class ModelSubject(Subject):
    """An exported model, through the same predictor that its users have.

    Parameters
    ----------
    predictor : callable
        ``uniface_mx.deploy.predictor.Predictor`` or anything that returns faces alike for a list of images.
    prefix : path
        Of the model's files, which give it its identity.
    options : dict, optional
        What else its answers depend on: backend, score threshold.
    """

    def __init__(self, predictor, prefix, options: Optional[Dict[str, Any]] = None):
        self.predictor = predictor
        self.name = Path(prefix).name
        self.identity = dict(options or {}, sha256=hash_model(prefix))

    def __call__(self, images: Sequence[np.ndarray]) -> List[List[FoundFace]]:
        return self.predictor(list(images))


class Enlarged(Subject):
    """Another subject that sees every photo enlarged: for detectors that overlook what is small."""

    def __init__(self, subject: Subject, factor: float):
        self.subject, self.factor = subject, factor
        self.name, self.metric = subject.name, subject.metric
        self.identity = dict(subject.identity, enlarged=factor)

    def __call__(self, images: Sequence[np.ndarray]) -> List[List[FoundFace]]:
        large = [
            cv2.resize(image, None, fx=self.factor, fy=self.factor, interpolation=cv2.INTER_CUBIC)
            for image in images
        ]
        # OpenCV rounds sides to whole pixels, so the two scales may differ from the factor and from each
        # other.
        scales = [np.array(after.shape[1::-1]) / before.shape[1::-1] for after, before in zip(large, images)]
        return [
            [
                FoundFace(
                    np.asarray(face.box) / np.tile(scale, 2),
                    face.score,
                    np.asarray(face.landmarks) / scale,
                    face.embedding,
                )
                for face in faces
            ]
            for faces, scale in zip(self.subject(large), scales)
        ]


def hash_model(prefix) -> str:
    """Hex sha256 over the checksums of an exported model's files, as its manifest ``PREFIX.json`` gives
    them.
    """
    files = read_manifest(find_model(prefix), verify=False)['files']
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode('utf-8')).hexdigest()


def similarities(a: np.ndarray, b: np.ndarray, metric: str) -> np.ndarray:
    """Compare vectors (n, d) with vectors (n, d) row by row: the cosine, or the negative distance; (n,)
    float64.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if metric == 'cosine':
        return np.sum(unit_vectors(a) * unit_vectors(b), axis=1)
    if metric == 'euclidean':
        return -np.linalg.norm(a - b, axis=1)
    raise ValueError(f"metric must be 'cosine' or 'euclidean', not {metric!r}")
