"""Memory of a long run: what the predictor holds after many photos of mixed sizes."""

from __future__ import annotations

import ctypes
import os
import random
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence

import numpy as np
from tqdm import tqdm

from uniface_mx.deploy.predictor import Predictor
from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation.results import write_result
from uniface_mx.evaluation.subject import about_model, hash_model
from uniface_mx.image import MAX_PIXELS
from uniface_mx.photos import PhotoFile, batches, find_photos, read_photos
from uniface_mx.provenance import machine

MIB = 2**20


def resident() -> int:
    """Bytes of memory that this process holds, once glibc has given back what was freed."""
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE')


def choose(folders: Sequence[str], count: int, seed: int) -> List[PhotoFile]:
    """So many photos of some folders, as many of each as it has or its turn comes, shuffled."""
    shuffled = random.Random(seed)
    queues = [find_photos([folder]) for folder in folders]
    for queue in queues:
        shuffled.shuffle(queue)
    chosen: List[PhotoFile] = []
    while len(chosen) < count and any(queues):
        chosen += [queue.pop() for queue in queues if queue]
    if len(chosen) < count:
        raise UnifaceError(f'{count} photos are needed, {len(chosen)} are there')
    chosen = chosen[:count]
    shuffled.shuffle(chosen)
    return chosen


def watch(
    predictor: Predictor, photos: Sequence[PhotoFile], every: int, batch: int
) -> Iterator[Dict[str, Any]]:
    """Look at all photos; a row each so many, and after the last."""
    skipped: Dict[str, str] = {}
    faces = row = seen = 0
    sizes: List[int] = []
    with tqdm(total=len(photos), unit='photo', disable=None) as bar:
        for group in batches(read_photos(photos, skipped), batch, MAX_PIXELS):
            sizes += [image.shape[0] * image.shape[1] for _, image in group]
            faces += sum(map(len, predictor([image for _, image in group])))
            seen += len(group)
            # The photos themselves are not what the predictor holds.
            group.clear()
            done = seen + len(skipped)
            bar.update(done - bar.n)
            if done // every > row or done == len(photos):
                row = done // every
                yield {
                    'photos': done,
                    'skipped': len(skipped),
                    'faces': faces,
                    'bytes': resident(),
                    'pixels': [int(value) for value in np.percentile(sizes, (0, 50, 100))],
                }


def table(rows: Sequence[Mapping[str, Any]]) -> List[str]:
    """A line each row: photos, memory in MiB, and its change since the first."""
    lines = [f'{"photos":>7} {"faces":>8} {"MiB":>8} {"change":>8}']
    for row in rows:
        change = row['bytes'] / rows[0]['bytes'] - 1
        lines.append(f'{row["photos"]:>7} {row["faces"]:>8} {row["bytes"] / MIB:>8.0f} {change:>+8.1%}')
    return lines


def benchmark(
    model: str,
    photos: Sequence[str],
    backend: str = 'mxnet',
    count: int = 5000,
    every: int = 500,
    batch: int = 8,
    seed: int = 0,
    results: Optional[str] = None,
) -> Dict[str, Any]:
    """Look at many photos, print what is held, write the result file, and return the rows.

    Parameters
    ----------
    model : str
        Prefix of an exported model.
    photos : sequence of str
        Folders, taken from by turns.
    backend : str
    count, seed : int
        How many photos in all, and the seed of their choice.
    every, batch : int
        Photos between two rows, and those looked at together.
    results : str, optional
        Write ``RESULTS/NAME/memory.json``.
    """
    predictor = Predictor.load(model, backend, batch=batch)
    rows = list(watch(predictor, choose(photos, count, seed), every, batch))
    print('\n'.join(table(rows)))
    if results:
        about = dict(about_model(model, 'name', 'model'), sha256=hash_model(model), backend=backend)
        data = {'name': ', '.join(Path(folder).name for folder in photos), 'seed': seed}
        metrics = {'rows': rows, 'change': rows[-1]['bytes'] / rows[0]['bytes'] - 1}
        write_result(Path(results) / Path(model).name, 'memory', subject=about, data=data, metrics=metrics)
    return {'rows': rows, 'machine': machine()}
