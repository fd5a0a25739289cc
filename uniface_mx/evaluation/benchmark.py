"""Exported models at work: images a second (Table II), memory of a long run, one backend's faces beside another's.

Speeds are measured on the same photos for all, decoded beforehand, with a known number of faces: portraits side by
side. Systems take turns, so that a machine that is busy for a while is busy for all.
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import math
import os
import random
import statistics
import sys
import tempfile
import time
from concurrent.futures import Executor
from pathlib import Path
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment
from tqdm import tqdm

from uniface_mx.data.prepare.executor import open_executor
from uniface_mx.data.prepare.worker import open_teachers
from uniface_mx.deploy.backends import BACKENDS, BackendError, MxnetBackend
from uniface_mx.deploy.predictor import Face, Predictor
from uniface_mx.errors import UnifaceError, lookup
from uniface_mx.evaluation.results import aligned, write_result
from uniface_mx.evaluation.subject import about_model, boxes_of, hash_model, look, similarities
from uniface_mx.geometry import INPUT_SIZE, SAME_FACE, iou, letterbox_scale
from uniface_mx.image import MAX_PIXELS
from uniface_mx.models.files import ModelFiles
from uniface_mx.paths import data_root
from uniface_mx.photos import PhotoFile, batches, find_photos, read_photos
from uniface_mx.runtime import cores
from uniface_mx.teachers.base import embed_faces

MIB = 2**20
SAME_BOX = 0.9
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
        return sum(len(found) for group in batches(photos, batch) for found in predictor(group))

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
    """Rows of the result for ``count`` photos of so many faces, of 300 pixels or what the portraits make.

    The first of the rounds prepares executors and processes, of the others the median counts.
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
        for turn, (number, system) in itertools.product(range(rounds + 1), enumerate(systems)):
            start = time.perf_counter()
            found[number] = system.run(photos, paths, faces)
            if turn:
                rates[number].append(count / (time.perf_counter() - start))
    return [
        dict(
            {key: getattr(system, key) for key in ('system', 'backend', 'batch')},
            **dict(faces=faces, size=size, images_per_second=statistics.median(rate), rounds=rate),
            faces_found=total / count,
        )
        for system, rate, total in zip(systems, rates, found)
    ]


