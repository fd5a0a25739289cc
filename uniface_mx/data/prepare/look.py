"""What a worker does: photos in, labelled photos and new cache entries out.

A worker reads and writes no file. All it needs comes with the photos, so that it may be a process on this
machine or on another, and what it says depends on nothing else.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Dict, List, Optional, Tuple

import numpy as np

from uniface_mx.data.prepare.cache import Answers, Entry
from uniface_mx.data.prepare.errors import PrepareError
from uniface_mx.data.prepare.label import Faces, Rules, label_faces
from uniface_mx.data.prepare.pictures import picture_hash, read_header, stored_jpeg
from uniface_mx.data.records import (
    BOX,
    EMBEDDING,
    EMBEDDING_DIM,
    HAS_EMBEDDING,
    HAS_LANDMARKS,
    IGNORE,
    LANDMARKS,
    OBJECT_WIDTH,
)
from uniface_mx.data.sources.base import SourceImage
from uniface_mx.image import ImageError, read_image
from uniface_mx.teachers import Detections, EmbeddingTeacher, LandmarkTeacher, open_teacher

_DETECTION_WIDTH = 15
_FACT_WIDTH = 6


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
    rules : Rules
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
    rules: Rules = Rules()
    mirror: bool = True
    size: int = 400
    quality: int = 95
    min_side: int = 40
    max_pixels: int = 50_000_000


@dataclass
class Photo:
    """A photo on its way to a worker: annotation, the file's bytes and sha256, what the cache knows of it."""

    image: SourceImage
    data: bytes
    digest: bytes
    known: Dict[bytes, bytes]


@dataclass
class Outcome:
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
    """The two teachers of a job, once a process: their networks take seconds to load."""
    teachers = [open_teacher(spec) for spec in specs]
    landmarks = [teacher for teacher in teachers if isinstance(teacher, LandmarkTeacher)]
    embeddings = [teacher for teacher in teachers if isinstance(teacher, EmbeddingTeacher)]
    if len(landmarks) != 1 or len(embeddings) != 1:
        raise PrepareError(
            f'a landmark teacher and an embedding teacher are needed, not {" and ".join(specs)}'
        )
    if embeddings[0].dim != EMBEDDING_DIM:
        raise PrepareError(
            '%s gives %d values a face, records hold %d'
            % (embeddings[0].name, embeddings[0].dim, EMBEDDING_DIM)
        )
    return landmarks[0], embeddings[0]


def identities(specs: Tuple[str, ...]) -> Dict[str, Dict[str, str]]:
    """Name, version and weights' sha256 of a job's teachers, as record sets state them."""
    return {
        kind: teacher.identity for kind, teacher in zip(('landmarks', 'embeddings'), open_teachers(specs))
    }


@dataclass
class Looked:
    """The outcomes of some photos, and their cost in processor seconds: in all, and the teachers alone."""

    outcomes: List[Outcome]
    teachers: Dict[str, Dict[str, str]]
    process: int
    seconds: float
    teacher_seconds: float


def look_at(photos: List[Photo], job: Job) -> Looked:
    """Label photos; the embedding teacher sees the faces of all of them together."""
    teachers = open_teachers(job.teachers)
    clock, start = _Clock(), time.process_time()
    looks = [_Look(photo, job, *teachers, clock) for photo in photos]
    wanted = [(look, question, crops) for look in looks for question, crops in look.unknown_faces()]
    vectors = (
        clock.run(teachers[1].embed, [crop for _, _, crops in wanted for crop in crops]) if wanted else []
    )
    for i, (look, question, _) in enumerate(wanted):
        look.answers.put(question, np.concatenate([vectors[2 * i], vectors[2 * i + 1]])[None])
    outcomes = [look.outcome() for look in looks]
    return Looked(outcomes, identities(job.teachers), os.getpid(), time.process_time() - start, clock.seconds)


class _Clock:
    """Adds up the processor time of calls."""

    def __init__(self):
        self.seconds = 0.0

    def run(self, function, *arguments):
        start = time.process_time()
        try:
            return function(*arguments)
        finally:
            self.seconds += time.process_time() - start


def _identity(teacher) -> str:
    return ' '.join(teacher.identity.values())


