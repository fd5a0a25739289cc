"""95 % confidence intervals: of a share (Wilson), and of a mean (bootstrap)."""

from __future__ import annotations

from typing import Any, Dict, Sequence, Tuple

import numpy as np

Z = 1.959963984540054
RESAMPLES = 2000


def wilson(successes: int, total: int) -> Tuple[float, float]:
    """Interval of a share, sound also near 0 and 1; (0, 1) where nothing was tried."""
    if not total:
        return 0.0, 1.0
    share, weight = successes / total, Z * Z / total
    centre = (share + weight / 2) / (1 + weight)
    reach = Z / (1 + weight) * np.sqrt(share * (1 - share) / total + weight / (4 * total))
    return max(0.0, float(centre - reach)), min(1.0, float(centre + reach))


def bootstrap_mean(values: Sequence[float], seed: int = 0) -> Tuple[float, float]:
    """Percentile interval of the mean of ``values`` (n,), from resamples that ``seed`` fixes; NaN for no
    value.
    """
    values = np.asarray(values, np.float64)
    if not len(values):
        return float('nan'), float('nan')
    generator = np.random.default_rng(seed)
    means = [values[generator.integers(0, len(values), len(values))].mean() for _ in range(RESAMPLES)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def mean_with_interval(values: Sequence[float]) -> Dict[str, Any]:
    """``faces``, their number, ``mean`` and ``interval`` of ``values`` (n,); None and NaN for no value."""
    return {
        'faces': len(values),
        'mean': float(np.mean(values)) if len(values) else None,
        'interval': bootstrap_mean(values),
    }
