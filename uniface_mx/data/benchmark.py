"""Speed of the data pipeline, and of MXNet's own iterator on the same records."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import mxnet as mx
import numpy as np

from uniface_mx.config.augmentation import AugmentSettings, RecordShare
from uniface_mx.data.loader import Canvases, Loader, network_input
from uniface_mx.data.records import load_meta, record_path
from uniface_mx.data.rows import count_faces
from uniface_mx.errors import UnifaceError

# More batches than either pipeline makes ahead.
_WARM = 5
_COLUMNS = ('a second', 'CPU ms', 'per core', 'faces/s')


class Row(NamedTuple):
    """One line of the table: how many a second by the clock, and milliseconds of CPU for one."""

    name: str
    per_second: float
    cpu_ms: float
    faces_per_second: Optional[float] = None


def timed(action: Callable[[], Any], seconds: float) -> Tuple[float, float]:
    """Repeat an action for some time, once it is warm; repetitions a second, and CPU milliseconds of one."""
    for _ in range(_WARM):
        action()
    count, wall, cpu = 0, time.perf_counter(), time.process_time()
    while not count or time.perf_counter() - wall < seconds:
        action()
        count += 1
    return count / (time.perf_counter() - wall), (time.process_time() - cpu) / count * 1e3


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
    faces: List[Dict[str, int]] = []

    def step() -> None:
        made = next(stream)
        if arrays:
            network_input(made.data).wait_to_read()
        faces.append(count_faces(made.label.reshape(-1, made.label.shape[-1])))

    rate, cpu_ms = timed(step, seconds)
    stream.close()
    canvases.close()
    embedded, every = (np.mean([counts[kind] for counts in faces]) for kind in ('embeddings', 'faces'))
    return Row(name, rate * batch, cpu_ms / batch, float(embedded or every) * rate)


def stock(name: str, path: str, size: int, batch: int, workers: int, seconds: float, augment: bool) -> Row:
    """`mx.io.ImageDetRecordIter` on one record set."""
    options: Dict[str, float] = {}
    if augment:
        options = dict(rand_mirror_prob=0.5, rand_pad_prob=0.3, max_pad_scale=3.0, rand_crop_prob=0.5)
        options.update(min_crop_scales=0.3, max_crop_scales=1.0, min_crop_overlaps=0.1)
        options.update(num_crop_sampler=1, max_crop_trials=25)
        for kind, most in (('hue', 8), ('saturation', 32), ('illumination', 32), ('contrast', 0.2)):
            options.update({f'random_{kind}_prob': 0.5, f'max_random_{kind}': most})
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
    rate, cpu_ms = timed(lambda: next(endless).data[0].wait_to_read(), seconds)
    return Row(name, rate * batch, cpu_ms / batch)


def measure(
    records: Sequence[str], backgrounds: Sequence[str], size: int, batch: int, workers: int, seconds: float
) -> Iterator[Row]:
    """Each measurement, as soon as it is made; the arguments are those of `benchmark`."""
    shares = [RecordShare(name) for name in records]
    shares += [RecordShare(name, photo=0, tile=0, background=1) for name in backgrounds]
    common = dict(size=size, batch=batch, workers=workers, seconds=seconds)
    default, plain = AugmentSettings(), AugmentSettings.none()
    for cells in (1, 4, 9):
        settings = replace(default, letterbox=0, crop=0, mosaic=1, mosaic_cells=(cells,), mosaic_weights=(1,))
        yield pipeline(f'canvases of {cells}, all transforms', shares, settings, **common)
    yield pipeline('canvases, default mix, all transforms', shares, default, **common)
    yield pipeline('the same, as float32 NCHW on the CPU', shares, default, arrays=True, **common)
    # What ImageDetRecordIter can do as well.
    both = replace(plain, letterbox=0, crop=1, flip_probability=0.5, colour_probability=0.5)
    both = replace(both, expand_probability=0.3, background_probability=0)
    for name in records:
        path = record_path(name, '.rec')
        for kind, settings in (('whole photos', plain), ('crop, expand, flip, colour', both)):
            text, augment = f'{path.stem}: {kind}', settings is both
            yield pipeline(text, [RecordShare(name)], settings, arrays=True, **common)
            yield stock(text + ', ImageDetRecordIter', str(path), augment=augment, **common)


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
        Record sets with faces and without.
    size : int
        Side of a canvas in pixels.
    batch, workers : int
        Canvases in a batch, and threads.
    seconds : float
        For each measurement.

    Raises
    ------
    UnifaceError
        A record set is missing, or has fewer records than a batch.
    """
    for name in records:
        count = load_meta(name).records
        if count < batch:
            raise UnifaceError(f'{name}: has {count} records, fewer than a batch; give a smaller --batch')
    print(_line(f'{workers} threads, {size} px, batch {batch}', *_COLUMNS), flush=True)
    rows = []
    for row in measure(records, backgrounds, size, batch, workers, seconds):
        faces = '' if row.faces_per_second is None else f'{row.faces_per_second:.0f}'
        figures = f'{row.per_second:.1f}', f'{row.cpu_ms:.3f}', f'{1000.0 / row.cpu_ms:.1f}'
        print(_line(row.name, *figures, faces), flush=True)
        rows.append(row._asdict())
    return {'threads': workers, 'size': size, 'batch': batch, 'rows': rows}


def _line(name: str, *figures: str) -> str:
    return f'{name:52} ' + ' '.join(f'{figure:>10}' for figure in figures)