class _Look:
    """One photo under the teachers' eyes. The photo is decoded only if an answer is missing."""

    def __init__(
        self, photo: Photo, job: Job, finder: LandmarkTeacher, embedder: EmbeddingTeacher, clock: _Clock
    ):
        self.photo, self.job = photo, job
        self.finder, self.embedder, self.clock = finder, embedder, clock
        self.answers = Answers(photo.digest, photo.known)
        self.faces: Optional[Faces] = None
        self.skipped = ''
        self._decoded: Optional[np.ndarray] = None
        try:
            self._label()
        except ImageError:
            self.skipped = 'broken'

    @property
    def pixels(self) -> np.ndarray:
        if self._decoded is None:
            self._decoded = read_image(self.photo.data, self.job.max_pixels)
        return self._decoded

    def _label(self) -> None:
        ask, job = self.answers.ask, self.job
        self.header = read_header(self.photo.data)
        if self.header.pixels > job.max_pixels:
            self.skipped = 'huge'
            return
        self.facts = ask(self.answers.question('facts', '', np.zeros(0)), _FACT_WIDTH, self._find_facts)[0]
        self.size = int(self.facts[0]), int(self.facts[1])
        if min(self.size) < job.min_side:
            self.skipped = 'tiny'
            return
        seen = ask(
            self.answers.question('detect', _identity(self.finder), np.zeros(0)),
            _DETECTION_WIDTH,
            lambda: _pack(self.clock.run(self.finder.detect, [self.pixels])[0]),
        )
        self.faces = label_faces(
            self.photo.image, _unpack(seen), self._refine, self.size, job.complete, job.teacher_box, job.rules
        )

    def _find_facts(self) -> np.ndarray:
        height, width = self.pixels.shape[:2]
        words = np.frombuffer(picture_hash(self.pixels).to_bytes(8, 'big'), '>u2')
        return np.array([[width, height, *words]], np.float32)

    def _refine(self, boxes: np.ndarray) -> Detections:
        def find():
            return _pack(self.clock.run(self.finder.refine, self.pixels, boxes))

        question = self.answers.question('refine', _identity(self.finder), boxes)
        return _unpack(self.answers.ask(question, _DETECTION_WIDTH, find))

    def _face_question(self, landmarks: np.ndarray) -> bytes:
        return self.answers.question('embed', _identity(self.embedder), landmarks)

    def unknown_faces(self):
        """The question and the crops (the face, its mirror image) of each face that has no embedding yet."""
        if self.faces is None:
            return
        for landmarks in self.faces.landmarks[self.faces.embed]:
            question = self._face_question(landmarks)
            if self.answers.get(question, 2 * EMBEDDING_DIM) is None:
                crop = self.clock.run(self.embedder.align, self.pixels, landmarks)
                yield question, (crop, np.ascontiguousarray(crop[:, ::-1]))

    def _objects(self) -> np.ndarray:
        faces = self.faces
        objects = np.zeros((len(faces.boxes), OBJECT_WIDTH), np.float32)
        scale = np.array(self.size, np.float32)
        objects[:, BOX] = np.clip(faces.boxes / np.tile(scale, 2), 0, 1)
        shown = faces.show_landmarks
        objects[shown, LANDMARKS] = np.clip(faces.landmarks[shown] / scale, 0, 1).reshape(-1, 10)
        objects[:, HAS_LANDMARKS] = shown
        objects[:, HAS_EMBEDDING] = faces.embed
        objects[:, IGNORE] = faces.ignore
        for i in np.flatnonzero(faces.embed):
            views = self.answers.get(self._face_question(faces.landmarks[i]), 2 * EMBEDDING_DIM).reshape(
                2, -1
            )
            objects[i, EMBEDDING] = views.mean(axis=0) if self.job.mirror else views[0]
        return objects

    def outcome(self) -> Outcome:
        """The labelled photo, ready to be stored."""
        outcome = Outcome(self.photo.image.key, skipped=self.skipped)
        if not self.skipped:
            self._fill(outcome)
        outcome.entries = self.answers.new
        return outcome

    def _fill(self, outcome: Outcome) -> None:
        data, job = self.photo.data, self.job
        outcome.objects, outcome.counts = self._objects(), self.faces.counts
        outcome.person, outcome.surprises = self.faces.person, self.faces.surprises
        outcome.picture = int.from_bytes(self.facts[2:].astype('>u2').tobytes(), 'big')
        if self.header.plain and self.header.side <= job.size:
            outcome.jpeg, (outcome.width, outcome.height) = data, self.size
        else:
            outcome.jpeg, outcome.width, outcome.height = stored_jpeg(self.pixels, job.size, job.quality)


def _pack(found: Detections) -> np.ndarray:
    return np.concatenate([found.boxes, found.scores[:, None], found.landmarks.reshape(-1, 10)], axis=1)


def _unpack(rows: np.ndarray) -> Detections:
    return Detections(rows[:, :4], rows[:, 4], rows[:, 5:].reshape(-1, 5, 2))