def open_models(
    prefixes: Sequence[str], backends: Sequence[str], device: str, sizes: Sequence[int]
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
            systems += [one_network(backend, manifest, batch) for batch in sizes]
    return systems


def speed_table(rows: Sequence[Mapping[str, Any]], size: str) -> List[str]:
    """Images a second of photos of one size: a line a system, a column a number of faces."""
    rows = [row for row in rows if row['size'] == size]
    numbers = sorted({row['faces'] for row in rows})
    cells: Dict[Tuple, Dict[int, float]] = {}
    for row in rows:
        system = f'{row["system"]}, {row["backend"]}', row['batch'] or ''
        cells.setdefault(system, {})[row['faces']] = row['images_per_second']
    title = f'images a second, photos of {"300 px" if size == "300" else "their own size"}'
    lines = [(*system, *(f'{rates[number]:.1f}' for number in numbers)) for system, rates in cells.items()]
    return aligned((title, 'batch', *(f'{number} faces' for number in numbers)), lines)


def speed(arguments: argparse.Namespace) -> Dict[str, Any]:
    """Measure systems side by side, print tables, write a result file for each model and one for all teachers."""
    models, teachers, name = arguments.models, arguments.teachers, arguments.name
    if not (models or teachers):
        raise UnifaceError('a model or the teachers are needed')
    if name and len(models) != 1:
        raise UnifaceError(f'--name {name}: names the folder of one model, {len(models)} are given')
    count, rounds = max(arguments.batches), arguments.rounds
    photos = read_portraits(arguments.portraits or str(data_root() / 'lfw'), max(16, count))
    systems = open_models(models, arguments.backends, arguments.device, arguments.batches)
    rows: List[Dict[str, Any]] = []
    with open_executor(cores() if teachers else 0) as (executor, _):
        taught = [two_networks(executor, pair) for pair in teachers]
        cases = list(itertools.product(arguments.sizes, arguments.faces))
        for size, number in tqdm(cases, unit='case', disable=None):
            rows += measure(systems + taught, photos, number, size, count, rounds)
    print('\n'.join(line for size in arguments.sizes for line in speed_table(rows, size)))
    data = {'name': 'portraits side by side', 'photos': count, 'rounds': rounds, 'decoding': 'not included'}
    data.update(threads=os.environ.get('OMP_NUM_THREADS', 'all'), device=arguments.device)
    owners = {'teachers': ({system.system for system in taught}, {'name': 'teachers'})} if teachers else {}
    for prefix in models:
        about = _about(prefix, 'training')
        owners[name or Path(prefix).name] = {about['name']}, about
    for folder, (names, about) in owners.items():
        _write(
            arguments, folder, 'speed', about, data, {'rows': [row for row in rows if row['system'] in names]}
        )
    return {'rows': rows}


def _about(prefix: str, *keys: str) -> Dict[str, Any]:
    """An exported model as these results name it, with more entries of its manifest."""
    return dict(about_model(prefix, 'name', 'model', *keys), sha256=hash_model(prefix))


def _write(
    arguments: argparse.Namespace, folder: str, name: str, about: Any, data: Any, metrics: Any
) -> None:
    """Write ``RESULTS/FOLDER/NAME.json`` where a folder for results was given."""
    if arguments.results:
        where = Path(arguments.results) / folder
        write_result(where, name, subject=about, data=data, metrics=metrics)


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


def resident() -> int:
    """Bytes of memory that this process holds, once glibc has given back what was freed."""
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE')


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
                pixels = [int(value) for value in np.percentile(sizes, (0, 50, 100))]
                figures = dict(skipped=len(skipped), faces=faces, bytes=resident(), pixels=pixels)
                yield {'photos': done, **figures}


def memory_table(rows: Sequence[Mapping[str, Any]]) -> List[str]:
    """A line each row: photos, memory in MiB, and its change since the first."""
    first = rows[0]['bytes']
    lines = [
        (row['photos'], row['faces'], f'{row["bytes"] / MIB:.0f}', f'{row["bytes"] / first - 1:+.1%}')
        for row in rows
    ]
    return aligned(('photos', 'faces', 'MiB', 'change'), lines)


def memory(arguments: argparse.Namespace) -> Dict[str, Any]:
    """Look at many photos of mixed sizes, print what the predictor holds, and write the result file."""
    model, photos, seed = arguments.model, arguments.photos, arguments.seed
    predictor = Predictor.load(model, arguments.backend, batch=arguments.batch)
    chosen = choose(photos, arguments.count, seed)
    rows = list(watch(predictor, chosen, arguments.every, arguments.batch))
    print('\n'.join(memory_table(rows)))
    data = {'name': ', '.join(Path(folder).name for folder in photos), 'seed': seed}
    metrics = {'rows': rows, 'change': rows[-1]['bytes'] / rows[0]['bytes'] - 1}
    about = dict(_about(model), backend=arguments.backend)
    _write(arguments, Path(model).name, 'memory', about, data, metrics)
    return {'rows': rows}


def compare(
    expected: Sequence[Sequence[Face]], found: Sequence[Sequence[Face]], centred: bool
) -> Dict[str, Any]:
    """Figures on the faces of some photos, as two backends see them.

    Faces of a photo are matched one to one by the overlap of their boxes. If the embeddings are not ``centred``, that
    is, those of strangers do not lie around 0, the mean of the expected is taken off first.

    Returns
    -------
    dict
        ``faces`` expected, ``found`` by the other, ``boxes``: the share of the expected that is met by a box
        of an IoU of 0.9 or more; ``cosine``: mean and ``cosine_least`` of the embeddings of faces that both
        see (from an IoU of 0.5); ``landmarks``: their points' mean distance over the box's side.
    """
    overlaps: List[float] = []
    pairs = []
    for ones, others in zip(expected, found):
        table = iou(boxes_of(ones), boxes_of(others))
        rows, columns = linear_sum_assignment(-table)
        overlaps += list(table[rows, columns])
        pairs += [(ones[i], others[j]) for i, j in zip(rows, columns) if table[i, j] >= SAME_FACE]
    total = sum(map(len, expected))
    if not pairs:
        raise UnifaceError('no face that both see: nothing to compare')
    one, other = (np.array([face.embedding for face in faces], np.float64) for faces in zip(*pairs))
    mean = 0 if centred else one.mean(axis=0)
    cosines = similarities(one - mean, other - mean, 'cosine')
    distances = [
        np.linalg.norm(a.landmarks - b.landmarks, axis=1).mean() / np.sqrt(np.prod(a.box[2:] - a.box[:2]))
        for a, b in pairs
    ]
    figures = {'cosine': cosines.mean(), 'cosine_least': cosines.min(), 'landmarks': np.mean(distances)}
    figures['boxes'] = np.sum(np.array(overlaps) >= SAME_BOX) / total
    return dict(figures, faces=total, found=sum(map(len, found)), compared=len(pairs))


def agreement(arguments: argparse.Namespace) -> Dict[str, Any]:
    """Look at photos by two backends, print how far their faces are from each other, and write the result file."""
    model, photos, seed, score = arguments.model, arguments.photos, arguments.seed, arguments.score
    first, second = arguments.backends
    one, other = (Predictor.load(model, backend, score_threshold=score) for backend in (first, second))
    chosen, skipped = choose(photos, arguments.count, seed), {}

    def both(images: List[np.ndarray]) -> Iterable[Tuple[List[Face], List[Face]]]:
        return zip(one(images), other(images))

    answers = [answer for _, _, answer in look(both, read_photos(chosen, skipped), len(chosen))]
    expected, found = zip(*answers) if answers else ((), ())
    figures = compare(expected, found, one.manifest['embedding']['centred'])
    print(
        f'{figures["faces"]} faces by {first}, {figures["found"]} by {second}\n'
        f'{figures["boxes"]:.2%} of the boxes are met with an IoU of {SAME_BOX} or more\n'
        f'centred cosine of the embeddings of {figures["compared"]} faces: {figures["cosine"]:.4f} in the mean, '
        f'{figures["cosine_least"]:.4f} at least\nlandmarks: {figures["landmarks"]:.2%} of the box apart'
    )
    data = {'name': ', '.join(Path(folder).name for folder in photos), 'photos': len(expected)}
    data.update(skipped=len(skipped), seed=seed, score=score)
    metrics = dict(figures, backends=[first, second])
    _write(arguments, Path(model).name, 'agreement', _about(model, 'int8'), data, metrics)
    return figures
