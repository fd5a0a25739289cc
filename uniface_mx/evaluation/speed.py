"""Table II and the cost of faces: images a second of models on all backends, beside two networks in a row.

The same photos for all, decoded beforehand, with a known number of faces: portraits side by side. Systems
take turns, so that a machine that is busy for a while is busy for all.
"""

from __future__ import annotations

import itertools
import math
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np
from tqdm import tqdm

from uniface_mx.data.prepare.executor import open_executor
from uniface_mx.data.prepare.worker import open_teachers
from uniface_mx.deploy.backends import BACKENDS, BackendError, MxnetBackend
from uniface_mx.deploy.predictor import Predictor
from uniface_mx.errors import UnifaceError, lookup
from uniface_mx.evaluation.results import write_result
from uniface_mx.evaluation.subject import about_model, hash_model
from uniface_mx.geometry import INPUT_SIZE, letterbox_scale
from uniface_mx.models.files import ModelFiles
from uniface_mx.paths import data_root
from uniface_mx.photos import batches as in_groups
from uniface_mx.photos import find_photos, read_photos
from uniface_mx.provenance import machine
from uniface_mx.teachers.base import embed_faces

NO_FACE = 2.0
SIZES = ('300', 'own')


def crowd(portraits: Sequence[np.ndarray], faces: int) -> np.ndarray:
    """A photo of so many faces: portraits of the size of the first in a nearly square grid, the rest black.

    Without faces it is the first portrait, of which only an 8x8 mosaic is left.
    """
    height, width = portraits[0].shape[:2]
    if not faces:
        return cv2.resize(cv2.resize(portraits[0], (8, 8)), (width, height), interpolation=cv2.INTER_NEAREST)
    columns = math.ceil(math.sqrt(faces))
    photo = np.zeros((math.ceil(faces / columns) * height, columns * width, 3), np.uint8)
    for number, portrait in enumerate(portraits[:faces]):
        top, left = number // columns * height, number % columns * width
        photo[top : top + height, left : left + width] = cv2.resize(portrait, (width, height))
    return photo


def shrunk(photo: np.ndarray) -> np.ndarray:
    """The photo with a longer side of 300 pixels."""
    scale = letterbox_scale(*photo.shape[:2], INPUT_SIZE)
    height, width = (max(1, round(side * scale)) for side in photo.shape[:2])
    return cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)


