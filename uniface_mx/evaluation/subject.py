"""Whoever is evaluated, a trained model or the teachers, which are what it can reach at best; and whose faces count."""

from __future__ import annotations

import hashlib
import json
from os import PathLike
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple, TypeVar, Union

import cv2
import numpy as np
from tqdm import tqdm

from uniface_mx.deploy.predictor import Face
from uniface_mx.geometry import area, unit_vectors
from uniface_mx.models.files import ModelFiles
from uniface_mx.photos import batches
from uniface_mx.teachers.base import Detections, EmbeddingTeacher, LandmarkTeacher, embed_faces

BATCH = 32
CHOICES = ('centre', 'largest')
Item, Found = TypeVar('Item'), TypeVar('Found')


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

    def __call__(self, images: Sequence[np.ndarray]) -> List[List[Face]]:
        """Faces of each (H, W, 3) RGB uint8 photo, in its pixels; `embedding` is None where there is none."""
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
    ) -> None:
        self.landmarks, self.embeddings, self.mirror = landmarks, embeddings, mirror
        self.centre = None if centre is None else np.asarray(centre, np.float32)
        self.metric = 'euclidean' if centre is None else 'cosine'
        self.name = 'teachers'
        self.identity = {'landmarks': landmarks.identity}
        if embeddings is not None:
            self.identity['embeddings'] = dict(embeddings.identity, mirror=mirror)
        if centre is not None:
            self.identity['centre'] = hashlib.sha256(self.centre.tobytes()).hexdigest()

    def __call__(self, images: Sequence[np.ndarray]) -> List[List[Face]]:
        """Faces of each photo, see `Subject`."""
        return [self._faces(image, found) for image, found in zip(images, self.landmarks.detect(images))]

    def _faces(self, image: np.ndarray, found: Detections) -> List[Face]:
        vectors: Sequence[Optional[np.ndarray]] = [None] * len(found.boxes)
        if self.embeddings is not None and len(found.boxes):
            vectors = embed_faces(self.embeddings, image, found.landmarks, mirror=self.mirror)
            if self.centre is not None:
                vectors = unit_vectors(vectors - self.centre)
        return list(map(Face, found.boxes, map(float, found.scores), found.landmarks, vectors))


class ModelSubject(Subject):
    """An exported model, through the same predictor that its users have.

    Files at ``prefix`` give it its identity, with the ``options`` that its answers depend on as well.
    """

    def __init__(
        self,
        predictor: Callable[[Sequence[np.ndarray]], List[List[Face]]],
        prefix: Union[str, PathLike],
        options: Dict[str, Any],
    ) -> None:
        self.predictor, self.name = predictor, Path(prefix).name
        self.identity = dict(options, sha256=hash_model(prefix))

    def __call__(self, images: Sequence[np.ndarray]) -> List[List[Face]]:
        """Faces of each photo, see `Subject`."""
        return self.predictor(list(images))


class Enlarged(Subject):
    """Another subject that sees every photo enlarged: for detectors that overlook what is small."""

    def __init__(self, subject: Subject, factor: float) -> None:
        self.subject, self.factor = subject, factor
        self.name, self.metric = subject.name, subject.metric
        self.identity = dict(subject.identity, enlarged=factor)

    def __call__(self, images: Sequence[np.ndarray]) -> List[List[Face]]:
        """Faces of each photo, see `Subject`."""
        cubic = cv2.INTER_CUBIC
        by = {'fx': self.factor, 'fy': self.factor}
        large = [cv2.resize(image, None, **by, interpolation=cubic) for image in images]
        # OpenCV rounds sides to whole pixels, so the two scales may differ from the factor and from each other.
        scales = [np.array(after.shape[1::-1]) / before.shape[1::-1] for after, before in zip(large, images)]

        def back(face: Face, scale: np.ndarray) -> Face:
            return Face(face.box / np.tile(scale, 2), face.score, face.landmarks / scale, face.embedding)

        return [[back(face, scale) for face in faces] for faces, scale in zip(self.subject(large), scales)]


