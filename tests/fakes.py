"""Photos with painted faces, and teachers that see them: red faces surely, magenta ones not quite."""

import hashlib
import os
import time

import cv2
import numpy as np

from uniface_mx.data.prepare.cache import Cache
from uniface_mx.data.prepare.executor import SerialExecutor
from uniface_mx.data.prepare.make import make
from uniface_mx.data.sources import open_source
from uniface_mx.teachers.base import Detections, EmbeddingTeacher, LandmarkTeacher

POINTS = np.array([[0.3, 0.35], [0.7, 0.35], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]], np.float32)
TEACHERS = ('fakes:FakeFinder', 'fakes:FakeEmbedding')
PATTERN = '?pattern=(?P<person>[0-9]+)_'
RED, MAGENTA = (230, 20, 20), (230, 20, 230)


class FakeFinder(LandmarkTeacher):
    name, version, sha256 = 'fake', '1', 'a' * 64

    def __init__(self, seconds: float = 0, log: str = ''):
        self.seconds, self.log = seconds, log

    def detect(self, images):
        return [self._detect(image) for image in images]

    def _detect(self, image):
        time.sleep(self.seconds)
        if self.log:
            with open(self.log, 'a') as file:
                file.write(f'{os.getpid()}\n')
        red = ((image[..., 0] > 180) & (image[..., 1] < 80)).astype(np.uint8)
        count, labels, rows, _ = cv2.connectedComponentsWithStats(red)
        rows = rows[1:][rows[1:, 4] >= 30].astype(np.float32)
        boxes = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
        blue = [image[int((b[1] + b[3]) / 2), int((b[0] + b[2]) / 2), 2] > 120 for b in boxes]
        scores = np.where(blue, 0.7, 0.99).astype(np.float32)
        order = np.argsort(-scores, kind='stable')
        return Detections(boxes[order], scores[order], points_of(boxes[order]))

    def refine(self, image, boxes):
        boxes = np.asarray(boxes, np.float32)
        return Detections(boxes, np.full(len(boxes), 0.8, np.float32), points_of(boxes))


class FakeEmbedding(EmbeddingTeacher):
    name, version, sha256, dim = 'fake-embedding', '1', 'b' * 64, 128

    def __init__(self, version: str = '1'):
        self.version = version

    def align(self, image, landmarks):
        x, y = np.maximum(landmarks.min(axis=0).astype(int), 0)
        right, bottom = np.ceil(landmarks.max(axis=0)).astype(int) + 1
        return cv2.resize(image[y:bottom, x:right], (8, 8), interpolation=cv2.INTER_AREA)

    def embed(self, crops):
        matrix = np.random.RandomState(0).randn(8 * 8 * 3, 128).astype(np.float32)
        rows = [np.asarray(crop, np.float32).ravel() / 255 - 0.5 for crop in crops]
        return np.stack([row @ matrix / np.float32(12) for row in rows]).astype(np.float32)


def points_of(boxes):
    """(G, 5, 2) landmarks of painted faces in (G, 4) boxes."""
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    return boxes[:, None, :2] + POINTS * (boxes[:, 2:] - boxes[:, :2])[:, None]


def paint(seed, faces=((30, 20, 70, 70),), size=(120, 100), color=RED):
    """An RGB photo of (width, height) `size`: coarse noise after the seed, with painted, spotted faces."""
    random = np.random.RandomState(seed)
    coarse = random.randint(0, 160, (6, 8, 3)).astype(np.uint8)
    coarse[..., 1] = np.maximum(coarse[..., 1], 90)
    image = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    for x1, y1, x2, y2 in faces:
        image[y1:y2, x1:x2] = color
        spots = random.choice([0, 1], (4, 4, 3)) * (0, 65, 100) + color * np.array([1, 0, 0])
        image[y1:y2, x1:x2] = cv2.resize(spots.astype(np.uint8), (x2 - x1, y2 - y1))
        image[y1:y2, x1:x2, 2] |= color[2] & 0x80
    return image


def write_photos(folder, count, **paintings):
    """`count` photos PERSON_NUMBER.jpg, three to a person, one red face each if `paintings` do not differ."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        path = folder / f'{i // 3:02}_{i:03}.jpg'
        cv2.imwrite(str(path), paint(i, **paintings)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    return folder


def prepare(spec, name, job, executor=None, cache=None, **more):
    """Label the source `spec` in this process, without a cache kept, if nothing else is asked for."""
    executor, cache = executor or SerialExecutor(), Cache(None) if cache is None else cache
    return make(open_source(spec), str(name), job, executor, cache, **more)


def files_of(name):
    """sha256 of a record set's four files."""
    return [
        hashlib.sha256(open(str(name) + ending, 'rb').read()).hexdigest()
        for ending in ('.rec', '.idx', '.keys', '.json')
    ]
