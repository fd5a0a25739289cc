"""From record files to batches of canvases: the same at any number of workers, and from any position.

Canvas number i is a function of the seed and i alone. Workers are threads: decoding, warping and colour are
OpenCV's, which lets other threads run meanwhile, so nothing has to be copied between processes, forked beside
MXNet's engine, or cleaned up.
"""

from __future__ import annotations

import os
import struct
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np

from uniface_mx.data import records
from uniface_mx.data.order import Proportions, RecordOrder
from uniface_mx.data.records import BOX, IGNORE, LANDMARKS, OBJECT_WIDTH, RecordError
from uniface_mx.data.transforms import AugmentSettings, RecordShare
from uniface_mx.data.transforms.canvas import MOSAIC, Photo, canvas_kinds, draw, plan
from uniface_mx.data.transforms.geometric import sides
from uniface_mx.geometry import INPUT_SIZE

_MAGIC = struct.pack('<I', 0xCED7230A)


class Batch(NamedTuple):
    """Canvases with their faces.

    data : (N, S, S, 3) uint8, RGB.
    label : (N, G, 146) float32, rows in canvas pixels, -1 rows where there is no face.
    count : how many canvases are real (the last batch of an unshuffled pass is filled up with empty ones).
    keys : for each canvas, the names of the records it shows.
    bad : for each canvas, messages of damaged records that it should have shown.
    overflow : how many faces found no row.
    """

    data: np.ndarray
    label: np.ndarray
    count: int
    keys: List[List[str]]
    bad: List[List[str]]
    overflow: int


