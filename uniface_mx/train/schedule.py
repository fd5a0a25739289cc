"""Learning rates over iterations. A schedule is told every loss; its state is plain JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, Dict, Optional, Sequence, Tuple


@dataclass
class Schedule:
    """A constant rate after a linear warm-up; the base of the others.

    Parameters
    ----------
    learning_rate : float
        Of the first iteration after the warm-up.
    warmup : int
        Iterations; iteration i of them has (i + 1) / warmup of the rate.
    minimum : float
        What decay does not go below.
    """

    learning_rate: float
    warmup: int = 0
    minimum: float = 0.0

    # What depends on the losses, and is needed to go on.
    remembered: ClassVar[Tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        self.minimum = min(self.minimum, self.learning_rate)

    def rate(self, iteration: int) -> float:
        """Learning rate of an iteration, the first being 0."""
        if iteration < self.warmup:
            return self.learning_rate * (iteration + 1) / self.warmup
        return max(self._decayed(iteration), self.minimum)

    def _decayed(self, iteration: int) -> float:
        """The rate without warm-up and minimum."""
        return self.learning_rate

    def _between(self, share: float) -> float:
        return self.minimum + (self.learning_rate - self.minimum) * share

    def update(self, loss: float) -> None:
        """Take note of an iteration's loss."""

    def state(self) -> Dict[str, Any]:
        """What `restore` needs to go on."""
        return {name: getattr(self, name) for name in self.remembered}

    def restore(self, state: Dict[str, Any]) -> None:
        """Go on from a state; another schedule's says nothing."""
        for name in self.remembered:
            setattr(self, name, state.get(name, getattr(self, name)))


@dataclass
class Milestones(Schedule):
    """Multiply the rate by `factor` from each of the `milestones` on."""

    milestones: Sequence[int] = ()
    factor: float = 0.1

    def _decayed(self, iteration: int) -> float:
        return self.learning_rate * self.factor ** sum(iteration >= one for one in self.milestones)


@dataclass
class Cosine(Schedule):
    """Fall along half a cosine to the minimum, from the end of the warm-up to iteration `iterations`."""

    iterations: int = 1

    def _decayed(self, iteration: int) -> float:
        part = (iteration - self.warmup) / max(1, self.iterations - self.warmup)
        return self._between((1 + math.cos(math.pi * min(part, 1.0))) / 2)


@dataclass
class Cooldown(Schedule):
    """Hold the rate; over the last part `cooldown` of `iterations` it falls in a line to the minimum.

    A run that has not cooled yet can be given more iterations at no loss, which a cosine does not allow.
    """

    iterations: int = 1
    cooldown: float = 0.2

    def _decayed(self, iteration: int) -> float:
        left = (self.iterations - iteration) / max(1.0, self.cooldown * self.iterations)
        return self._between(min(1.0, max(0.0, left)))


@dataclass
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

    window: int = 1000
    patience: int = 5
    improvement: float = 0.01
    factor: float = 0.1
    seen: int = field(default=0, init=False)
    sum: float = field(default=0.0, init=False)
    count: int = field(default=0, init=False)
    best: Optional[float] = field(default=None, init=False)
    stale: int = field(default=0, init=False)
    drops: int = field(default=0, init=False)

    remembered = ('seen', 'sum', 'count', 'best', 'stale', 'drops')

    def _decayed(self, iteration: int) -> float:
        return self.learning_rate * self.factor**self.drops

    def update(self, loss: float) -> None:
        """Take note of an iteration's loss; at the end of a window, decide."""
        self.seen += 1
        if self.seen <= self.warmup:
            return
        self.sum += loss
        self.count += 1
        if self.count < self.window:
            return
        mean, self.sum, self.count = self.sum / self.count, 0.0, 0
        if self.best is None or mean < self.best * (1 - self.improvement):
            self.best, self.stale = mean, 0
            return
        self.stale += 1
        if self.stale >= self.patience:
            self.stale = 0
            self.drops += 1


SCHEDULES = {
    'constant': Schedule,
    'milestones': Milestones,
    'cosine': Cosine,
    'cooldown': Cooldown,
    'plateau': Plateau,
}
