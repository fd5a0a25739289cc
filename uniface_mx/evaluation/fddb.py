"""FDDB's evaluation, counted as its own program counts (Fig. 4).

At every threshold the detections of an image with a score that is not below it are matched one to one with
its annotated ellipses so that the summed overlap is largest. The discrete score of a match is 1 where its
overlap is above 0.5, the continuous score is the overlap itself; a detection without discrete match is a
false positive on both curves. Sums over all images of all ten folds, divided by the number of annotated
faces, are the curves.

The program fills the ellipse or the rectangle into a mask of the image's size with OpenCV's drawing functions
and counts pixels. That settles the details: centres and corners are rounded (halves to even), axes are cut to
whole pixels, angles rounded to whole degrees, both ends of a rectangle are drawn, and what lies outside the
image does not count.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple, Union

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from uniface_mx.evaluation import fddb_files as files
from uniface_mx.evaluation import options
from uniface_mx.evaluation.fddb_files import Curve, FddbError, read_curve
from uniface_mx.evaluation.figures import draw_fddb
from uniface_mx.evaluation.results import shown
from uniface_mx.evaluation.subject import Subject, boxes_of, look
from uniface_mx.geometry import ellipse_to_box, iou, xywh_to_xyxy, xyxy_to_xywh
from uniface_mx.image import read_image

HELP = 'FDDB, as its own program counts'
MATCH = 0.5
KINDS = {'discrete': '*DiscROC.txt', 'continuous': '*ContROC.txt'}
LARGEST = (450, 450)  # no photo of FDDB is larger
CUT, AGREE, SAME_FACE = 0.3, 0.25, 0.3
NEVER = sys.float_info.max

# By an image's name: what is known of its faces, an array with a row each; its width and height.
Rows, Sizes = Dict[str, np.ndarray], Dict[str, Tuple[int, int]]


def detect(subject: Subject, photos: Dict[str, Path], progress: bool = True) -> Tuple[Rows, Sizes]:
    """Run a detector over the photos; `ImageError` if one cannot be read, for the protocol knows no skips.

    Gives rectangles (n, 5) as in :func:`fddb_files.read_detections`, and sizes as in :func:`evaluate`.
    """
    detections, sizes = {}, {}
    images = ((name, read_image(path)) for name, path in photos.items())
    for name, image, faces in look(subject, images, len(photos), progress):
        scores = np.array([face.score for face in faces], np.float64).reshape(-1, 1)
        detections[name] = np.hstack([xyxy_to_xywh(boxes_of(faces)), scores])
        sizes[name] = (image.shape[1], image.shape[0])
    return detections, sizes


def ellipse_mask(ellipse: Sequence[float], size: Tuple[int, int]) -> np.ndarray:
    """Pixels (height, width) bool of an ellipse in an image of ``size``, width and height.

    ``ellipse`` is FDDB's five numbers: major and minor radius, angle of the major axis to the x axis (radians),
    centre x, y.
    """
    major, minor, angle, x, y = (float(value) for value in ellipse[:5])
    mask, axes = np.zeros(size[::-1], np.uint8), (int(major), int(minor))
    cv2.ellipse(mask, (round(x), round(y)), axes, np.degrees(angle), 0, 360, 1, cv2.FILLED)
    return mask.view(bool)


def rectangle_mask(rectangle: Sequence[float], size: Tuple[int, int]) -> np.ndarray:
    """Pixels (height, width) bool of a rectangle, given as x, y, width, height, in an image of ``size``."""
    x, y, width, height = (float(value) for value in rectangle[:4])
    mask = np.zeros(size[::-1], np.uint8)
    cv2.rectangle(mask, (round(x), round(y)), (round(x + width), round(y + height)), 1, cv2.FILLED)
    return mask.view(bool)


def overlaps(annotated: Sequence[np.ndarray], detected: Sequence[np.ndarray]) -> np.ndarray:
    """Pixels in both masks over pixels in either, of every annotated with every detected one, (A, D) float64.

    0 where both are empty.
    """
    areas = np.array([np.count_nonzero(mask) for mask in detected], int)
    table = np.zeros((len(annotated), len(detected)))
    for row, mask in zip(table, annotated):
        both = np.array([np.count_nonzero(mask & other) for other in detected], int)
        either = np.count_nonzero(mask) + areas - both
        np.divide(both, either, out=row, where=both > 0)
    return table


def match(scores: np.ndarray) -> List[Tuple[int, int]]:
    """One-to-one pairs (row, column) with the largest summed overlap; pairs that do not overlap are left out."""
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

    ``overlap`` (A, D) is that of annotated with detected regions, whose scores are (D,). Faces that are ``ignored``
    (A,) are neither to be found nor to be blamed for: a match with one is no true positive, and the detection no false
    one. (FDDB has none; FDDB-crops does.)
    """
    scores = np.asarray(scores, np.float64)
    counted = np.ones(len(overlap), bool) if ignored is None else ~np.asarray(ignored, bool)
    thresholds = np.unique(scores)[::-1]
    rows = []
    for threshold in thresholds:
        seen = overlap[:, scores >= threshold]
        pairs = np.array(match(seen), int).reshape(-1, 2)
        values, counts = seen[tuple(pairs.T)], counted[pairs[:, 0]]
        hits = values > MATCH
        rows.append((hits[counts].sum(), values[counts].sum(), seen.shape[1] - hits.sum()))
    return Counts(thresholds, *np.array(rows, np.float64).reshape(-1, 3).T)


