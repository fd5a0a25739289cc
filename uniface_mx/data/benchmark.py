"""Speed of the data pipeline: its steps, the whole of it, and MXNet's own iterator on the same records."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import cv2
import mxnet as mx
import numpy as np

from uniface_mx.data.iterators import network_input
from uniface_mx.data.loader import Canvases, Loader, read_photo
from uniface_mx.data.records import HAS_EMBEDDING, IGNORE, RecordReader, load_meta, record_path
from uniface_mx.data.transforms import AugmentSettings, RecordShare, geometric, photometric
from uniface_mx.data.transforms.canvas import decode
from uniface_mx.errors import UnifaceError

# More batches than either pipeline makes ahead.
_WARM = 5


class Row(NamedTuple):
    """One line of the table: how many a second by the clock, and milliseconds of CPU for one."""

    name: str
    per_second: float
    cpu_ms: float
    faces_per_second: Optional[float] = None


def measure(action: Callable[[int], object], seconds: float) -> Tuple[float, float]:
    """Repeat `action(i)` for some time; repetitions a second, and CPU milliseconds of one."""
    action(0)
    count, wall, cpu = 0, time.perf_counter(), time.process_time()
    while not count or time.perf_counter() - wall < seconds:
        action(count)
        count += 1
    return count / (time.perf_counter() - wall), (time.process_time() - cpu) / count * 1e3


def steps(names: Sequence[str], size: int, seconds: float, seed: int = 0) -> List[Row]:
    """Each step alone, on one core: reading and decoding on the records, transforms on canvases of `size`."""
    readers = [RecordReader(name) for name in names]
    rng = np.random.default_rng(seed)
    picks = [(reader, int(i)) for reader in readers for i in rng.integers(0, len(reader), 64)]
    rng.shuffle(picks)
    photos = [read_photo(reader, i) for reader, i in picks]
    pick = len(picks)
    images = [decode(photo)[0] for photo in photos]
    canvas = cv2.resize(images[0], (size, size))
    cell = np.array([0, 0, size, size])
    target = canvas.copy()

    def place(i):
        image = images[i % pick]
        matrix = geometric.window_matrix((0, 0, image.shape[1], image.shape[0]), size)
        geometric.paint(
            target, cell, image, geometric.chain(matrix, geometric.rotation_matrix(7, size / 2, size / 2))
        )

    def label(i):
        photo = photos[i % pick]
        objects = geometric.transform_objects(photo.objects, geometric.flip_matrix(photo.width))
        geometric.cut_objects(objects, np.array([0, 0, photo.width, photo.height]), 0.1, 0.6, 0.9)

    actions: Dict[str, Callable[[int], object]] = {
        'read record': lambda i: read_photo(*picks[i % pick]),
        'decode, full size': lambda i: decode(photos[i % pick]),
        'decode, for half size': lambda i: decode(photos[i % pick], 0.5),
        'decode, for quarter size': lambda i: decode(photos[i % pick], 0.25),
        'labels: flip and cut': label,
        'warp (letterbox, crop, flip, turn)': place,
        'colour': lambda i: photometric.colour(canvas, 1.1, 0.9, 1.1, 0.8, 5, (1, 0.95, 1.05)),
        'blur': lambda i: photometric.blur(canvas, 1.5),
        'low resolution': lambda i: photometric.low_resolution(canvas, 2.5),
        'noise': lambda i: photometric.noise(canvas, 6, rng),
        'JPEG': lambda i: photometric.jpeg(canvas, 60),
    }
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        return [Row(name, *measure(action, seconds)) for name, action in actions.items()]
    finally:
        cv2.setNumThreads(threads)
        for reader in readers:
            reader.close()


def pipeline(
    name: str,
    shares: Sequence[RecordShare],
    settings: AugmentSettings,
    size: int,
    batch: int,
    workers: int,
    seconds: float,
    arrays: bool = False,
) -> Row:
    """The whole pipeline; the faces are those with an embedding, or all if none has one."""
    canvases = Canvases(shares, settings, size=size)
    stream = iter(Loader(canvases, batch, workers=workers))
    faces: List[Tuple[int, int]] = []

    def step(_):
        made = next(stream)
        if arrays:
            network_input(made.data).wait_to_read()
        faces.append(((made.label[..., IGNORE] == 0).sum(), (made.label[..., HAS_EMBEDDING] == 1).sum()))

    for _ in range(_WARM):
        step(0)
    rate, cpu_ms = measure(step, seconds)
    stream.close()
    canvases.close()
    all_faces, embedded = np.mean(faces, axis=0)
    return Row(name, rate * batch, cpu_ms / batch, float(embedded or all_faces) * rate)


def stock(name: str, path: str, size: int, batch: int, workers: int, seconds: float, augment: bool) -> Row:
    """`mx.io.ImageDetRecordIter` on one record set."""
    options = (
        dict(
            rand_mirror_prob=0.5,
            rand_crop_prob=0.5,
            min_crop_scales=0.3,
            max_crop_scales=1.0,
            num_crop_sampler=1,
            min_crop_overlaps=0.1,
            max_crop_trials=25,
            rand_pad_prob=0.3,
            max_pad_scale=3.0,
            random_hue_prob=0.5,
            max_random_hue=8,
            random_saturation_prob=0.5,
            max_random_saturation=32,
            random_illumination_prob=0.5,
            max_random_illumination=32,
            random_contrast_prob=0.5,
            max_random_contrast=0.2,
        )
        if augment
        else {}
    )
    stream = mx.io.ImageDetRecordIter(
        path_imgrec=path,
        data_shape=(3, size, size),
        batch_size=batch,
        shuffle=True,
        preprocess_threads=workers,
        verbose=False,
        **options,
    )

    def batches() -> Iterator[mx.io.DataBatch]:
        while True:
            stream.reset()
            yield from stream

    endless = batches()
    for _ in range(_WARM):
        next(endless)
    rate, cpu_ms = measure(lambda _: next(endless).data[0].wait_to_read(), seconds)
    return Row(name, rate * batch, cpu_ms / batch)


def mean_row(rows: Sequence[Row]) -> Row:
    """The mean of repeated measurements."""
    known = [row.faces_per_second for row in rows if row.faces_per_second is not None]
    return Row(
        rows[0].name,
        float(np.mean([row.per_second for row in rows])),
        float(np.mean([row.cpu_ms for row in rows])),
        float(np.mean(known)) if known else None,
    )


_COLUMNS = ('a second', 'CPU ms', 'per core', 'faces/s')


def _line(*cells: str) -> str:
    return f'{cells[0]:<52} ' + ' '.join(f'{cell:>10}' for cell in cells[1:])


def benchmark(
    records: Sequence[str],
    backgrounds: Sequence[str] = (),
    size: int = 300,
    batch: int = 32,
    workers: int = 2,
    seconds: float = 3,
) -> Dict[str, Any]:
    """Measure, print a table, and return it.

    Parameters
    ----------
    records, backgrounds : sequence of str
        Record sets with faces, and without.
    size, batch : int
        Side of a canvas in pixels, and canvases in a batch.
    workers : int
        Threads.
    seconds : float
        For each measurement of a pipeline.
    """
    shares = [RecordShare(name) for name in records]
    shares += [RecordShare(name, photo=0, tile=0, background=1) for name in backgrounds]
    common = dict(size=size, batch=batch, workers=workers, seconds=seconds)
    half = dict(common, seconds=seconds / 2)
    for name in records:
        count = load_meta(name).records
        if count < batch:
            raise UnifaceError(f'{name}: has {count} records, fewer than a batch; give a smaller --batch')
    default = AugmentSettings()
    print(_line(f'{workers} threads, {size} px, batch {batch}', *_COLUMNS), flush=True)
    rows: List[Row] = []

    def add(*measured: Row) -> None:
        for row in measured:
            faces = '' if row.faces_per_second is None else f'{row.faces_per_second:.0f}'
            figures = (f'{row.per_second:.1f}', f'{row.cpu_ms:.3f}', f'{1000.0 / row.cpu_ms:.1f}')
            print(_line(row.name, *figures, faces), flush=True)
        rows.extend(measured)

    add(*steps(records, size, seconds / 6))
    for cells in (1, 4, 9):
        settings = replace(default, letterbox=0, crop=0, mosaic=1, mosaic_cells=(cells,), mosaic_weights=(1,))
        add(pipeline(f'canvases of {cells}, all transforms', shares, settings, **common))
    add(pipeline('canvases, default mix, all transforms', shares, default, **common))
    add(pipeline('the same, as float32 NCHW on the CPU', shares, default, arrays=True, **common))
    plain = AugmentSettings.none()
    # What ImageDetRecordIter can do as well.
    common_to_both = replace(
        plain,
        letterbox=0,
        crop=1,
        expand_probability=0.3,
        flip_probability=0.5,
        colour_probability=0.5,
        background_probability=0,
    )
    for name in records:
        path = record_path(name, '.rec')
        for text, settings, augment in (
            ('whole photos', plain, False),
            ('crop, expand, flip, colour', common_to_both, True),
        ):
            text = f'{path.stem}: {text}'
            # In turns, so that a busy machine is busy for both.
            turns = [
                (
                    pipeline(text, [RecordShare(name)], settings, arrays=True, **half),
                    stock(text + ', ImageDetRecordIter', str(path), augment=augment, **half),
                )
                for _ in range(2)
            ]
            add(*(mean_row(pair) for pair in zip(*turns)))
    return {'threads': workers, 'size': size, 'batch': batch, 'rows': [row._asdict() for row in rows]}
