"""Learning rates over iterations. A schedule is told every loss; its state is plain JSON."""

from __future__ import annotations

import math
from typing import Any, Dict, Optional, Sequence


class Schedule:
    """A constant rate after a linear warm-up; the base of the others.

    Parameters
    ----------
    rate : float
        Of the first iteration after the warm-up.
    warmup : int
        Iterations; iteration i of them has (i + 1) / warmup of the rate.
    minimum : float
        What decay does not go below.
    """

    def __init__(self, rate: float, warmup: int = 0, minimum: float = 0.0):
        self.base, self.warmup, self.minimum = rate, warmup, min(minimum, rate)

    def rate(self, iteration: int) -> float:
        """Learning rate of an iteration, the first being 0."""
        if iteration < self.warmup:
            return self.base * (iteration + 1) / self.warmup
        return max(self.decayed(iteration), self.minimum)

    def decayed(self, iteration: int) -> float:
        """The rate without warm-up and minimum."""
        return self.base

    def update(self, loss: float) -> None:
        """Take note of an iteration's loss."""

    def state(self) -> Dict[str, Any]:
        """What `restore` needs to go on: nothing, unless the rate depends on the losses."""
        return {}

    def restore(self, state: Dict[str, Any]) -> None:
        """Go on from a state."""


class Milestones(Schedule):
    """Multiply the rate by `factor` from each of the `milestones` on."""

    def __init__(
        self, rate: float, warmup: int, minimum: float, milestones: Sequence[int], factor: float = 0.1
    ):
        super().__init__(rate, warmup, minimum)
        self.milestones, self.factor = sorted(milestones), factor

    def decayed(self, iteration: int) -> float:
        return self.base * self.factor ** sum(iteration >= milestone for milestone in self.milestones)


class Cosine(Schedule):
    """Fall from the rate, at the end of the warm-up, to the minimum, at iteration `iterations`, along half a
    cosine.
    """

    def __init__(self, rate: float, warmup: int, minimum: float, iterations: int):
        super().__init__(rate, warmup, minimum)
        self.iterations = iterations

    def decayed(self, iteration: int) -> float:
        part = (iteration - self.warmup) / max(1, self.iterations - self.warmup)
        return self.minimum + (self.base - self.minimum) * (1 + math.cos(math.pi * min(part, 1.0))) / 2


class Cooldown(Schedule):
    """Hold the rate, and let it fall in a straight line to the minimum over the last `part` of `iterations`.

    A run that has not cooled yet can be given more iterations at no loss, which a cosine does not allow.
    """

    def __init__(self, rate: float, warmup: int, minimum: float, iterations: int, part: float = 0.2):
        super().__init__(rate, warmup, minimum)
        self.iterations, self.length = iterations, max(1.0, part * iterations)

    def decayed(self, iteration: int) -> float:
        left = (self.iterations - iteration) / self.length
        return self.minimum + (self.base - self.minimum) * min(1.0, max(0.0, left))


class Plateau(Schedule):
    """Multiply the rate by `factor` "when the loss goes steady" (section IV.A).

    The loss is averaged over windows. It is steady when for `patience` windows in succession no average has
    been lower than the best before by the fraction `improvement`. The warm-up does not count.

    Parameters
    ----------
    window : int
        Iterations.
    patience : int
        Windows.
    improvement : float
    factor : float
    """

    def __init__(
        self,
        rate: float,
        warmup: int,
        minimum: float,
        window: int = 1000,
        patience: int = 5,
        improvement: float = 0.01,
        factor: float = 0.1,
    ):
        super().__init__(rate, warmup, minimum)
        self.window, self.patience, self.improvement, self.factor = window, patience, improvement, factor
        self._seen, self._sum, self._count = 0, 0.0, 0
        self._best: Optional[float] = None
        self._stale, self._drops = 0, 0

    def decayed(self, iteration: int) -> float:
        return self.base * self.factor**self._drops

    def update(self, loss: float) -> None:
        self._seen += 1
        if self._seen <= self.warmup:
            return
        self._sum += loss
        self._count += 1
        if self._count < self.window:
            return
        mean, self._sum, self._count = self._sum / self._count, 0.0, 0
        if self._best is None or mean < self._best * (1 - self.improvement):
            self._best, self._stale = mean, 0
            return
        self._stale += 1
        if self._stale >= self.patience:
            self._stale = 0
            self._drops += 1

    def state(self) -> Dict[str, Any]:
        return {
            'seen': self._seen,
            'sum': self._sum,
            'count': self._count,
            'best': self._best,
            'stale': self._stale,
            'drops': self._drops,
        }

    def restore(self, state: Dict[str, Any]) -> None:
        if state:
            self._seen, self._sum, self._count = state['seen'], state['sum'], state['count']
            self._best, self._stale, self._drops = state['best'], state['stale'], state['drops']