def merge_counts(counts: Iterable[Counts], faces: int) -> Curve:
    """Sum images' counts into the curves over the thresholds of all of them.

    An image counts at a threshold with what it has at its own smallest threshold that is not below it. The
    official program ends the curve with a row of zeros at the largest number there is as soon as one image
    has no detection.
    """
    if faces <= 0:
        raise FddbError('no annotated face: nothing to evaluate')
    counts = [np.stack(image, axis=1) for image in counts]
    empty = not all(map(len, counts))
    # Above all thresholds nothing counts.
    first = [[NEVER, 0, 0, 0]] if empty or not counts else np.zeros((0, 4))
    thresholds = np.concatenate([first, *counts])[:, 0]
    steps = [np.diff(table[:, 1:], axis=0, prepend=np.zeros((1, 3))) for table in counts]
    falling, position = np.unique(-thresholds, return_inverse=True)
    sums = np.zeros((len(falling), 3))
    np.add.at(sums, position, np.concatenate([np.zeros((len(first), 3)), *steps]))
    discrete, continuous, false_positives = np.cumsum(sums, axis=0)[::-1].T
    rates = discrete / faces, continuous / faces
    return Curve(*rates, np.rint(false_positives).astype(int), -falling[::-1], faces)


def estimate_size(ellipses: np.ndarray, detections: np.ndarray) -> Tuple[int, int]:
    """Width and height of a photo that is not at hand, as far as its faces tell.

    Annotators complete a face that the border cuts, detectors end at the border. Where a face (the upright
    box of its ellipse) reaches beyond its detection (Jaccard 0.3) by more than 0.3 of its own side, though
    the near borders of the two agree to a quarter, and no detection of the photo reaches further, the photo
    ends with the detection; otherwise at 450 pixels, FDDB's largest.

    Detections are (m, 5): left, top, width, height, score; ellipses with a score, (m, 6), tell nothing.
    """
    size = list(LARGEST)
    if detections.shape[1] != 5 or not len(detections) or not len(ellipses):
        return tuple(size)
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
    return tuple(size)