class SharedReader(records.RecordReader):
    """A record set that several threads may read at once: no read moves a file position."""

    def __init__(self, name: str):
        super().__init__(name)
        index = str(records.record_path(name, '.idx'))
        try:
            self._offsets = (
                np.loadtxt(index, np.int64, delimiter='\t', ndmin=2, usecols=1)[:, 0] if len(self) else []
            )
        except (ValueError, IndexError):
            raise RecordError('%s: damaged index; prepare the set again' % index) from None
        if len(self._offsets) != len(self):
            raise RecordError(
                '%s: %d lines for %d records; prepare the set again' % (index, len(self._offsets), len(self))
            )
        self._handle = open(str(self.path), 'rb')

    def read(self, index: int) -> bytes:
        """The stored bytes of record `index`; RecordIO splits one where its magic number occurs."""
        parts, offset, flag = [], int(self._offsets[index]), 1
        while flag in (1, 2):
            head = os.pread(self._handle.fileno(), 8, offset)
            if len(head) < 8 or head[:4] != _MAGIC:
                raise RecordError(
                    '%s, record %d: damaged, no record begins at byte %d; prepare the set again, or skip '
                    'such records' % (self.path, index, offset)
                )
            flag, length = divmod(struct.unpack('<I', head[4:])[0], 1 << 29)
            part = os.pread(self._handle.fileno(), length, offset + 8)
            if len(part) < length:
                raise RecordError(
                    '%s, record %d: the file ends before it; prepare the set again' % (self.path, index)
                )
            parts.append(part)
            offset += 8 + -(-length // 4) * 4
        return _MAGIC.join(parts)

    def photo(self, index: int) -> Photo:
        """Record `index` with its label in pixels, its image not yet decoded."""
        where = '%s, record %d' % (self.path, index)
        header, objects, image, _ = records.unpack_label(self.read(index), where)
        width, height = int(header[5]), int(header[6])
        objects = objects.copy()
        objects[:, BOX] *= np.array([width, height] * 2, np.float32)
        objects[:, LANDMARKS] *= np.array([width, height] * 5, np.float32)
        return Photo(np.frombuffer(image, np.uint8), objects, width, height, where)

    def close(self) -> None:
        """Close the file for good."""
        self._handle.close()


class Canvases:
    """An endless sequence of labelled canvases with random access.

    Parameters
    ----------
    shares : sequence of RecordShare
    settings : AugmentSettings
    seed : int or None
        None: the records one after the other, each once; for validation, with `AugmentSettings.none()`.
    size : int
        Side of a canvas in pixels.
    skip_bad : bool
        Leave damaged records out and report them, instead of raising RecordError.

    Raises
    ------
    RecordError
        A set is missing or damaged, its embeddings come from another teacher than the other sets', or no set
        may be used for what the settings ask.
    """

    def __init__(
        self,
        shares: Sequence[RecordShare],
        settings: AugmentSettings,
        seed: Optional[int] = 0,
        size: int = INPUT_SIZE,
        skip_bad: bool = False,
    ):
        self.readers = [SharedReader(share.path) for share in shares]
        labelled = [reader for reader in self.readers if reader.meta.embeddings]
        for reader in labelled[1:]:
            records.require_teachers(reader.meta, labelled[0].meta.teachers, reader.name)
        for share, reader in zip(shares, self.readers):
            if share.background > 0 and reader.meta.faces:
                raise RecordError('%s: has faces, and a background must have none' % reader.path)
        self.settings, self.seed, self.size, self.skip_bad = settings, seed, size, skip_bad
        self._kinds, weights = canvas_kinds(settings)
        self._schedule = Proportions(weights, (seed or 0, 0))
        self._mosaic = np.array([kind == MOSAIC for kind, _ in self._kinds])
        self._cells = np.array([cells for _, cells in self._kinds])
        self._photos = self._order([share.photo for share in shares], 1)
        self._tiles = self._order([share.tile for share in shares], 2)
        self._backgrounds = self._order([share.background for share in shares], 3)
        asked = {'photo': weights[~self._mosaic].sum() > 0, 'tile': weights[self._mosaic].sum() > 0}
        for use, order in (('photo', self._photos), ('tile', self._tiles)):
            if asked[use] and order is None:
                raise RecordError('the settings ask for a %s, and no record set has a weight for it' % use)
        self._shown = sum(
            len(reader)
            for share, reader in zip(shares, self.readers)
            if any(asked[use] and getattr(share, use) > 0 for use in asked)
        )

    def _order(self, weights: Sequence[float], stream: int) -> Optional[RecordOrder]:
        sizes = [len(reader) for reader in self.readers]
        if not any(size and weight > 0 for size, weight in zip(sizes, weights)):
            return None
        return RecordOrder(sizes, weights, None if self.seed is None else (self.seed, stream))

    def __len__(self) -> int:
        """Canvases in a pass: they show as many records as there are (backgrounds aside)."""
        uses = self._schedule.counts
        return int(np.ceil(self._shown * uses.sum() / (uses * self._cells).sum()))

    def _photo(self, order: RecordOrder, position: int) -> Photo:
        file, record = order.at(position)
        return self.readers[file].photo(record)

    def photos(self, index: int) -> Tuple[str, List[Photo], List[str]]:
        """What canvas number `index` is made of: its kind, its photos, and messages of damaged records."""
        choice, before = self._schedule.at(index)
        kind, cells = self._kinds[choice]
        order = self._tiles if kind == MOSAIC else self._photos
        first = int((before * self._cells)[self._mosaic == (kind == MOSAIC)].sum())
        bad: List[str] = []
        photos = []
        for position in range(first, first + cells):
            try:
                photos.append(self._photo(order, position))
            except RecordError as error:
                if not self.skip_bad:
                    raise
                bad.append(str(error))
        return kind, photos, bad

    def canvas(self, index: int) -> Tuple[np.ndarray, np.ndarray, List[str], List[str]]:
        """Canvas number `index`.

        Returns
        -------
        (S, S, 3) uint8, (G, 146) float32, names of its records, messages of damaged records
        """
        kind, photos, bad = self.photos(index)
        rng = np.random.default_rng((self.seed or 0, 4, index))
        behind = self._backgrounds and (lambda: self._photo(self._backgrounds, index))
        tiles = plan(kind, photos, self.settings, self.size, rng) if photos else []
        image, objects = draw(
            kind,
            tiles,
            behind,
            self.settings,
            self.size,
            rng,
            (lambda error: bad.append(str(error))) if self.skip_bad else None,
        )
        return image, objects, [photo.where for photo in photos], bad

    def batch(self, indices: Sequence[int], max_faces: int, size: int) -> Batch:
        """Canvases of some numbers as a batch of `size`, filled up with empty canvases."""
        data = np.zeros((size, self.size, self.size, 3), np.uint8)
        label = np.full((size, max_faces, OBJECT_WIDTH), -1, np.float32)
        keys: List[List[str]] = []
        bad: List[List[str]] = []
        overflow = 0
        for row, index in enumerate(indices):
            data[row], objects, names, messages = self.canvas(index)
            if len(objects) > max_faces:
                # Faces to learn first, then the largest.
                objects = objects[np.lexsort((-sides(objects), objects[:, IGNORE]))]
                overflow += len(objects) - max_faces
            label[row, : min(len(objects), max_faces)] = objects[:max_faces]
            keys.append(names)
            bad.append(messages)
        return Batch(data, label, len(keys), keys, bad, overflow)

    def close(self) -> None:
        """Close the files."""
        for reader in self.readers:
            reader.close()


class Loader:
    """Batches of canvases, made ahead by threads.

    The stream is endless, unless the canvases are unshuffled (`seed=None`): then it ends after one pass.
    Iterating goes on from `position`; `position` is all there is to save and restore.

    Parameters
    ----------
    canvases : Canvases
    batch_size : int
    workers : int
        Threads; 0 makes each batch when it is asked for.
    max_faces : int
        Label rows of a canvas.
    ahead : int
        Batches made ahead.
    shard : (int, int)
        (k, n): this is the k-th of n processes that share the stream; together they see what one process with
        a batch n times as large would see.
    position : int
        Batches to pass over.
    """

    def __init__(
        self,
        canvases: Canvases,
        batch_size: int,
        workers: int = 2,
        max_faces: int = 32,
        ahead: int = 4,
        shard: Tuple[int, int] = (0, 1),
        position: int = 0,
    ):
        if not 0 <= shard[0] < shard[1]:
            raise ValueError('shard (k, n) needs 0 <= k < n, got %r' % (shard,))
        self.canvases, self.batch_size, self.workers, self.max_faces = (
            canvases,
            batch_size,
            workers,
            max_faces,
        )
        self.ahead, self.shard, self.position = max(1, ahead), shard, position
        if workers:
            # OpenCV's own threads would only compete with the workers.
            cv2.setNumThreads(1)

    def __len__(self) -> int:
        """Batches in a pass over the records."""
        return -(-len(self.canvases) // (self.batch_size * self.shard[1]))

    def make(self, position: int) -> Batch:
        """The batch at a position, here and now."""
        k, n = self.shard
        first = (position * n + k) * self.batch_size
        indices = range(first, first + self.batch_size)
        if self.canvases.seed is None:
            indices = range(first, min(first + self.batch_size, len(self.canvases)))
        return self.canvases.batch(indices, self.max_faces, self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        if not self.workers:
            while self._more(self.position):
                batch = self.make(self.position)
                self.position += 1
                yield batch
            return
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix='loader')
        pending = deque()
        asked = self.position
        try:
            while True:
                while len(pending) < self.ahead and self._more(asked):
                    pending.append(pool.submit(self.make, asked))
                    asked += 1
                if not pending:
                    return
                batch = pending.popleft().result()
                self.position += 1
                yield batch
        finally:
            for future in pending:
                future.cancel()
            pool.shutdown(wait=True)

    def _more(self, position: int) -> bool:
        return self.canvases.seed is not None or position < len(self)