def look(
    subject: Callable[[List[np.ndarray]], Sequence[Found]],
    photos: Iterable[Tuple[Item, np.ndarray]],
    total: Optional[int] = None,
    progress: bool = True,
) -> Iterator[Tuple[Item, np.ndarray, Found]]:
    """Item, image and what a subject finds there, of pairs of an item and a photo, with a progress bar of ``total``.

    The subject is a `Subject`, or anything that gives as many answers as it gets (H, W, 3) RGB uint8 images.
    """
    with tqdm(total=total, unit='photo', disable=not progress) as bar:
        for batch in batches(photos, BATCH):
            for (item, image), found in zip(batch, subject([image for _, image in batch])):
                yield item, image, found
            bar.update(len(batch))


def hash_model(prefix: Union[str, PathLike]) -> str:
    """Hex sha256 over the checksums of an exported model's files, as its manifest gives them."""
    files = ModelFiles.find(prefix).manifest['files']
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode('utf-8')).hexdigest()


def about_model(prefix: Union[str, PathLike], *keys: str) -> Dict[str, Any]:
    """What results say of an exported model: entries of its manifest, as far as it has them.

    Of a run's export, ``training`` is told without the whole configuration.
    """
    manifest = ModelFiles.find(prefix).manifest
    told = {key: manifest[key] for key in keys if manifest.get(key) is not None}
    training = told.get('training')
    if isinstance(training, dict) and 'config' in training:
        settings, losses = (training['config'].get(section, {}) for section in ('training', 'losses'))
        told['training'] = {key: value for key, value in training.items() if key != 'config'}
        told['training'].update({key: settings.get(key) for key in ('iterations', 'seed')})
        told['training']['contrast'] = losses.get('contrast')
    return told


def similarities(a: np.ndarray, b: np.ndarray, metric: str) -> np.ndarray:
    """Compare vectors (n, d) row by row: the cosine, or the negative distance; (n,) float64."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if metric == 'cosine':
        return np.sum(unit_vectors(a) * unit_vectors(b), axis=1)
    if metric == 'euclidean':
        return -np.linalg.norm(a - b, axis=1)
    raise ValueError(f"metric must be 'cosine' or 'euclidean', not {metric!r}")


def pad(image: np.ndarray, margin: float) -> Tuple[np.ndarray, int]:
    """Put an image into the middle of a black canvas, ``margin`` times its longer side wider on each side.

    Faces that were cut out tightly fill their picture, which a detector of faces in photos does not expect. Gives
    the canvas, and the x and y by which the content has moved.
    """
    room = int(round(margin * max(image.shape[:2])))
    return np.pad(image, ((room, room), (room, room), (0, 0))), room


def boxes_of(faces: Sequence[Face]) -> np.ndarray:
    """Boxes (n, 4) float64 of faces."""
    return np.array([face.box for face in faces], np.float64).reshape(-1, 4)


def choose_face(faces: Sequence[Face], point: Sequence[float], rule: str = 'centre') -> Optional[Face]:
    """The face that a photo is about, None if there is no face.

    It is the one whose box has its centre nearest to ``point``, x and y of what the photo shows in its middle
    (``centre``), or the one with the ``largest`` box.
    """
    if rule not in CHOICES:
        raise ValueError(f'choose by {" or ".join(CHOICES)}, not {rule!r}')
    boxes = boxes_of(faces)
    apart = np.sum(((boxes[:, :2] + boxes[:, 2:]) / 2 - point) ** 2, axis=1)
    return faces[int(np.argmin(-area(boxes) if rule == 'largest' else apart))] if len(faces) else None


def face_at(faces: Sequence[Face], point: np.ndarray) -> Optional[Face]:
    """The face whose box holds ``point`` (2,), the nearest by box centre if several do; None if none does."""
    boxes = boxes_of(faces)
    holds = (boxes[:, :2] <= point).all(axis=1) & (point < boxes[:, 2:]).all(axis=1)
    return choose_face([face for face, there in zip(faces, holds) if there], point)
