"""Mosaics: a canvas divided into cells, and in each a photo, placed so that a face gets a wanted size.

Many faces on one canvas are what makes training quick: the trunk costs the same for one face and for nine.
"""

from __future__ import annotations

from typing import Sequence

import numpy as np

# Room around the face of a cell, as a part of its sides.
MARGIN = 0.04


def draw_sides(
    count: int, edges: Sequence[float], weights: Sequence[float], rng: np.random.Generator
) -> np.ndarray:
    """Wanted sides of faces, (count,) pixels: a bin between two edges by weight, log-uniform within it."""
    weights = np.asarray(weights, np.float64)
    bins = rng.choice(len(weights), count, p=weights / weights.sum())
    edges = np.log(np.asarray(edges, np.float64))
    return np.exp(rng.uniform(edges[bins], edges[bins + 1]))


def partition(shares: Sequence[float], size: int, rng: np.random.Generator) -> np.ndarray:
    """Divide a canvas into cells whose areas follow given shares.

    The cells are halved, as evenly as their shares allow, by cuts across the longer side. No share counts as
    less than half the mean, and no cut leaves less than a tenth of the canvas: cells must not become slivers.

    Parameters
    ----------
    shares : sequence of float
        Positive.
    size : int
        Side of the canvas in pixels.

    Returns
    -------
    (n, 4) int64
        x1, y1, x2, y2 of each share's cell. The cells cover the canvas, and no two overlap.
    """
    shares = np.asarray(shares, np.float64)
    shares = np.maximum(shares, shares.mean() / 2)
    cells = np.zeros((len(shares), 4), np.int64)

    def divide(members: np.ndarray, cell: np.ndarray) -> None:
        if len(members) == 1:
            cells[members[0]] = cell
            return
        parts = np.cumsum(shares[members]) / shares[members].sum()
        first = int(np.argmin(np.abs(parts[:-1] - 0.5))) + 1
        axis = 0 if cell[2] - cell[0] > cell[3] - cell[1] else 1
        length = int(cell[axis + 2] - cell[axis])
        least = min(length // 2, size // 10)
        at = int(cell[axis]) + min(max(int(round(parts[first - 1] * length)), least), length - least)
        low, high = cell.copy(), cell.copy()
        low[axis + 2] = high[axis] = at
        if rng.random() >= 0.5:  # the cut at the other side
            for half in (low, high):
                half[[axis, axis + 2]] = cell[axis] + cell[axis + 2] - half[[axis + 2, axis]]
        divide(members[:first], low)
        divide(members[first:], high)

    divide(rng.permutation(len(shares)), np.array([0, 0, size, size]))
    return cells


def face_matrix(
    cell: np.ndarray,
    width: float,
    height: float,
    box: np.ndarray,
    side: float,
    max_zoom: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Place a photo so that one of its faces lies wholly in a cell, at a random place and a wanted size.

    Where the choice allows, the photo covers the cell.

    Parameters
    ----------
    cell : (4,)
        x1, y1, x2, y2 on the canvas.
    width, height : float
        Of the photo.
    box : (4,)
        The face, in photo pixels.
    side : float
        The square root of the face's area on the canvas; less if the cell or `max_zoom` does not allow it.

    Returns
    -------
    (2, 3) float64
        From the photo to the canvas: a scale and a shift.
    """
    face = np.maximum(box[2:] - box[:2], 1e-3)
    room = (cell[2:] - cell[:2]) / (face * (1 + 2 * MARGIN))
    scale = min(side / np.sqrt(face[0] * face[1]), max_zoom, room[0], room[1])
    low = cell[:2] - scale * (box[:2] - MARGIN * face)
    high = cell[2:] - scale * (box[2:] + MARGIN * face)
    cover_low, cover_high = cell[2:] - scale * np.array([width, height]), np.asarray(cell[:2], np.float64)
    first, last = np.maximum(low, cover_low), np.minimum(high, cover_high)
    covers = first <= last
    shift = rng.uniform(np.where(covers, first, low), np.where(covers, last, np.maximum(low, high)))
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])


def cover_matrix(
    cell: np.ndarray, width: float, height: float, rng: np.random.Generator, zoom: float = 1.5
) -> np.ndarray:
    """Place a photo so that it covers a cell, enlarged by up to `zoom` beyond that, somewhere, (2, 3)."""
    span = np.asarray(cell[2:], np.float64) - cell[:2]
    scale = max(span / (width, height)) * rng.uniform(1, zoom)
    size = scale * np.array([width, height])
    shift = cell[2:] - size + rng.random(2) * (size - span)
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
