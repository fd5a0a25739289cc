"""Which record comes when: an endless order that is a function of the seed alone, with random access.

Any position can be asked for without walking to it, so that a run resumes exactly and workers need no shared
state.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Optional, Sequence, Tuple

import numpy as np

_BLOCK = 1000


class Proportions:
    """An endless sequence of choices whose shares hold in every block of about a thousand.

    Parameters
    ----------
    weights : sequence of float
        Not negative, and not all 0.
    """

    def __init__(self, weights: Sequence[float], seed: Sequence[int]) -> None:
        weights = np.asarray(weights, np.float64)
        if (weights < 0).any() or weights.sum() <= 0:
            raise ValueError('weights must not be negative, nor all 0')
        exact = weights / weights.sum() * _BLOCK
        counts = np.maximum(np.floor(exact), weights > 0).astype(np.int64)
        # Largest remainders get what rounding left over.
        rest = max(0, _BLOCK - int(counts.sum()))
        counts[np.argsort(counts - exact, kind='stable')[:rest]] += 1
        self.counts = counts
        self._choices = np.repeat(np.arange(len(weights)), counts)
        self._seed = tuple(seed)
        self._shuffled = lru_cache(maxsize=4)(self._shuffle)

    def _shuffle(self, block: int) -> Tuple[np.ndarray, np.ndarray]:
        choices = np.random.default_rng(self._seed + (block,)).permutation(self._choices)
        before = np.cumsum(np.eye(len(self.counts), dtype=np.int64)[choices], axis=0)
        before[choices.size - 1 :] = 0
        return choices, np.roll(before, 1, axis=0)

    def at(self, position: int) -> Tuple[int, np.ndarray]:
        """The choice at a position, and how often each choice occurred before it, (C,) int64."""
        block, within = divmod(position, len(self._choices))
        choices, before = self._shuffled(block)
        return int(choices[within]), block * self.counts + before[within]


class RecordOrder:
    """An endless order over record files: each file's records are all shown once before any is shown again.

    Parameters
    ----------
    sizes : sequence of int
        Numbers of records of the files.
    weights : sequence of float
        How often a record of a file is shown, relative to one of weight 1; 0 leaves the file out.
    seed : sequence of int or None
        None: the files one after the other, unshuffled, once for each pass (weights only choose the files).
    """

    def __init__(self, sizes: Sequence[int], weights: Sequence[float], seed: Optional[Sequence[int]]) -> None:
        self.sizes = np.where(np.asarray(weights) > 0, sizes, 0).astype(np.int64)
        self.total = int(self.sizes.sum())
        if self.total == 0:
            raise ValueError('no record has a weight above 0')
        self._seed = None if seed is None else tuple(seed)
        self._ends = np.cumsum(self.sizes)
        views = self.sizes * np.asarray(weights, np.float64)
        self._files = None if seed is None else Proportions(views, self._seed)
        self._permutation = lru_cache(maxsize=2 * len(self.sizes))(self._permute)

    def _permute(self, file: int, lap: int) -> np.ndarray:
        return np.random.default_rng(self._seed + (file, lap)).permutation(int(self.sizes[file]))

    def at(self, position: int) -> Tuple[int, int]:
        """The file and the record's number in it at a position."""
        if self._files is None:
            within = position % self.total
            file = int(np.searchsorted(self._ends, within, side='right'))
            return file, int(within - (self._ends[file] - self.sizes[file]))
        file, before = self._files.at(position)
        lap, within = divmod(int(before[file]), int(self.sizes[file]))
        return file, int(self._permutation(file, lap)[within])