def read_portraits(folder: str, count: int) -> List[np.ndarray]:
    """So many readable photos, spread over a folder; `UnifaceError` where there are fewer."""
    files = find_photos([folder])
    readable = read_photos(files[:: max(1, len(files) // (2 * count))], {})
    portraits = [image for _, image in itertools.islice(readable, count)]
    if len(portraits) < count:
        raise UnifaceError(f'{folder}: {count} portraits are needed, {len(portraits)} are there')
    return portraits


def crowds(portraits: Sequence[np.ndarray], faces: int, count: int) -> List[np.ndarray]:
    """Photos of so many faces each, every portrait used as evenly as can be."""
    endless = itertools.cycle(portraits)
    return [crowd(list(itertools.islice(endless, max(faces, 1))), faces) for _ in range(count)]


class Unfused(MxnetBackend):
    """MXNet's operators one by one, as a hybridized Gluon block runs them: what fusing is measured by."""

    name = 'mxnet-unfused'
    environment = {'MXNET_SUBGRAPH_BACKEND': 'NONE'}


class System(NamedTuple):
    """What is measured: a name, a backend, how many photos it takes at a time, and what looks at photos.

    ``run(photos, paths, faces)`` looks at all photos, which lie as arrays in ``paths`` too and have so many faces
    each, and returns how many faces it found.
    """

    system: str
    backend: str
    batch: Optional[int]
    run: Callable[[Sequence[np.ndarray], Sequence[str], int], int]


def one_network(backend: MxnetBackend, manifest: Mapping[str, Any], batch: int) -> System:
    """An exported model on one backend, given one photo or several at a time.

    Of the faces that it finds, as many as a photo has are embedded, so that the cost is that of so many faces
    even if its weights are random.
    """

    def run(photos: Sequence[np.ndarray], paths: Sequence[str], faces: int) -> int:
        options = {'max_faces': faces} if faces else {'score_threshold': NO_FACE}
        predictor = Predictor(backend, manifest, batch=batch, **options)
        return sum(len(found) for group in in_groups(photos, batch) for found in predictor(group))

    return System(manifest['name'], backend.name, batch, run)


def two_networks(executor: Executor, pair: str) -> System:
    """A detector and an embedding network, ``DETECTOR+EMBEDDING``, one after the other in an executor's processes."""
    specs = tuple(pair.split('+'))

    def run(photos: Sequence[np.ndarray], paths: Sequence[str], faces: int) -> int:
        return sum(executor.map(_teach, itertools.repeat(specs), paths))

    return System(' + '.join(specs), 'processes', None, run)


def _teach(specs: Tuple[str, ...], path: str) -> int:
    """Find and embed the faces of a photo, as one who deploys the two networks would."""
    cv2.setNumThreads(1)
    landmarks, embeddings = open_teachers(specs)
    image = np.load(path)
    (found,) = landmarks.detect([image])
    embed_faces(embeddings, image, found.landmarks, mirror=False)
    return len(found.boxes)


def measure(
    systems: Sequence[System], portraits: Sequence[np.ndarray], faces: int, size: str, count: int, rounds: int
) -> List[Dict[str, Any]]:
    """Rows of the result for photos of so many faces.

    Parameters
    ----------
    systems : sequence of System
    portraits : sequence of numpy.ndarray
    faces : int
        In a photo.
    size : {'300', 'own'}
        Of the photos: 300 pixels, or what the portraits make.
    count, rounds : int
        Photos in a round, and rounds, of which the median counts.
    """
    photos = crowds(portraits, faces, count)
    if size == '300':
        photos = [shrunk(photo) for photo in photos]
    rates: List[List[float]] = [[] for _ in systems]
    found = [0] * len(systems)
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, f'{number}.npy') for number in range(count)]
        for path, photo in zip(paths, photos):
            np.save(path, photo)
        # The first round prepares executors and processes.
        for turn, (number, system) in itertools.product(range(rounds + 1), enumerate(systems)):
            start = time.perf_counter()
            found[number] = system.run(photos, paths, faces)
            if turn:
                rates[number].append(count / (time.perf_counter() - start))
    return [
        {
            'system': system.system,
            'backend': system.backend,
            'batch': system.batch,
            'faces': faces,
            'size': size,
            'images_per_second': statistics.median(rate),
            'rounds': rate,
            'faces_found': total / count,
        }
        for system, rate, total in zip(systems, rates, found)
    ]


def open_models(
    prefixes: Sequence[str], backends: Sequence[str], device: str, batches: Sequence[int]
) -> List[System]:
    """Every model on every backend with every batch size; without named backends, on all that there are."""
    systems, known = [], dict(BACKENDS, **{Unfused.name: Unfused})
    for files in map(ModelFiles.find, prefixes):
        manifest = files.verify()
        for name in backends or BACKENDS:
            try:
                backend = lookup('backend', name, known)(files, device)
                Predictor(backend, manifest)
            except BackendError as error:
                if backends:
                    raise
                print(f'left out: {error}', file=sys.stderr)
                continue
            systems += [one_network(backend, manifest, batch) for batch in batches]
    return systems


def table(rows: Sequence[Mapping[str, Any]], size: str) -> List[str]:
    """Images a second of photos of one size: a line a system, a column a number of faces."""
    rows = [row for row in rows if row['size'] == size]
    numbers = sorted({row['faces'] for row in rows})
    cells: Dict[Tuple, Dict[int, float]] = {}
    for row in rows:
        system = f'{row["system"]}, {row["backend"]}', row['batch'] or ''
        cells.setdefault(system, {})[row['faces']] = row['images_per_second']
    title = f'images a second, photos of {"300 px" if size == "300" else "their own size"}'
    lines = [f'{title:<40} {"batch":>6}' + ''.join(f'{f"{n} faces":>9}' for n in numbers)]
    for (system, batch), rates in cells.items():
        lines.append(f'{system:<40} {batch:>6}' + ''.join(f'{rates[n]:>9.1f}' for n in numbers))
    return lines


def benchmark(
    models: Sequence[str] = (),
    backends: Sequence[str] = (),
    device: str = 'cpu',
    batches: Sequence[int] = (1, 32),
    faces: Sequence[int] = (0, 1, 2, 4, 8, 16),
    sizes: Sequence[str] = SIZES,
    portraits: Optional[str] = None,
    teachers: Sequence[str] = (),
    rounds: int = 3,
    results: Optional[str] = None,
    name: Optional[str] = None,
) -> Dict[str, Any]:
    """Measure systems side by side, print tables, write result files, and return the rows.

    Parameters
    ----------
    models, backends, device, batches
        As for `open_models`.
    faces, sizes
        Cases: numbers of faces in a photo, and sizes of photos, ``300`` or ``own``.
    portraits : str, optional
        Folder of photos of one face each; LFW by default.
    teachers : sequence of str
        Pairs ``DETECTOR+EMBEDDING`` to run beside.
    rounds : int
        Of which the median counts.
    results : str, optional
        Write ``RESULTS/NAME/speed.json`` for each model, and one for all teachers, with their own rows.
    name : str, optional
        Of the folder, for one model; the model's own by default.
    """
    if not (models or teachers):
        raise UnifaceError('a model or the teachers are needed')
    if name and len(models) != 1:
        raise UnifaceError(f'--name {name}: names the folder of one model, {len(models)} are given')
    count = max(batches)
    photos = read_portraits(portraits or str(data_root() / 'lfw'), max(16, count))
    systems = open_models(models, backends, device, batches)
    rows: List[Dict[str, Any]] = []
    with open_executor(machine()['cores'] if teachers else 0) as (executor, _):
        taught = [two_networks(executor, pair) for pair in teachers]
        for size, number in tqdm(list(itertools.product(sizes, faces)), unit='case', disable=None):
            rows += measure(systems + taught, photos, number, size, count, rounds)
    print('\n'.join(line for size in sizes for line in table(rows, size)))
    data = {'name': 'portraits side by side', 'photos': count, 'rounds': rounds, 'decoding': 'not included'}
    data.update(threads=os.environ.get('OMP_NUM_THREADS', 'all'), device=device)
    owners = {'teachers': ({system.system for system in taught}, {'name': 'teachers'})} if teachers else {}
    for prefix in models:
        about = about_model(prefix, 'name', 'model', 'training')
        owners[name or Path(prefix).name] = {about['name']}, dict(about, sha256=hash_model(prefix))
    for folder, (names, about) in owners.items() if results else ():
        metrics = {'rows': [row for row in rows if row['system'] in names]}
        write_result(Path(results) / folder, 'speed', subject=about, data=data, metrics=metrics)
    return {'rows': rows, 'machine': machine()}
