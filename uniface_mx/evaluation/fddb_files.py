"""Files of FDDB: lists of faces, photos, curves; and FDDB-crops, real photos that show some of FDDB's faces.

FDDB-crops are cut out of FDDB's photos. They are easier than FDDB, and no figure on them is a figure on FDDB. A
face that is visible by less than a half, and a detection on it, do not count.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Dict, Iterable, List, NamedTuple, Sequence, Tuple, Union

import numpy as np

from uniface_mx.data.sources.base import image_size
from uniface_mx.errors import UnifaceError
from uniface_mx.files import written_aside

FOLDS = range(1, 11)
# How the names of files begin and end; the fold's two digits stand between.
ANNOTATIONS, DETECTIONS = ('FDDB-fold-', '-ellipseList.txt'), ('fold-', '-out.txt')
VISIBLE = 0.5


class FddbError(UnifaceError):
    """Annotations or detections that are not in FDDB's form."""


class Curve(NamedTuple):
    """Both curves, by rising threshold; a row holds what a detector with that threshold gets.

    ``discrete`` and ``continuous`` are rates in 0..1, ``false_positives`` counts, ``thresholds`` scores.
    """

    discrete: np.ndarray
    continuous: np.ndarray
    false_positives: np.ndarray
    thresholds: np.ndarray
    faces: int