def evaluate(
    annotations: Rows, detections: Rows, sizes: Optional[Sizes] = None, ignored: Optional[Rows] = None
) -> Curve:
    """Curves of a detector's output over all annotated images.

    Parameters
    ----------
    annotations, detections : dict
        From :func:`fddb_files.read_annotations` and :func:`fddb_files.read_detections`, of the same images, with no
        rows where nothing was found; `FddbError` otherwise.
    sizes : dict of str to (int, int), optional
        Images' widths and heights, whose borders cut; without them they are estimated, see :func:`estimate_size`.
    ignored : dict of str to (n,) bool array, optional
        Faces of each image that do not count; see :func:`count_image`.
    """
    for here, there, what in (
        (annotations, detections, 'detections'),
        (detections, annotations, 'annotations'),
    ):
        missing = [name for name in here if name not in there]
        if missing:
            raise FddbError(f'{len(missing)} images are not in the {what}, {missing[0]!r} first')
    passed = ignored or {name: np.zeros(len(rows), bool) for name, rows in annotations.items()}

    def counted(name: str) -> Counts:
        ellipses, rows = annotations[name], detections[name]
        size = estimate_size(ellipses, rows) if sizes is None else sizes[name]
        mask = ellipse_mask if rows.shape[1] == 6 else rectangle_mask
        annotated = [ellipse_mask(ellipse, size) for ellipse in ellipses]
        detected = [mask(row[:-1], size) for row in rows]
        return count_image(overlaps(annotated, detected), rows[:, -1], passed[name])

    return merge_counts(map(counted, annotations), int(sum((~flags).sum() for flags in passed.values())))


def rates_at(rates: np.ndarray, false_positives: np.ndarray, at: Sequence[int]) -> np.ndarray:
    """Largest rate with at most so many false positives, 0 where there is none; ``at`` (k,) -> (k,) float64."""
    return np.array([rates[false_positives <= limit].max(initial=0.0) for limit in at])


def summary(curve: Curve) -> Dict[str, Any]:
    """Figures of a curve: rates at some numbers of false positives, and where the curve ends."""
    at = (100, 500, 1000, 2000)
    figures: Dict[str, Any] = {'faces': curve.faces}
    last = {'false_positives': int(curve.false_positives.max())}
    for kind in KINDS:
        rates = getattr(curve, kind)
        figures[kind] = dict(zip(map(str, at), rates_at(rates, curve.false_positives, at)))
        last[kind] = rates.max()
    return dict(figures, last=last)


def agreement(curve: Curve, directory: Union[str, Path]) -> Dict[str, Dict[str, object]]:
    """How far a curve is from what FDDB's own program made of the same detections.

    The directory has one ``*DiscROC.txt`` and one ``*ContROC.txt``. Curves are compared at each number of false
    positives from 10 to where the official curve ends.

    Returns
    -------
    dict
        ``largest``: differences of ``discrete`` and ``continuous`` rates, and the counts ``from`` and ``to``
        over which they are the largest; ``rates``: number of false positives -> ``discrete`` and
        ``continuous``, each the official and our rate.
    """
    official = {}
    for kind, pattern in KINDS.items():
        paths = sorted(Path(directory).glob(pattern))
        if len(paths) != 1:
            raise FddbError(f'{directory}: expected one {pattern}, found {len(paths)}')
        official[kind] = read_curve(paths[0])
    first, last = 10, int(official['discrete'][:, 1].max())
    if last < first:
        raise FddbError(f'{directory}: the curves end at {last} false positives, before {first}')
    at = np.arange(first, last + 1)
    both = {
        kind: (rates_at(*table.T, at), rates_at(getattr(curve, kind), curve.false_positives, at))
        for kind, table in official.items()
    }
    largest = {kind: np.abs(theirs - ours).max() for kind, (theirs, ours) in both.items()}
    rates = {
        str(number): {kind: [float(rate[number - first]) for rate in pair] for kind, pair in both.items()}
        for number in (10, 50, 100, 200, last)
        if first <= number <= last
    }
    return {'largest': {**largest, 'from': first, 'to': last}, 'rates': rates}


def add_options(command: argparse.ArgumentParser) -> None:
    """Options of :func:`run`."""
    options.add_subject(command, options.ANY_SCORE)
    add = command.add_argument
    add('--images', metavar='DIR', help='with 2002/08/11/big/img_591.jpg and so on')
    add('--annotations', metavar='DIR', help='FDDB-folds')
    add('--detections', metavar='DIR', help='official output files instead of a model')
    add('--crops', metavar='DIR', help='FDDB-crops instead of FDDB')
    add('--curves', metavar='DIR', help="other detectors' *DiscROC*.txt, to be drawn beside")
    text = "what FDDB's own program made of the same detections, *DiscROC.txt and *ContROC.txt: tell how far "
    add('--official', metavar='DIR', help=text + 'ours are from it')
    command.set_defaults(check=contradiction)


