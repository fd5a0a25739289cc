"""Photos of faces between two people's: more to teach than there are photos of.

They go into a folder as any photos do; `make` asks the teachers who they are.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable, Iterable, NamedTuple, Optional, Union

import cv2
import numpy as np
from scipy.interpolate import RBFInterpolator

from uniface_mx.data.prepare.errors import PrepareError
from uniface_mx.data.records import BOX, HAS_LANDMARKS, IGNORE, LANDMARKS, Record, RecordReader
from uniface_mx.geometry import similarity_transform, transform_points
from uniface_mx.image import write_image

LIST = 'morphs.tsv'
# How far from a first face's landmarks a second's may lie, moved, turned and scaled to them, in distances of the eyes.
MAX_APART = 0.12
SHARES = (0.35, 0.65)
CANDIDATES = 40
# The ellipse that is blended, in shares of the box's sides, and its soft edge.
ELLIPSE, FEATHER = 0.48, 0.06


class Portrait(NamedTuple):
    """A record's only face: its photo (H, W, 3) RGB uint8, box ``xyxy`` and landmarks (5, 2) in the photo's
    pixels."""

    image: np.ndarray
    box: np.ndarray
    landmarks: np.ndarray


def morph(first: Portrait, second: Portrait, share: float) -> np.ndarray:
    """The first photo, whose face is blended with the second's.

    The second photo is bent (by a thin-plate spline) until its landmarks lie on the first's, and given the colours
    of the first face.

    Parameters
    ----------
    first, second : Portrait
    share : float
        Of the second face, 0 to 1.

    Returns
    -------
    numpy.ndarray
        Of the first photo's size.
    """
    height, width = first.image.shape[:2]
    low = np.clip(np.floor(first.box[:2]), 0, (width - 1, height - 1)).astype(int)
    high = np.clip(np.ceil(first.box[2:]), low + 1, (width, height)).astype(int)
    x, y = np.meshgrid(np.arange(low[0], high[0]) + 0.5, np.arange(low[1], high[1]) + 0.5)
    bend = RBFInterpolator(first.landmarks, second.landmarks, kernel='thin_plate_spline')
    seen = bend(np.stack([x.ravel(), y.ravel()], axis=1)).reshape(x.shape + (2,)).astype(np.float32)
    # OpenCV's coordinates are those of pixels' centres.
    face = cv2.remap(
        second.image, seen[..., 0] - 0.5, seen[..., 1] - 0.5, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    ).astype(np.float32)
    inside = ((seen >= 0) & (seen <= second.image.shape[1::-1])).all(axis=2)

    middle, sides = (first.box[:2] + first.box[2:]) / 2, first.box[2:] - first.box[:2]
    radius = np.hypot((x - middle[0]) / sides[0], (y - middle[1]) / sides[1])
    weight = np.clip((ELLIPSE - radius) / FEATHER, 0, 1) * inside
    image = first.image.copy()
    under = image[low[1] : high[1], low[0] : high[0]]
    if weight.sum() > 0:
        face = _recoloured(face, under.astype(np.float32), weight)
    weight = share * weight[..., None]
    under[...] = np.clip((1 - weight) * under + weight * face, 0, 255).round().astype(np.uint8)
    return image


def _recoloured(face: np.ndarray, like: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """A face with the mean and deviation of another in each channel, where `weight` counts."""
    means, deviations = [], []
    for pixels in (face, like):
        mean = np.average(pixels, axis=(0, 1), weights=np.broadcast_to(weight[..., None], pixels.shape))
        means.append(mean)
        spread = np.average((pixels - mean) ** 2, axis=(0, 1), weights=np.broadcast_to(weight[..., None], pixels.shape))
        deviations.append(np.sqrt(spread))
    return (face - means[0]) * (deviations[1] / np.maximum(deviations[0], 1.0)) + means[1]


def apart(first: np.ndarray, second: np.ndarray) -> float:
    """How differently two faces look or are made: the mean distance of their landmarks (5, 2), the second's moved,
    turned and scaled to the first's, over the distance of the first's eyes."""
    moved = transform_points(second, similarity_transform(second, first))
    return float(np.linalg.norm(moved - first, axis=1).mean() / max(np.linalg.norm(first[1] - first[0]), 1e-6))


def write_morphs(
    names: Iterable[str],
    out: Union[str, os.PathLike],
    count: int,
    seed: int,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> int:
    """Write `count` photos and the list of whom they were made of into a folder; what is there already is kept.

    Photo i is a function of the records, the seed and i alone. Of the records with one face and its landmarks one is
    drawn, and of `CANDIDATES` others the one whose landmarks fit best; photos without a fitting partner are passed
    over.

    Parameters
    ----------
    names : iterable of str
        Record sets; leave those out that hold people for validation.
    out : path
        Folder of ``SEED_000000.jpg`` and so on, and ``morphs.tsv``: file, first and second record, share of the second.
    count, seed : int
    progress : callable
        Wraps the numbers of the photos.

    Returns
    -------
    int
        How many photos there are.

    Raises
    ------
    PrepareError
        Fewer than two records serve.
    """
    readers = [RecordReader(name) for name in names]
    usable = [
        (reader, number, np.asarray(points))
        for reader in readers
        for number, points in enumerate(map(_landmarks, reader))
        if points is not None
    ]
    if len(usable) < 2:
        raise PrepareError(
            '{}: fewer than two records show one face with landmarks'.format(
                ', '.join(str(reader.path) for reader in readers)
            )
        )
    folder, lines = Path(out), []
    folder.mkdir(parents=True, exist_ok=True)
    for number in progress(range(count)):
        rng = np.random.default_rng((seed, number))
        first, *others = rng.choice(len(usable), min(len(usable), CANDIDATES + 1), replace=False)
        distances = [apart(usable[first][2], usable[other][2]) for other in others]
        if min(distances) > MAX_APART:
            continue
        second, share = others[int(np.argmin(distances))], rng.uniform(*SHARES)
        records = [usable[one][0][usable[one][1]] for one in (first, second)]
        path = folder / '{}_{:06d}.jpg'.format(seed, number)
        lines.append('{}\t{}\t{:.3f}\n'.format(path.name, '\t'.join(map(_name, records)), share))
        if not path.is_file():
            write_image(path, morph(*map(portrait, records), share))
    aside = folder / (LIST + '.part')
    aside.write_text(''.join(lines), encoding='utf-8')
    os.replace(str(aside), str(folder / LIST))
    return len(lines)


def portrait(record: Record) -> Portrait:
    """A record's photo and only face."""
    size = np.array([record.width, record.height], np.float64)
    row = record.objects[0]
    return Portrait(record.decode(), row[BOX] * np.tile(size, 2), row[LANDMARKS].reshape(5, 2) * size)


def _landmarks(record: Record) -> Optional[np.ndarray]:
    """Landmarks (5, 2) of a record with one face, in shares of its longer side."""
    if len(record.objects) != 1 or not record.objects[0, HAS_LANDMARKS] or record.objects[0, IGNORE]:
        return None
    size = np.array([record.width, record.height]) / max(record.width, record.height)
    return record.objects[0, LANDMARKS].reshape(5, 2) * size


def _name(record: Record) -> str:
    return '{}/{}'.format(record.source, record.key)
