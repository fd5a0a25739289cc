"""What a worker does: photos in, labelled photos and new cache entries out.

A worker reads and writes no file. All it needs comes with the photos, so that it may be a process on this
machine or on another, and what it says depends on nothing else.
"""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

import cv2
import numpy as np
from PIL import Image

from uniface_mx.data.prepare import PrepareError
from uniface_mx.data.prepare.cache import Answers, Entry
from uniface_mx.data.prepare.label import Faces, LabelRules, label_faces
from uniface_mx.data.rows import EMBEDDING_DIM, label_rows
from uniface_mx.data.sources.base import SourceImage
from uniface_mx.image import ImageError, encode_jpeg, read_image
from uniface_mx.teachers import open_teacher
from uniface_mx.teachers.base import Detections, EmbeddingTeacher, LandmarkTeacher, Teacher

_DETECTION_WIDTH = 15
_FACT_WIDTH = 6
_NO_ARGUMENTS = np.zeros(0)


@dataclass(frozen=True)
class Job:
    """All options that decide on the bytes of a record set, but for the source's path.

    Parameters
    ----------
    teachers : tuple of str
        A landmark teacher and an embedding teacher as NAME or NAME?OPTION=VALUE&..., NAME as `create_teacher`
        has it.
    complete, teacher_box : bool
        Of the source.
    mirror : bool
        Average embeddings over the face and its mirror image.
    size, quality : int
        Longer side of stored photos, and JPEG quality of those that must be encoded.
    min_side, max_pixels : int
        Photos that are smaller or larger are skipped.
    """

    teachers: Tuple[str, ...]
    complete: bool = False
    teacher_box: bool = False
    rules: LabelRules = LabelRules()
    mirror: bool = True
    size: int = 400
    quality: int = 95
    min_side: int = 40
    max_pixels: int = 50_000_000


@dataclass
class WorkItem:
    """A photo on its way to a worker: annotation, the file's bytes and sha256, what the cache knows of it."""

    image: SourceImage
    data: bytes
    digest: bytes
    known: Dict[bytes, bytes]


@dataclass
class Labelled:
    """What became of a photo: `objects` and `jpeg`, or why it is `skipped`; `entries` are for the cache."""

    key: str
    entries: List[Entry] = field(default_factory=list)
    skipped: str = ''
    objects: Optional[np.ndarray] = None
    person: Optional[str] = None
    surprises: int = 0
    jpeg: bytes = b''
    width: int = 0
    height: int = 0
    picture: int = 0
    counts: Counter = field(default_factory=Counter)


@lru_cache(maxsize=4)
def open_teachers(specs: Tuple[str, ...]) -> Tuple[LandmarkTeacher, EmbeddingTeacher]:
    """The two teachers of a job, once a process: their networks take seconds to load.

    Raises
    ------
    PrepareError
        There are not one of each kind, or embeddings have another length than records hold.
    """
    teachers = [open_teacher(spec) for spec in specs]
    landmarks = [teacher for teacher in teachers if isinstance(teacher, LandmarkTeacher)]
    embeddings = [teacher for teacher in teachers if isinstance(teacher, EmbeddingTeacher)]
    if len(landmarks) != 1 or len(embeddings) != 1:
        raise PrepareError(
            f'a landmark teacher and an embedding teacher are needed, not {" and ".join(specs)}'
        )
    (teacher,) = embeddings
    if teacher.dim != EMBEDDING_DIM:
        raise PrepareError(f'{teacher.name} gives {teacher.dim} values a face, records hold {EMBEDDING_DIM}')
    return landmarks[0], teacher


def identities(specs: Tuple[str, ...]) -> Dict[str, Dict[str, str]]:
    """Name, version and weights' sha256 of a job's teachers, as record sets state them."""
    landmarks, embeddings = open_teachers(specs)
    return {'landmarks': landmarks.identity, 'embeddings': embeddings.identity}


def label_photos(items: List[WorkItem], job: Job) -> Tuple[List[Labelled], Dict[str, Dict[str, str]]]:
    """Label photos, the embedding teacher seeing the faces of all of them together; and who the teachers are."""
    finder, embedder = open_teachers(job.teachers)
    photos = [_Photo(item, job, finder, embedder) for item in items]
    wanted = [(photo, question, crops) for photo in photos for question, crops in photo.unknown_faces()]
    if wanted:
        vectors = embedder.embed([crop for _, _, crops in wanted for crop in crops])
        for (photo, question, _), views in zip(wanted, vectors.reshape(len(wanted), 1, -1)):
            photo.answers.put(question, views)
    return [photo.labelled() for photo in photos], identities(job.teachers)


def _name(teacher: Teacher) -> str:
    return ' '.join(teacher.identity.values())


