"""All pairs of faces of people who are named: how well embeddings keep one person's together and others apart.

LFW's 6,000 pairs cannot tell models apart that differ by a point; the millions of pairs of a thousand people can, and
a false accept in a thousand or in ten thousand, which users ask for, can be read off them.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Sequence

import numpy as np

from uniface_mx.nn.embedding import similarities

FALSE_ACCEPTS = (1e-2, 1e-3, 1e-4)
ROWS = 512


class Pairs(NamedTuple):
    """Similarities of the pairs of photos of one person, (g,) float32, and of those of two people, (i,) float32."""

    genuine: np.ndarray
    impostor: np.ndarray


def all_pairs(vectors: np.ndarray, people: np.ndarray) -> Pairs:
    """Similarities of all pairs of embeddings (n, d), whose people are numbers (n,)."""
    vectors = vectors.astype(np.float32)
    genuine: List[np.ndarray] = []
    impostor: List[np.ndarray] = []
    for first in range(0, len(vectors), ROWS):
        rows = slice(first, first + ROWS)
        similar = similarities(vectors[rows], vectors[first:])
        same = people[rows, None] == people[first:]
        later = np.triu(np.ones(similar.shape, bool), 1)
        genuine.append(similar[same & later])
        impostor.append(similar[~same & later])
    return Pairs(*(np.concatenate(parts or [np.zeros(0, np.float32)]) for parts in (genuine, impostor)))


def threshold_at(impostor: np.ndarray, rate: float) -> float:
    """The least similarity that at most this share of the pairs of strangers (i,) reaches."""
    place = len(impostor) - int(rate * len(impostor)) - 1
    return float(np.nextafter(np.partition(impostor, place)[place], np.float32(np.inf)))


def area_under_roc(pairs: Pairs) -> float:
    """How often a genuine pair is more alike than a pair of strangers; equal ones count half."""
    genuine = np.sort(pairs.genuine)
    below = sum(np.searchsorted(genuine, pairs.impostor, side).mean() for side in ('left', 'right'))
    return float(1 - below / (2 * len(genuine)))


def summarise(pairs: Pairs, rates: Sequence[float] = FALSE_ACCEPTS) -> Dict[str, Any]:
    """Area under the ROC, and the share of genuine pairs accepted at each rate of false accepts."""
    accepted = [float((pairs.genuine >= threshold_at(pairs.impostor, rate)).mean()) for rate in rates]
    named = dict(zip((f'{rate:g}' for rate in rates), accepted))
    return {
        'genuine': len(pairs.genuine),
        'impostor': len(pairs.impostor),
        'area': area_under_roc(pairs),
        'true_accepts': named,
    }