def parse_faces(path: Union[str, Path], widths: Sequence[int]) -> Dict[str, np.ndarray]:
    """Read a list in FDDB's form: image name, number of faces, one row of numbers a face, and so on.

    A row may have one of these ``widths``, and a file's rows must agree. Gives image name -> (n, width) float64 array,
    in the file's order.
    """
    try:
        lines = [line.strip() for line in Path(path).read_text(encoding='utf-8').splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise FddbError(f'{path}: cannot be read ({error})') from error
    while lines and not lines[-1]:
        lines.pop()
    found: Dict[str, np.ndarray] = {}
    width, at = None, 0
    while at < len(lines):
        name, where = lines[at], f'{path}:{at + 1}'
        try:
            count = int(lines[at + 1])
            block = lines[at + 2 : at + 2 + max(count, 0)]
            rows = [[float(value) for value in line.split()] for line in block]
        except (IndexError, ValueError) as error:
            expected = 'the number of its faces and a row for each'
            raise FddbError(f'{where}: after image {name!r} expected {expected}') from error
        if not name or count < 0 or len(rows) != count:
            raise FddbError(f'{where}: image {name!r} announces {count} faces, {len(rows)} rows follow')
        if name in found:
            raise FddbError(f'{where}: image {name!r} occurs twice')
        for number, row in enumerate(rows, at + 3):
            width = len(row) if width is None else width
            if len(row) not in widths or len(row) != width or not np.isfinite(row).all():
                expected = f'{" or ".join(map(str, widths))} finite numbers in a row'
                raise FddbError(f'{path}:{number}: expected {expected}, found {len(row)}')
        found[name] = np.array(rows, np.float64).reshape(count, -1 if rows else widths[0])
        at += 2 + count
    return found


def _fold(directory: Union[str, Path], form: Tuple[str, str], fold: int) -> Path:
    return Path(directory) / f'{form[0]}{fold:02d}{form[1]}'


def _read_folds(directory: Union[str, Path], form: Tuple[str, str]) -> Dict[str, np.ndarray]:
    merged: Dict[str, np.ndarray] = {}
    for path in (_fold(directory, form, fold) for fold in FOLDS):
        if not path.is_file():
            raise FddbError(f'{path}: missing; all {len(FOLDS)} folds are needed')
        faces = parse_faces(path, (5, 6))
        twice = faces.keys() & merged.keys()
        if twice:
            raise FddbError(f'{path}: image {min(twice)!r} is in an earlier fold too')
        merged.update(faces)
    return merged


def read_annotations(directory: Union[str, Path]) -> Dict[str, np.ndarray]:
    """Ellipses of all ten folds, ``FDDB-fold-NN-ellipseList.txt``: image name -> (n, 5) float64.

    A row is major radius, minor radius, angle (radians), centre x, centre y, in pixels.
    """
    return {name: rows[:, :5] for name, rows in _read_folds(directory, ANNOTATIONS).items()}


def read_detections(directory: Union[str, Path]) -> Dict[str, np.ndarray]:
    """A detector's official output, ``fold-NN-out.txt``: image name -> (n, 5 or 6) float64.

    Rows of 5 are rectangles (x, y, width, height, score), rows of 6 ellipses (as annotated, and the score).
    """
    return _read_folds(directory, DETECTIONS)


def photo_paths(root: Union[str, Path], names: Iterable[str]) -> Dict[str, Path]:
    """Paths of FDDB's photos, ``ROOT/2002/08/11/big/img_591.jpg``; :class:`FddbError` if any is missing."""
    photos = {name: Path(root) / (name + '.jpg') for name in names}
    missing = [name for name, path in photos.items() if not path.is_file()]
    if missing:
        raise FddbError(f'{root}: {len(missing)} of {len(photos)} photos are missing, {missing[0]}.jpg first')
    return photos


def read_sizes(photos: Dict[str, Path]) -> Dict[str, Tuple[int, int]]:
    """Widths and heights of the photos, from their headers."""
    sizes = {name: image_size(path) for name, path in photos.items()}
    unknown = [path for name, path in photos.items() if sizes[name] is None]
    if unknown:
        raise FddbError(f'{unknown[0]}: not an image')
    return sizes


def write_detections(
    directory: Union[str, Path], folds: Sequence[Sequence[str]], detections: Dict[str, np.ndarray]
) -> None:
    """Write rectangles (n, 5) in the official form: a ``fold-NN-out.txt`` for each list of names in ``folds``."""
    for number, names in enumerate(folds, 1):
        lines: List[str] = []
        for name in names:
            rows = detections[name]
            lines += [name, str(len(rows)), *_numbers(rows)]
        _write(_fold(directory, DETECTIONS, number), lines)


def fold_names(directory: Union[str, Path]) -> List[List[str]]:
    """Image names of each fold, in the annotations' order."""
    return [list(parse_faces(_fold(directory, ANNOTATIONS, fold), (5, 6))) for fold in FOLDS]


def write_curves(directory: Union[str, Path], curve: Curve, prefix: str = '') -> None:
    """Write ``DiscROC.txt`` (rate, false positives, threshold) and ``ContROC.txt`` (rate, false positives)."""
    rows = zip(curve.discrete, curve.false_positives, curve.thresholds)
    _write(Path(directory) / f'{prefix}DiscROC.txt', _numbers(rows))
    _write(Path(directory) / f'{prefix}ContROC.txt', _numbers(zip(curve.continuous, curve.false_positives)))


def _numbers(rows: Iterable[Sequence[float]]) -> List[str]:
    return [' '.join(f'{value:.6g}' for value in row) for row in rows]


def _write(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as aside:
        aside.write_text('\n'.join(lines) + '\n', encoding='utf-8')


def read_curve(path: Union[str, Path]) -> np.ndarray:
    """Rate and false positives (n, 2) float64 of a ``DiscROC.txt`` or ``ContROC.txt``, by falling threshold."""
    try:
        table = np.loadtxt(str(path), ndmin=2)[:, :2]
    except (OSError, ValueError, IndexError) as error:
        raise FddbError(f'{path}: not a curve of rates and false positives ({error})') from error
    return table[np.lexsort((table[:, 0], table[:, 1]))]


class Crops(NamedTuple):
    """Image name -> path, ellipses (n, 5) in the image's pixels, and (n,) bool of the faces that do not count."""

    photos: Dict[str, Path]
    ellipses: Dict[str, np.ndarray]
    ignored: Dict[str, np.ndarray]


def read_crops(directory: Union[str, Path]) -> Crops:
    """Read ``meta.json`` of a folder whose ``images`` are the crops; `FddbError` if malformed, or one is missing."""
    directory = Path(directory)
    path = directory / 'meta.json'
    photos, ellipses, ignored = {}, {}, {}
    try:
        for image in json.loads(path.read_text(encoding='utf-8')):
            name, faces = image['image'], image['faces']
            photos[name] = directory / 'images' / (name + '.jpg')
            ellipses[name] = np.array([face['ellipse'] for face in faces], np.float64).reshape(len(faces), 5)
            ignored[name] = np.array([face['visible_fraction'] < VISIBLE for face in faces], bool)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FddbError(f'{path}: not the description of FDDB-crops ({error!r})') from error
    photo_paths(directory / 'images', photos)
    return Crops(photos, ellipses, ignored)
