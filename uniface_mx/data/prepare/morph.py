"""Photos of faces between two people's: more to teach than there are photos of."""

from __future__ import annotations

from typing import Iterable, Optional

import cv2
import numpy as np
from scipy.interpolate import RBFInterpolator

from uniface_mx.data.prepare.duplicates import record_name
from uniface_mx.data.prepare.portraits import Made, Make, Portrait, find_portraits, portrait
from uniface_mx.geometry import similarity_transform, transform_points

# How far from a first face's landmarks a second's may lie, moved, turned and scaled to them, in distances of the eyes.
MAX_APART = 0.12
SHARES = (0.35, 0.65)
CANDIDATES = 40
# The ellipse that is blended, in shares of the box's sides, and its soft edge.
ELLIPSE, FEATHER = 0.48, 0.06


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
        second.image,
        seen[..., 0] - 0.5,
        seen[..., 1] - 0.5,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
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
        spread = np.average(
            (pixels - mean) ** 2, axis=(0, 1), weights=np.broadcast_to(weight[..., None], pixels.shape)
        )
        deviations.append(np.sqrt(spread))
    return (face - means[0]) * (deviations[1] / np.maximum(deviations[0], 1.0)) + means[1]


def apart(first: np.ndarray, second: np.ndarray) -> float:
    """How differently two faces look or are made: the mean distance of their landmarks (5, 2), the second's moved,
    turned and scaled to the first's, over the distance of the first's eyes.
    """
    moved = transform_points(second, similarity_transform(second, first))
    return float(
        np.linalg.norm(moved - first, axis=1).mean() / max(np.linalg.norm(first[1] - first[0]), 1e-6)
    )


def morphs(names: Iterable[str]) -> Make:
    """What `write_photos` makes morphs with; columns are first and second record, and share of the second.

    Of the records with one face and its landmarks one is drawn, and of `CANDIDATES` others the one whose landmarks fit
    best; photos without a fitting partner are passed over. Leave sets out that hold people for validation.

    Raises
    ------
    PrepareError
        Fewer than two records serve.
    """
    usable = find_portraits(names, 2)

    def make(rng: np.random.Generator) -> Optional[Made]:
        first, *others = rng.choice(len(usable), min(len(usable), CANDIDATES + 1), replace=False)
        distances = [apart(usable[first].landmarks, usable[other].landmarks) for other in others]
        if min(distances) > MAX_APART:
            return None
        share = rng.uniform(*SHARES)
        records = [usable[one].read() for one in (first, others[int(np.argmin(distances))])]
        columns = (*map(record_name, records), f'{share:.3f}')
        return columns, lambda: morph(*map(portrait, records), share)

    return make