class _Photo:
    """One photo under the teachers' eyes. It is decoded only if an answer is missing."""

    def __init__(self, item: WorkItem, job: Job, finder: LandmarkTeacher, embedder: EmbeddingTeacher) -> None:
        self.item, self.job, self.finder, self.embedder = item, job, finder, embedder
        self.answers = Answers(item.digest, item.known)
        self.faces: Optional[Faces] = None
        self._decoded: Optional[np.ndarray] = None
        try:
            self.skipped = self._label()
        except ImageError:
            self.skipped = 'broken'

    @property
    def pixels(self) -> np.ndarray:
        """The photo, (H, W, 3) uint8 RGB."""
        if self._decoded is None:
            self._decoded = read_image(self.item.data, self.job.max_pixels)
        return self._decoded

    def _label(self) -> str:
        """Decide on the faces; why the photo is skipped, or nothing."""
        job = self.job
        self.header = read_header(self.item.data)
        if self.header.pixels > job.max_pixels:
            return 'huge'
        question = self.answers.question('facts', '', _NO_ARGUMENTS)
        self.facts = self.answers.ask(question, _FACT_WIDTH, self._find_facts)[0]
        self.size = int(self.facts[0]), int(self.facts[1])
        if min(self.size) < job.min_side:
            return 'tiny'
        seen = self._detections('detect', _NO_ARGUMENTS, lambda: self.finder.detect([self.pixels])[0])
        self.faces = label_faces(
            self.item.image, seen, self._refine, self.size, job.complete, job.teacher_box, job.rules
        )
        return ''

    def _find_facts(self) -> np.ndarray:
        height, width = self.pixels.shape[:2]
        words = np.frombuffer(picture_hash(self.pixels).to_bytes(8, 'big'), '>u2')
        return np.array([[width, height, *words]], np.float32)

    def _refine(self, boxes: np.ndarray) -> Detections:
        return self._detections('refine', boxes, lambda: self.finder.refine(self.pixels, boxes))

    def _detections(self, function: str, arguments: np.ndarray, find: Callable[[], Detections]) -> Detections:
        def pack() -> np.ndarray:
            found = find()
            points = found.landmarks.reshape(-1, 10)
            return np.concatenate([found.boxes, found.scores[:, None], points], axis=1)

        question = self.answers.question(function, _name(self.finder), arguments)
        rows = self.answers.ask(question, _DETECTION_WIDTH, pack)
        return Detections(rows[:, :4], rows[:, 4], rows[:, 5:].reshape(-1, 5, 2))

    def _views(self, landmarks: np.ndarray) -> Tuple[bytes, Optional[np.ndarray]]:
        """The question for a face's embedding, and the answer (1, 256): of the face, then of its mirror image."""
        question = self.answers.question('embed', _name(self.embedder), landmarks)
        return question, self.answers.get(question, 2 * EMBEDDING_DIM)

    def unknown_faces(self) -> Iterator[Tuple[bytes, Tuple[np.ndarray, np.ndarray]]]:
        """The question and the crops (the face, its mirror image) of each face that has no embedding yet."""
        for landmarks in () if self.faces is None else self.faces.landmarks[self.faces.embed]:
            question, views = self._views(landmarks)
            if views is None:
                crop = self.embedder.align(self.pixels, landmarks)
                yield question, (crop, np.ascontiguousarray(crop[:, ::-1]))

    def labelled(self) -> Labelled:
        """The labelled photo, ready to be stored."""
        done = Labelled(self.item.image.key, self.answers.new, self.skipped)
        if self.faces is None:
            return done
        job, faces = self.job, self.faces
        embeddings = np.zeros((len(faces.boxes), EMBEDDING_DIM), np.float32)
        for i in np.flatnonzero(faces.embed):
            views = self._views(faces.landmarks[i])[1].reshape(2, -1)
            embeddings[i] = views.mean(axis=0) if job.mirror else views[0]
        done.objects = label_rows(
            self.size,
            faces.boxes,
            faces.landmarks,
            faces.show_landmarks,
            embeddings,
            faces.embed,
            faces.ignore,
        )
        done.counts, done.person, done.surprises = faces.counts, faces.person, faces.surprises
        done.picture = int.from_bytes(self.facts[2:].astype('>u2').tobytes(), 'big')
        if self.header.plain and self.header.side <= job.size:
            done.jpeg, (done.width, done.height) = self.item.data, self.size
        else:
            done.jpeg, done.width, done.height = stored_jpeg(self.pixels, job.size, job.quality)
        return done


def picture_hash(image: np.ndarray) -> int:
    """64-bit difference hash of a (H, W, 3) RGB image: which of 8x8 areas are darker than their right neighbours.

    The same picture at another size or JPEG quality differs in few bits.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA).astype(np.int16)
    return int.from_bytes(np.packbits(small[:, 1:] > small[:, :-1]).tobytes(), 'big')


class Header(NamedTuple):
    """What an image file's header states.

    pixels : how many.
    side : the longer one, in pixels.
    plain : is it a grey or colour JPEG without EXIF or other extras, which can go into a record as it is.
    """

    pixels: int
    side: int
    plain: bool


def read_header(data: bytes) -> Header:
    """The header of an image file.

    Raises
    ------
    ImageError
        There is none.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
            plain = (
                image.format == 'JPEG'
                and image.mode in ('RGB', 'L')
                and all(marker in ('APP0', 'APP14') for marker, _ in image.applist)
            )
            return Header(width * height, max(width, height), plain)
    except Exception:  # Pillow raises nearly anything on damaged files
        raise ImageError('no image') from None


def stored_jpeg(image: np.ndarray, size: int, quality: int) -> Tuple[bytes, int, int]:
    """An RGB image as a JPEG file whose longer side is at most `size`.

    Returns
    -------
    bytes, int, int
        The file, its width and height.
    """
    height, width = image.shape[:2]
    if max(height, width) > size:
        scale = size / max(height, width)
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return encode_jpeg(image, quality), width, height
