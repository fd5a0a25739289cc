"""From record files to batches of canvases: the same at any number of workers, and from any position.

Canvas number i is a function of the seed and i alone. Workers are threads: decoding, warping and colour are
OpenCV's, which lets other threads run meanwhile, so nothing has to be copied between processes, forked beside
MXNet's engine, or cleaned up.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import count
from typing import Any, Callable, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import cv2
import mxnet as mx
import numpy as np

from uniface_mx.config.augmentation import AugmentSettings, RecordShare
from uniface_mx.data.order import Proportions, RecordOrder
from uniface_mx.data.records import RecordError, RecordReader, require_teachers, unpack_label
from uniface_mx.data.rows import IGNORE, OBJECT_WIDTH, in_pixels
from uniface_mx.data.transforms.canvas import MOSAIC, Composer, Photo, canvas_kinds
from uniface_mx.data.transforms.geometric import sides
from uniface_mx.geometry import INPUT_SIZE


def in_order(executor: Executor, function: Callable, tasks: Iterable[tuple], ahead: int) -> Iterator[Any]:
    """`function(*task)` for each task, in the tasks' order, with at most `ahead` of them under way.

    Closing the iterator cancels those that have not begun.
    """
    pending: deque = deque()
    try:
        for task in tasks:
            pending.append(executor.submit(function, *task))
            if len(pending) >= ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


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


def read_photo(reader: RecordReader, index: int) -> Photo:
    """A record with its label in pixels, its image not yet decoded."""
    where = f'{reader.path}, record {index}'
    header, objects, image, _ = unpack_label(reader.read(index), where)
    size = int(header[5]), int(header[6])
    return Photo(np.frombuffer(image, np.uint8), in_pixels(objects, *size), *size, where)


class Canvases:
    """An endless sequence of labelled canvases with random access.

    Parameters
    ----------
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
    ) -> None:
        self.readers = [RecordReader(share.path) for share in shares]
        labelled = [reader for reader in self.readers if reader.meta.embeddings]
        for reader in labelled[1:]:
            require_teachers(reader.meta, labelled[0].meta.teachers, reader.name)
        for share, reader in zip(shares, self.readers):
            if share.background > 0 and reader.meta.faces:
                raise RecordError(f'{reader.path}: has faces, and a background must have none')
        self.settings, self.seed, self.size, self.skip_bad = settings, seed, size, skip_bad
        self._kinds, weights = canvas_kinds(settings)
        self._schedule = Proportions(weights, (seed or 0, 0))
        self._mosaic = np.array([kind == MOSAIC for kind, _ in self._kinds])
        self._cells = np.array([cells for _, cells in self._kinds])
        self._orders = {
            use: self._order([getattr(share, use) for share in shares], stream)
            for stream, use in enumerate(('photo', 'tile', 'background'), 1)
        }
        asked = [
            use
            for use, kinds in (('photo', ~self._mosaic), ('tile', self._mosaic))
            if weights[kinds].sum() > 0
        ]
        for use in asked:
            if self._orders[use] is None:
                raise RecordError(f'the settings ask for a {use}, and no record set has a weight for it')
        self._shown = sum(
            len(reader)
            for share, reader in zip(shares, self.readers)
            if any(getattr(share, use) > 0 for use in asked)
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

    def _photo(self, use: str, position: int) -> Photo:
        file, record = self._orders[use].at(position)
        return read_photo(self.readers[file], record)

    def photos(self, index: int) -> Tuple[str, List[Photo], List[str]]:
        """What canvas number `index` is made of: its kind, its photos, and messages of damaged records."""
        choice, before = self._schedule.at(index)
        kind, cells = self._kinds[choice]
        use = 'tile' if kind == MOSAIC else 'photo'
        first = int((before * self._cells)[self._mosaic == (kind == MOSAIC)].sum())
        photos, bad = [], []
        for position in range(first, first + cells):
            try:
                photos.append(self._photo(use, position))
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
        behind = (lambda: self._photo('background', index)) if self._orders['background'] else None
        report = (lambda error: bad.append(str(error))) if self.skip_bad else None
        composer = Composer(self.settings, self.size, rng, behind, report)
        image, objects = composer.draw(kind, composer.plan(kind, photos) if photos else [])
        return image, objects, [photo.where for photo in photos], bad

    def batch(self, indices: Sequence[int], max_faces: int, size: int) -> Batch:
        """Canvases of some numbers as a batch of `size`, filled up with empty canvases."""
        data = np.zeros((size, self.size, self.size, 3), np.uint8)
        label = np.full((size, max_faces, OBJECT_WIDTH), -1, np.float32)
        keys, bad, overflow = [], [], 0
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
    ) -> None:
        if not 0 <= shard[0] < shard[1]:
            raise ValueError(f'shard (k, n) needs 0 <= k < n, got {shard!r}')
        self.canvases, self.batch_size = canvases, batch_size
        self.workers, self.max_faces = workers, max_faces
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
        end = first + self.batch_size
        if self.canvases.seed is None:
            end = min(end, len(self.canvases))
        return self.canvases.batch(range(first, end), self.max_faces, self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        positions = count(self.position)
        if self.canvases.seed is None:
            positions = range(self.position, len(self))
        with ExitStack() as stack:
            if self.workers:
                pool = stack.enter_context(ThreadPoolExecutor(self.workers, thread_name_prefix='loader'))
                batches = stack.enter_context(closing(in_order(pool, self.make, zip(positions), self.ahead)))
            else:
                batches = map(self.make, positions)
            for batch in batches:
                self.position += 1
                yield batch


def network_input(data: np.ndarray, ctx: Optional[mx.Context] = None) -> mx.nd.NDArray:
    """Canvases (N, S, S, 3) uint8 RGB as the network takes them, (N, 3, S, S) float32, 0..255.

    To a GPU the pixels travel as bytes, a quarter of the traffic, and become float32 there.
    """
    ctx = ctx or mx.current_context()
    if ctx.device_type == 'cpu':
        return mx.nd.array(data.transpose(0, 3, 1, 2), ctx=ctx, dtype=np.float32)
    # Cast first: MXNet transposes bytes seven times more slowly than floats.
    return mx.nd.array(data, ctx=ctx, dtype=np.uint8).astype(np.float32).transpose((0, 3, 1, 2))


class CanvasDataset(mx.gluon.data.Dataset):
    """Canvases as a Gluon dataset: item i is canvas number i, whoever asks.

    Parameters
    ----------
    max_faces : int
        Label rows.
    first : int
        Canvases to pass over: a whole number of passes gives each epoch pictures of its own.
    """

    def __init__(self, canvases: Canvases, max_faces: int = 32, first: int = 0) -> None:
        self._canvases, self._max_faces, self._first = canvases, max_faces, first

    def __len__(self) -> int:
        return len(self._canvases)

    def __getitem__(self, index: int) -> Tuple[np.ndarray, np.ndarray]:
        """(S, S, 3) uint8 RGB and (G, 146) float32."""
        if not 0 <= index < len(self):
            raise IndexError(f'{len(self)} canvases, no number {index}')
        batch = self._canvases.batch([self._first + index], self._max_faces, 1)
        return batch.data[0], batch.label[0]


class CanvasIter(mx.io.DataIter):
    """The loader's stream as a DataIter: data (N, 3, S, S) float32, label (N, G, 146) float32.

    Parameters
    ----------
    epoch_size : int or None
        Batches until StopIteration; `reset` goes on with the next ones. None: a pass over the records.
    """

    def __init__(
        self,
        loader: Loader,
        epoch_size: Optional[int] = None,
        data_name: str = 'data',
        label_name: str = 'label',
    ) -> None:
        super().__init__(loader.batch_size)
        count, size = self.batch_size, loader.canvases.size
        rows = (count, loader.max_faces, OBJECT_WIDTH)
        self.provide_data = [mx.io.DataDesc(data_name, (count, 3, size, size), np.float32)]
        self.provide_label = [mx.io.DataDesc(label_name, rows, np.float32)]
        self.loader = loader
        self._epoch_size = len(loader) if epoch_size is None else epoch_size
        self._stream = iter(loader)
        self._done = 0

    def reset(self) -> None:
        """Begin the next epoch; of unshuffled canvases, the same one again."""
        self._done = 0
        if self.loader.canvases.seed is None:
            self._stream.close()
            self.loader.position = 0
            self._stream = iter(self.loader)

    def next(self) -> mx.io.DataBatch:
        """The next batch; its `pad` counts the empty canvases at its end."""
        if self._done >= self._epoch_size:
            raise StopIteration
        batch = next(self._stream)
        self._done += 1
        return mx.io.DataBatch(
            [network_input(batch.data)],
            [mx.nd.array(batch.label, dtype=np.float32)],
            pad=self.batch_size - batch.count,
            index=None,
            provide_data=self.provide_data,
            provide_label=self.provide_label,
        )
