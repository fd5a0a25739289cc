"""Where a cell of a map lies in the image, and the anchors (sections III.B, III.C)."""

from __future__ import annotations

from typing import List, NamedTuple, Sequence, Tuple

import numpy as np

ASPECT_RATIOS = (0.95, 0.8, 0.65)
ANCHOR_HEIGHTS = (26, 60, 120, 180, 225, 260, 290)


class MapFrame(NamedTuple):
    """Between image pixels and a map's cells: cell m covers ``origin + stride * [m, m + 1)``."""

    origin: float
    stride: float


# Kernel, stride and padding of the layers of the trunk's stem that move or widen a cell's view, image to 36x36.
STEM_LAYERS = ((3, 2, 0), (3, 1, 0), (3, 1, 1), (3, 2, 0), (3, 1, 1), (3, 2, 0))
REDUCTION = (3, 2, 1)


def receptive_centre(layers: Sequence[Tuple[int, int, int]]) -> Tuple[float, int]:
    """Centre of the first cell's receptive field in image pixels, and the step from cell to cell.

    Parameters
    ----------
    layers : sequence of (kernel, stride, padding)
        From the image on.
    """
    centre, step = 0.5, 1
    for kernel, stride, padding in layers:
        centre += ((kernel - 1) / 2 - padding) * step
        step *= stride
    return centre, step


def level_centres(num_levels: int, size: int = 36, trunk_levels: int = 3) -> List[np.ndarray]:
    """Centres of the cells of each level along one axis, in input pixels, finest level first.

    On the trunk's levels that is the centre of the receptive field, 9.5 + 8k on the finest. A cell of a
    coarser level sees the border of the image from so many sides that its field is cut; there it is the mean
    centre of the finest cells that it sees.
    """
    finest, step = receptive_centre(STEM_LAYERS)
    kernel, stride, padding = REDUCTION
    first, last = np.arange(size), np.arange(size)
    centres = [finest + step * np.arange(size)]
    for level in range(1, num_levels):
        starts = np.arange(0, len(first), stride)
        low = np.maximum(starts - padding, 0)
        high = np.minimum(starts - padding + kernel - 1, len(first) - 1)
        first, last = first[low], last[high]
        if level < trunk_levels:
            origin, spacing = receptive_centre(STEM_LAYERS + (REDUCTION,) * level)
            centres.append(origin + spacing * np.arange(len(first)))
        else:
            centres.append(finest + step * (first + last) / 2)
    return centres


def map_frame(level: int = 0, upsampling: int = 1) -> MapFrame:
    """Frame of a trunk level (0 is 36x36, 2 is 9x9), or of a map ``upsampling`` times finer made from it."""
    centre, step = receptive_centre(STEM_LAYERS + (REDUCTION,) * level)
    return MapFrame(centre - step / 2, step / upsampling)


def anchor_shapes(height: float, ratios: Sequence[float] = ASPECT_RATIOS) -> np.ndarray:
    """Widths and heights (R, 2) of anchors with the area of an 0.8 anchor of this height."""
    ratios = np.asarray(ratios, dtype=np.float64)
    heights = np.sqrt(0.8 * height * height / ratios)
    return np.stack([ratios * heights, heights], axis=1)


def anchor_grid(
    heights: Sequence[float] = ANCHOR_HEIGHTS,
    ratios: Sequence[float] = ASPECT_RATIOS,
    scales_per_level: int = 1,
) -> np.ndarray:
    """All anchors: level by level from the finest, row by row, in a cell scale by scale and ratio by ratio.

    Parameters
    ----------
    heights : sequence of float
        Height of the 0.8 anchor on each level, finest first, in input pixels.
    ratios : sequence of float
        Width over height.
    scales_per_level : int
        1, or 2 for a second size between this level's and the next one's (their geometric mean).

    Returns
    -------
    numpy.ndarray
        (M, 4) float32: centre x, centre y, width, height in input pixels. M is 5220 for the defaults.
    """
    heights = list(heights)
    following = heights[1:] + [heights[-1] * heights[-1] / heights[-2]]
    levels = []
    for centres, height, next_height in zip(level_centres(len(heights)), heights, following):
        sizes = (height, np.sqrt(height * next_height))[:scales_per_level]
        shapes = np.concatenate([anchor_shapes(size, ratios) for size in sizes])
        y, x, index = np.meshgrid(centres, centres, np.arange(len(shapes)), indexing='ij')
        levels.append(np.column_stack([x.ravel(), y.ravel(), shapes[index.ravel()]]))
    return np.concatenate(levels).astype(np.float32)


def centre_to_corner(boxes: np.ndarray) -> np.ndarray:
    """Boxes (..., 4) from centre and size to ``xyxy``."""
    return np.concatenate([boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], axis=-1)
