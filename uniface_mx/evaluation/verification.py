"""Same person or not: ten-fold accuracy and ROC of pairs' similarities, whatever gave them.

A pair is accepted if its similarity is not below the threshold.
"""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Sequence

import numpy as np
from scipy import stats

from uniface_mx.errors import UnifaceError

FALSE_ACCEPT_RATES = (1e-2, 1e-3)


class Roc(NamedTuple):
    """Rates of accepted pairs at every threshold, falling: ``false_accepts`` and ``true_accepts`` in 0..1."""

    false_accepts: np.ndarray
    true_accepts: np.ndarray
    thresholds: np.ndarray


def best_threshold(similarity: np.ndarray, same: np.ndarray) -> float:
    """The threshold that gets most pairs right, of their similarities (n,) and whether they are the same person's (n,).

    Candidates lie halfway between neighbouring similarities and at both ends; of several best ones the middle
    one is taken (the upper of two).
    """
    values = np.unique(similarity)
    if not len(values):
        raise UnifaceError('no pair to choose a threshold from')
    above_all = np.nextafter(values[-1], np.inf)
    candidates = np.concatenate([values[:1], (values[:-1] + values[1:]) / 2, [above_all]])
    # A candidate accepts the similarities that are not below it.
    genuine, impostor = np.sort(similarity[same]), np.sort(similarity[~same])
    correct = len(genuine) - np.searchsorted(genuine, candidates) + np.searchsorted(impostor, candidates)
    best = np.flatnonzero(correct == correct.max())
    return float(candidates[best[len(best) // 2]])


def ten_folds(
    similarity: np.ndarray, same: np.ndarray, fold: np.ndarray, found: np.ndarray
) -> Dict[str, Any]:
    """Accuracy of each fold with the threshold that is best on the others.

    Arguments are (n,), ``found`` whether a face was found in both photos. A pair without counts as an error;
    thresholds are chosen from the others.

    Returns
    -------
    dict
        ``accuracy``, mean of the folds; ``std``, their standard deviation (n - 1); ``standard_error``, std
        over the root of their number; ``folds`` and ``thresholds``, one a fold.
    """
    accuracies, thresholds = [], []
    for number in np.unique(fold):
        chosen = fold == number
        threshold = best_threshold(similarity[~chosen & found], same[~chosen & found])
        correct = ((similarity >= threshold) == same) & found
        accuracies.append(correct[chosen].mean())
        thresholds.append(threshold)
    if len(accuracies) < 2:
        raise UnifaceError('cross validation needs two folds or more')
    std = float(np.std(accuracies, ddof=1))
    figures = {'accuracy': float(np.mean(accuracies)), 'std': std}
    figures['standard_error'] = std / np.sqrt(len(accuracies))
    return dict(figures, folds=accuracies, thresholds=thresholds)


class Difference(NamedTuple):
    """Two accuracies over the same folds.

    The differences ``folds`` (n,), first minus second, their ``mean`` and ``std`` (n - 1); ``t`` and ``p`` of the
    paired t-test; ``answer``, 1 or -1 where the first or the second is better by more than two standard
    deviations, else 0.
    """

    folds: np.ndarray
    mean: float
    std: float
    t: float
    p: float
    answer: int


def compare_folds(first: Sequence[float], second: Sequence[float]) -> Difference:
    """Compare two models' accuracies fold by fold; both must be over the same folds of the same pairs."""
    if len(first) != len(second) or len(first) < 2:
        told = f'accuracies of {len(first)} and of {len(second)} folds'
        raise UnifaceError(f'{told} cannot be compared; two equal numbers, two or more, are needed')
    # Accuracies are whole pairs over their number: a deviation this small is rounding.
    folds = np.round(np.subtract(first, second), 12)
    mean, std = float(folds.mean()), float(folds.std(ddof=1))
    # The test knows no t where nothing differs, and warns where all folds differ alike.
    t, p = stats.ttest_1samp(folds, 0) if std else (np.sign(mean) * np.inf, 0.0) if mean else (0.0, 1.0)
    answer = int(np.sign(mean)) if abs(mean) > 2 * std else 0
    return Difference(folds, mean, std, float(t), float(p), answer)


def roc(similarity: np.ndarray, same: np.ndarray, found: np.ndarray) -> Roc:
    """Rates over all pairs.

    A pair without a face in both photos is never accepted, and so a false reject if genuine.
    """
    genuine, impostor = int(same.sum()), int((~same).sum())
    if not genuine or not impostor:
        raise UnifaceError('a ROC needs pairs of one person and pairs of two')
    thresholds = np.unique(similarity[found])[::-1]
    rates = [
        (len(chosen) - np.searchsorted(np.sort(chosen), thresholds)) / total
        for chosen, total in ((similarity[found & ~same], impostor), (similarity[found & same], genuine))
    ]
    return Roc(*(np.append(0.0, rate) for rate in rates), np.append(np.inf, thresholds))


def area(curve: Roc) -> float:
    """Area under the curve, which is continued from its last point straight to (1, 1)."""
    return float(np.trapz(np.append(curve.true_accepts, 1.0), np.append(curve.false_accepts, 1.0)))


def true_accepts_at(curve: Roc, rates: Sequence[float] = FALSE_ACCEPT_RATES) -> Dict[str, float]:
    """Largest rate of true accepts with a rate of false accepts that is not above each of ``rates``."""
    return {f'{rate:g}': _true_accepts(curve, rate) for rate in rates}


def threshold_at(curve: Roc, rate: float) -> float:
    """The least threshold with a rate of false accepts that is not above ``rate``.

    Where none has, one just above the highest similarity.
    """
    above_all = np.nextafter(curve.thresholds[1], np.inf)
    return float(np.minimum(curve.thresholds[curve.false_accepts <= rate], above_all).min())


def sample(curve: Roc, points: int = 61) -> Dict[str, list]:
    """A few points of the curve for a figure, at rates from 1e-3 to 1 in equal steps of their logarithm."""
    at = np.logspace(-3, 0, points)
    return {'false_accepts': at.tolist(), 'true_accepts': [_true_accepts(curve, rate) for rate in at]}


def _true_accepts(curve: Roc, rate: float) -> float:
    return float(curve.true_accepts[curve.false_accepts <= rate].max())