def contradiction(arguments: argparse.Namespace) -> Optional[str]:
    """What is wrong with the options together, or None."""
    given = arguments
    if bool(given.model) + given.teacher + bool(given.detections) != 1:
        return 'give one of --model PREFIX, --teacher and --detections DIR'
    if given.crops and (given.annotations or given.images or given.detections):
        return '--crops DIR goes with none of --annotations, --images and --detections'
    if not (given.crops or given.annotations and (given.images or given.detections)):
        return 'give --crops DIR, or --annotations DIR with --images DIR or --detections DIR'
    return None


# The result's name, the figure's title, whom and what it is about, the curves.
Measured = Tuple[str, str, Subject, Dict[str, Any], Curve]


def measure_crops(arguments: argparse.Namespace) -> Measured:
    """A subject's curves on FDDB-crops."""
    chosen, crops = options.subject(arguments, embed=False), files.read_crops(arguments.crops)
    detections, sizes = detect(chosen, crops.photos, arguments.progress)
    curve = evaluate(crops.ellipses, detections, sizes, crops.ignored)
    data = {
        'photos': len(crops.photos),
        'faces': curve.faces,
        'faces_that_do_not_count': int(sum(flags.sum() for flags in crops.ignored.values())),
        'name': 'FDDB-crops',
        'note': 'crops of FDDB photos, easier than FDDB; no figure on FDDB',
    }
    title = 'FDDB-crops (not FDDB), discrete score'
    return 'fddb_crops', title, chosen, data, curve


def measure_fddb(arguments: argparse.Namespace) -> Measured:
    """A subject's curves on FDDB, whose detections are written, or those of a detector's official output."""
    annotations = files.read_annotations(arguments.annotations)
    photos = files.photo_paths(arguments.images, annotations) if arguments.images else None
    if arguments.detections:
        detector = Path(arguments.detections).resolve().name
        about = Subject()
        about.name, about.identity = detector, {'detections': detector}
        sizes = files.read_sizes(photos) if photos else None
    else:
        chosen = options.subject(arguments, embed=False)
        about = chosen
        found, sizes = detect(chosen, photos, arguments.progress)
        files.write_detections(arguments.out, files.fold_names(arguments.annotations), found)
    curve = evaluate(annotations, files.read_detections(arguments.detections or arguments.out), sizes)
    known = 'estimated from faces and detections' if sizes is None else 'known'
    data = {'name': 'FDDB', 'photos': len(annotations), 'faces': curve.faces, 'image_sizes': known}
    return 'fddb', 'FDDB, discrete score', about, data, curve


def run(arguments: argparse.Namespace) -> None:
    """FDDB, or FDDB-crops, of a model or of a detector's official output."""
    out = Path(arguments.out)
    name, title, about, data, curve = (measure_crops if arguments.crops else measure_fddb)(arguments)
    figures = summary(curve)
    for at, rate in figures['discrete'].items():
        continuous = shown(figures['continuous'][at])
        print(f'{at:>5} false positives: discrete {shown(rate)}, continuous {continuous}')
    print(f'the curve ends at {figures["last"]["false_positives"]} false positives')
    if arguments.official:
        figures['agreement'] = agreement(curve, arguments.official)
        apart = figures['agreement']['largest']
        print(
            f"largest difference from the official program's at {apart['from']} to {apart['to']} false positives: "
            f'discrete {apart["discrete"]:.4f}, continuous {apart["continuous"]:.4f}'
        )
    prefix = '' if name == 'fddb' else f'{name}-'
    files.write_curves(out, curve, prefix)
    curves = {about.name: read_curve(out / f'{prefix}DiscROC.txt')}
    draw_fddb(out / f'{name}.png', dict(curves, **other_curves(arguments.curves)), title)
    options.write(arguments, name, about, data, figures)


def other_curves(folder: Optional[str]) -> Dict[str, np.ndarray]:
    """Published curves, ``*DiscROC*.txt`` in a folder, by detector."""
    paths = sorted(Path(folder).glob('*DiscROC*.txt')) if folder else []
    if folder and not paths:
        raise FddbError(f'{folder}: no *DiscROC*.txt, the form of published curves')
    return {path.stem.replace('DiscROC', '') or path.stem: read_curve(path) for path in paths}
