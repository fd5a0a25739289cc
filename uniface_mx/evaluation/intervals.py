"""95 % confidence intervals: of a share (Wilson), and of a mean (bootstrap)."""

from __future__ import annotations

from typing import Any, Dict, Sequence, Tuple

import numpy as np
from scipy import stats

RESAMPLES = 2000


def wilson(successes: int, total: int) -> Tuple[float, float]:
    """Interval of a share, sound also near 0 and 1; (0, 1) where nothing was tried."""
    if not total:
        return 0.0, 1.0
    return tuple(map(float, stats.binomtest(successes, total).proportion_ci(method='wilson')))


def bootstrap_mean(values: Sequence[float], seed: int = 0) -> Tuple[float, float]:
    """Percentile interval of the mean of ``values`` (n,), from resamples that ``seed`` fixes; NaN for no value."""
    if len(values) < 2:
        return (float(values[0]),) * 2 if len(values) else (np.nan, np.nan)
    settings = dict(
        n_resamples=RESAMPLES, batch=100, method='percentile', random_state=np.random.default_rng(seed)
    )
    return tuple(map(float, stats.bootstrap((values,), np.mean, **settings).confidence_interval))


def mean_with_interval(values: Sequence[float]) -> Dict[str, Any]:
    """``faces``, their number, ``mean`` and ``interval`` of ``values`` (n,); None and NaN for no value."""
    mean = float(np.mean(values)) if len(values) else None
    return {'faces': len(values), 'mean': mean, 'interval': bootstrap_mean(values)}


def share_with_interval(found: int, total: int) -> Dict[str, Any]:
    """``found``, the ``share`` that it is of ``total``, and its ``interval``."""
    return {'found': found, 'share': found / total, 'interval': wilson(found, total)}
