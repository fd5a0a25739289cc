import numpy as np
import pytest

from uniface_mx.evaluation.intervals import bootstrap_mean, wilson


def test_wilson_by_hand():
    assert wilson(0, 0) == (0, 1)
    low, high = wilson(0, 10)
    assert low == 0 and high == pytest.approx(0.2775, abs=1e-4)
    assert wilson(50, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)


def test_wilson_mirrors():
    low, high = wilson(7, 9)
    assert wilson(2, 9) == pytest.approx((1 - high, 1 - low))


def test_bootstrap_is_near_the_normal_interval_and_repeats():
    values = np.random.default_rng(3).normal(5, 2, 400)
    low, high = bootstrap_mean(values)
    assert (low, high) == bootstrap_mean(values)
    half = 1.96 * values.std(ddof=1) / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.05)
    assert np.isnan(bootstrap_mean([])).all()
    assert bootstrap_mean([2.0]) == (2, 2)
