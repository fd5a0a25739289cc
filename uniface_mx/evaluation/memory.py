"""Memory of a long run: what the predictor holds after many photos of mixed sizes."""

from __future__ import annotations

import argparse
import ctypes
import os
import random
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Sequence

import numpy as np
from tqdm import tqdm

from uniface_mx.cli.options import PhotoFile, batches, find_photos, read_photos
from uniface_mx.cli.program import at_least
from uniface_mx.deploy.predictor import Predictor
from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation.subject import hash_model
from uniface_mx.provenance import machine, write_result

MIB = 2**20


def resident() -> int:
    """Bytes of memory that this process holds, once glibc has given back what was freed."""
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE')


def choose(folders: Sequence[str], count: int, seed: int) -> List[PhotoFile]:
    """So many photos of some folders, as many of each as it has or its turn comes, shuffled."""
    shuffled = random.Random(seed)
    queues = []
    for folder in folders:
        photos = find_photos([folder])
        shuffled.shuffle(photos)
        queues.append(photos)
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
        for group in batches(read_photos(photos, skipped), batch):
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
    lines = ['{:>7} {:>8} {:>8} {:>8}'.format('photos', 'faces', 'MiB', 'change')]
    for row in rows:
        change = row['bytes'] / rows[0]['bytes'] - 1
        lines.append('{photos:>7} {faces:>8} {0:>8.0f} {1:>+8.1%}'.format(row['bytes'] / MIB, change, **row))
    return lines


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `tools/benchmark.py memory`."""
    parser.add_argument('--model', required=True, metavar='PREFIX', help='an exported model')
    parser.add_argument('--backend', default='mxnet')
    parser.add_argument('--photos', nargs='+', required=True, metavar='DIR', help='taken from by turns')
    parser.add_argument('--count', type=at_least(1), default=5000, help='photos in all (%(default)s)')
    parser.add_argument(
        '--every', type=at_least(1), default=500, help='photos between two rows (%(default)s)'
    )
    parser.add_argument('--batch', type=at_least(1), default=8, help='(%(default)s)')
    parser.add_argument('--seed', type=at_least(0), default=0, help='of the choice (%(default)s)')
    parser.add_argument(
        '--results', metavar='DIR', help='write DIR/NAME/memory.json; experiments/results by custom'
    )


def run(args: argparse.Namespace) -> dict:
    """Look at the photos, print the table, write the result file, and return the rows."""
    predictor = Predictor.load(args.model, args.backend, batch=args.batch)
    photos = choose(args.photos, args.count, args.seed)
    rows = list(watch(predictor, photos, args.every, args.batch))
    print('\n'.join(table(rows)))
    if args.results:
        about = {key: predictor.manifest[key] for key in ('name', 'model') if key in predictor.manifest}
        write_result(
            Path(args.results) / Path(args.model).name,
            'memory',
            subject=dict(about, sha256=hash_model(args.model), backend=args.backend),
            data={'name': ', '.join(Path(folder).name for folder in args.photos), 'seed': args.seed},
            metrics={'rows': rows, 'change': rows[-1]['bytes'] / rows[0]['bytes'] - 1},
        )
    return {'rows': rows, 'machine': machine()}
