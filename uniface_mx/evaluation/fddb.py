"""FDDB's evaluation, counted as its own program counts (Fig. 4).

At every threshold the detections of an image with a score that is not below it are matched one to one with
its annotated ellipses so that the summed overlap is largest. The discrete score of a match is 1 where its
overlap is above 0.5, the continuous score is the overlap itself; a detection without discrete match is a
false positive on both curves. Sums over all images of all ten folds, divided by the number of annotated
faces, are the curves.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
from scipy.optimize import linear_sum_assignment
from tqdm import tqdm

from uniface_mx.data.sources.base import image_size
from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation.photos import batches
from uniface_mx.evaluation.regions import ellipse_region, overlaps, rectangle_region
from uniface_mx.evaluation.subject import Subject
from uniface_mx.files import written_aside
from uniface_mx.geometry import ellipse_to_box, iou, xywh_to_xyxy, xyxy_to_xywh
from uniface_mx.image import read_image

FOLDS = 10
MATCH = 0.5
AT_FALSE_POSITIVES = (100, 500, 1000, 2000)
LARGEST = (450, 450)  # no photo of FDDB is larger
CUT, AGREE, SAME_FACE = 0.3, 0.25, 0.3
NEVER = sys.float_info.max

Annotations = Dict[str, np.ndarray]


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

    Parameters
    ----------
    path : path
    widths : sequence of int
        How many numbers a row may have; a file's rows must agree.

    Returns
    -------
    dict of str to (n, width) float64 array, in the file's order.
    """
    try:
        lines = [line.strip() for line in Path(path).read_text(encoding='utf-8').splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise FddbError(f'{path}: cannot be read ({error})') from error
    while lines and not lines[-1]:
        lines.pop()
    found: Dict[str, np.ndarray] = {}
    width = None
    at = 0
    while at < len(lines):
        name = lines[at]
        try:
            count = int(lines[at + 1])
            rows = [
                [float(value) for value in line.split()] for line in lines[at + 2 : at + 2 + max(count, 0)]
            ]
        except (IndexError, ValueError) as error:
            raise FddbError(
                f'{path}:{at + 1}: after image {name!r} expected the number of its faces and a row for each'
            ) from error
        if not name or count < 0 or len(rows) != count:
            raise FddbError(
                f'{path}:{at + 1}: image {name!r} announces {count} faces, {len(rows)} rows follow'
            )
        if name in found:
            raise FddbError(f'{path}:{at + 1}: image {name!r} occurs twice')
        for number, row in enumerate(rows, at + 3):
            width = len(row) if width is None else width
            if len(row) not in widths or len(row) != width or not np.isfinite(row).all():
                raise FddbError(
                    '{}:{}: expected {} finite numbers in a row, found {}'.format(
                        path, number, ' or '.join(map(str, widths)), len(row)
                    )
                )
        found[name] = np.array(rows, np.float64).reshape(count, -1 if rows else widths[0])
        at += 2 + count
    return found


def _read_folds(directory: Union[str, Path], pattern: str, widths: Sequence[int]) -> Dict[str, np.ndarray]:
    directory = Path(directory)
    merged: Dict[str, np.ndarray] = {}
    for fold in range(1, FOLDS + 1):
        path = directory / pattern.format(fold)
        if not path.is_file():
            raise FddbError(f'{path}: missing; all {FOLDS} folds are needed')
        part = parse_faces(path, widths)
        twice = sorted(set(part) & set(merged))
        if twice:
            raise FddbError(f'{path}: image {twice[0]!r} is in an earlier fold too')
        merged.update(part)
    return merged


def read_annotations(directory: Union[str, Path]) -> Annotations:
    """Ellipses of all ten folds, ``FDDB-fold-NN-ellipseList.txt``: image name -> (n, 5) float64.

    A row is major radius, minor radius, angle (radians), centre x, centre y, in pixels.
    """
    faces = _read_folds(directory, 'FDDB-fold-{:02d}-ellipseList.txt', (5, 6))
    return {name: rows[:, :5] for name, rows in faces.items()}


def read_detections(directory: Union[str, Path]) -> Dict[str, np.ndarray]:
    """A detector's official output, ``fold-NN-out.txt``: image name -> (n, 5 or 6) float64.

    Rows of 5 are rectangles (x, y, width, height, score), rows of 6 ellipses (as annotated, and the score).
    """
    return _read_folds(directory, 'fold-{:02d}-out.txt', (5, 6))


def find_photos(root: Union[str, Path], names: Iterable[str]) -> Dict[str, Path]:
    """Paths of FDDB's photos, ``ROOT/2002/08/11/big/img_591.jpg``; :class:`FddbError` if any is missing."""
    photos = {name: Path(root) / (name + '.jpg') for name in names}
    missing = [name for name, path in photos.items() if not path.is_file()]
    if missing:
        raise FddbError(f'{root}: {len(missing)} of {len(photos)} photos are missing, {missing[0]}.jpg first')
    return photos


def read_sizes(photos: Dict[str, Path]) -> Dict[str, Tuple[int, int]]:
    """Widths and heights of the photos, from their headers."""
    sizes = {}
    for name, path in photos.items():
        size = image_size(path)
        if size is None:
            raise FddbError(f'{path}: not an image')
        sizes[name] = size
    return sizes


def detect(
    subject: Subject, photos: Dict[str, Path], progress: bool = True
) -> Tuple[Dict[str, np.ndarray], Dict[str, Tuple[int, int]]]:
    """Run a detector over the photos.

    Returns
    -------
    (dict, dict)
        Rectangles (n, 5) as in :func:`read_detections`, and sizes as in :func:`evaluate`.

    Raises
    ------
    ImageError
        If a photo cannot be read: the protocol knows no skips.
    """
    detections, sizes = {}, {}
    with tqdm(total=len(photos), unit='photo', disable=not progress) as bar:
        for batch in batches(photos.items()):
            images = [read_image(path) for _, path in batch]
            for (name, _), image, faces in zip(batch, images, subject(images)):
                boxes = xyxy_to_xywh(np.array([face.box for face in faces], np.float64).reshape(-1, 4))
                scores = np.array([face.score for face in faces], np.float64).reshape(-1, 1)
                detections[name] = np.hstack([boxes, scores])
                sizes[name] = (image.shape[1], image.shape[0])
            bar.update(len(batch))
    return detections, sizes


def write_detections(
    directory: Union[str, Path], folds: Sequence[Sequence[str]], detections: Dict[str, np.ndarray]
) -> None:
    """Write rectangles (n, 5) in the official form, one ``fold-NN-out.txt`` for each list of names in
    ``folds``.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    for number, names in enumerate(folds, 1):
        lines: List[str] = []
        for name in names:
            rows = detections[name]
            lines += [name, str(len(rows))] + [' '.join(f'{value:.6g}' for value in row) for row in rows]
        with written_aside(directory / f'fold-{number:02d}-out.txt') as aside:
            aside.write_text('\n'.join(lines) + '\n', encoding='utf-8')


def fold_names(directory: Union[str, Path]) -> List[List[str]]:
    """Image names of each fold, in the annotations' order."""
    return [
        list(parse_faces(Path(directory) / f'FDDB-fold-{fold:02d}-ellipseList.txt', (5, 6)))
        for fold in range(1, FOLDS + 1)
    ]


def match(scores: np.ndarray) -> List[Tuple[int, int]]:
    """One-to-one pairs (row, column) with the largest summed overlap; pairs that do not overlap are left
    out.
    """
    rows, columns = linear_sum_assignment(scores, maximize=True)
    return [(row, column) for row, column in zip(rows, columns) if scores[row, column] > 0]


class Counts(NamedTuple):
    """What one image gives at each of its thresholds, which fall."""

    thresholds: np.ndarray
    discrete: np.ndarray
    continuous: np.ndarray
    false_positives: np.ndarray


def count_image(overlap: np.ndarray, scores: np.ndarray, ignored: Optional[np.ndarray] = None) -> Counts:
    """Count one image at every distinct score of its detections.

    Parameters
    ----------
    overlap : (A, D) array
        Of annotated with detected regions.
    scores : (D,) array
    ignored : (A,) bool array, optional
        Faces that are neither to be found nor to be blamed for: a match with one is no true positive, and the
        detection no false one. (FDDB has none; FDDB-crops does.)
    """
    scores = np.asarray(scores, np.float64)
    ignored = np.zeros(len(overlap), bool) if ignored is None else np.asarray(ignored, bool)
    thresholds = np.unique(scores)[::-1]
    rows = []
    for threshold in thresholds:
        seen = np.flatnonzero(scores >= threshold)
        discrete, continuous, false_positives = 0, 0.0, len(seen)
        for face, detection in match(overlap[:, seen]):
            value = overlap[face, seen[detection]]
            hit = value > MATCH
            false_positives -= hit
            if not ignored[face]:
                discrete += hit
                continuous += value
        rows.append((discrete, continuous, false_positives))
    table = np.array(rows, np.float64).reshape(len(rows), 3)
    return Counts(thresholds, table[:, 0], table[:, 1], table[:, 2])


def merge_counts(counts: Iterable[Counts], faces: int) -> Curve:
    """Sum images' counts into the curves over the thresholds of all of them.

    An image counts at a threshold with what it has at its own smallest threshold that is not below it. The
    official program ends the curve with a row of zeros at the largest number there is as soon as one image
    has no detection.
    """
    if faces <= 0:
        raise FddbError('no annotated face: nothing to evaluate')
    steps, at = [], []
    any_empty = False
    for image in counts:
        any_empty |= not len(image.thresholds)
        table = np.stack([image.discrete, image.continuous, image.false_positives], axis=1)
        steps.append(np.diff(table, axis=0, prepend=np.zeros((1, 3))))
        at.append(image.thresholds)
    thresholds = np.concatenate(at + [np.zeros(0)])
    falling, position = np.unique(-thresholds, return_inverse=True)
    sums = np.zeros((len(falling), 3))
    np.add.at(sums, position, np.concatenate(steps + [np.zeros((0, 3))]))
    sums = np.cumsum(sums, axis=0)
    if any_empty or not len(falling):
        sums, falling = np.concatenate([np.zeros((1, 3)), sums]), np.concatenate([[-NEVER], falling])
    sums = sums[::-1]
    return Curve(
        sums[:, 0] / faces, sums[:, 1] / faces, np.rint(sums[:, 2]).astype(int), -falling[::-1], faces
    )


def estimate_size(ellipses: np.ndarray, detections: np.ndarray) -> Tuple[int, int]:
    """Width and height of a photo that is not at hand, as far as its faces tell.

    Annotators complete a face that the border cuts, detectors end at the border. Where a face (the upright
    box of its ellipse) reaches beyond its detection (Jaccard 0.3) by more than 0.3 of its own side, though
    the near borders of the two agree to a quarter, and no detection of the photo reaches further, the photo
    ends with the detection; otherwise at 450 pixels, FDDB's largest.

    Parameters
    ----------
    ellipses : (n, 5) array
    detections : (m, 5 or 6) array
        Left, top, width, height, score. Ellipses with a score tell nothing.
    """
    size = list(LARGEST)
    if detections.shape[1] != 5 or not len(detections) or not len(ellipses):
        return size[0], size[1]
    faces = np.clip(ellipse_to_box(ellipses), 0, max(LARGEST))
    found = xywh_to_xyxy(detections[:, :4])
    sides = np.maximum(faces[:, 2:] - faces[:, :2], 1)[:, None]
    near = np.abs(found[:, :2] - faces[:, None, :2]) < AGREE * sides
    beyond = (faces[:, None, 2:] - found[:, 2:]) > CUT * sides
    last = found[:, 2:] >= found[:, 2:].max(axis=0)
    same = (iou(faces, found) >= SAME_FACE) & near.all(axis=2)
    for axis in (0, 1):
        _, cut = np.nonzero(same & beyond[:, :, axis] & last[:, axis])
        if len(cut):
            size[axis] = int(found[cut[0], 2 + axis]) + 1
    return size[0], size[1]


def evaluate(
    annotations: Annotations,
    detections: Dict[str, np.ndarray],
    sizes: Optional[Dict[str, Tuple[int, int]]] = None,
    ignored: Optional[Dict[str, np.ndarray]] = None,
) -> Curve:
    """Curves of a detector's output over all annotated images.

    Parameters
    ----------
    annotations : dict
        From :func:`read_annotations`.
    detections : dict
        From :func:`read_detections`; every annotated image must be in it, with no rows where nothing was
        found.
    sizes : dict of str to (int, int), optional
        Images' widths and heights, from which the official program knows where the right and bottom borders
        cut. Without them they are estimated, see :func:`estimate_size`.
    ignored : dict of str to (n,) bool array, optional
        Faces of each image that do not count; see :func:`count_image`.

    Raises
    ------
    FddbError
        If the two do not name the same images.
    """
    for here, there, what in (
        (annotations, detections, 'detections'),
        (detections, annotations, 'annotations'),
    ):
        missing = [name for name in here if name not in there]
        if missing:
            raise FddbError(f'{len(missing)} images are not in the {what}, {missing[0]!r} first')

    passed = (
        {name: np.zeros(len(rows), bool) for name, rows in annotations.items()}
        if ignored is None
        else ignored
    )

    def counted() -> Iterable[Counts]:
        for name, ellipses in annotations.items():
            rows = detections[name]
            size = estimate_size(ellipses, rows) if sizes is None else sizes[name]
            region = ellipse_region if rows.shape[1] == 6 else rectangle_region
            yield count_image(
                overlaps(
                    [ellipse_region(ellipse, size) for ellipse in ellipses],
                    [region(row[:-1], size) for row in rows],
                ),
                rows[:, -1],
                passed[name],
            )

    return merge_counts(counted(), sum(int((~passed[name]).sum()) for name in annotations))


def rates_at(rates: np.ndarray, false_positives: np.ndarray, at: Sequence[int]) -> np.ndarray:
    """Largest rate with at most so many false positives, 0 where there is none; ``at`` (k,) -> (k,)
    float64.
    """
    return np.array([rates[false_positives <= limit].max(initial=0.0) for limit in at])


def summary(curve: Curve, at: Sequence[int] = AT_FALSE_POSITIVES) -> Dict[str, object]:
    """Figures of a curve: rates at ``at`` false positives, and where the curve ends."""
    return {
        'faces': curve.faces,
        'discrete': dict(zip(map(str, at), rates_at(curve.discrete, curve.false_positives, at))),
        'continuous': dict(zip(map(str, at), rates_at(curve.continuous, curve.false_positives, at))),
        'last': {
            'false_positives': int(curve.false_positives.max()),
            'discrete': curve.discrete.max(),
            'continuous': curve.continuous.max(),
        },
    }


def agreement(curve: Curve, directory: Union[str, Path], first: int = 10) -> Dict[str, Dict[str, object]]:
    """How far a curve is from what FDDB's own program made of the same detections.

    Parameters
    ----------
    curve : Curve
    directory : path
        With one ``*DiscROC.txt`` and one ``*ContROC.txt``.
    first : int
        Curves are compared at each number of false positives from here to where the official curve ends.

    Returns
    -------
    dict
        ``largest``: differences of ``discrete`` and ``continuous`` rates, and the counts ``from`` and ``to``
        over which they are the largest; ``rates``: number of false positives -> ``discrete`` and
        ``continuous``, each the official and our rate.
    """
    official = {}
    for kind, pattern in (('discrete', '*DiscROC.txt'), ('continuous', '*ContROC.txt')):
        paths = sorted(Path(directory).glob(pattern))
        if len(paths) != 1:
            raise FddbError(f'{directory}: expected one {pattern}, found {len(paths)}')
        official[kind] = read_curve(paths[0])
    last = int(official['discrete'][:, 1].max())
    if last < first:
        raise FddbError(f'{directory}: the curves end at {last} false positives, before {first}')
    at = np.arange(first, last + 1)
    rates = {}
    for kind, table in official.items():
        theirs = rates_at(table[:, 0], table[:, 1], at)
        rates[kind] = np.stack([theirs, rates_at(getattr(curve, kind), curve.false_positives, at)])
    largest: Dict[str, object] = {
        kind: float(np.abs(theirs - ours).max()) for kind, (theirs, ours) in rates.items()
    }
    largest.update({'from': first, 'to': last})
    shown = [number for number in (10, 50, 100, 200, last) if first <= number <= last]
    return {
        'largest': largest,
        'rates': {str(n): {kind: both[:, n - first].tolist() for kind, both in rates.items()} for n in shown},
    }


def write_curves(directory: Union[str, Path], curve: Curve, prefix: str = '') -> None:
    """Write ``DiscROC.txt`` (rate, false positives, threshold) and ``ContROC.txt`` (rate, false
    positives).
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    contents = {
        prefix + 'DiscROC.txt': zip(curve.discrete, curve.false_positives, curve.thresholds),
        prefix + 'ContROC.txt': zip(curve.continuous, curve.false_positives),
    }
    for name, rows in contents.items():
        with written_aside(directory / name) as aside:
            aside.write_text(''.join(' '.join(f'{value:.6g}' for value in row) + '\n' for row in rows))


def read_curve(path: Union[str, Path]) -> np.ndarray:
    """Read a ``DiscROC.txt`` or ``ContROC.txt``: (n, 2) float64, rate and false positives, by falling
    threshold.
    """
    try:
        table = np.loadtxt(str(path), ndmin=2)[:, :2]
    except (OSError, ValueError, IndexError) as error:
        raise FddbError(f'{path}: not a curve of rates and false positives ({error})') from error
    return table[np.lexsort((table[:, 0], table[:, 1]))]
