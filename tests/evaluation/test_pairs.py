"""All pairs of named people's faces."""

import numpy as np
import pytest

from uniface_mx.evaluation import pairs
from uniface_mx.evaluation.pairs import Pairs, all_pairs, area_under_roc, summarise, threshold_at

VECTORS = np.array([[1, 0], [0.6, 0.8], [0, 1], [-1, 0]])


@pytest.mark.parametrize('rows', [1, 2, 512])
def test_each_pair_once(monkeypatch, rows):
    monkeypatch.setattr(pairs, 'ROWS', rows)
    genuine, impostor = all_pairs(VECTORS, np.array([0, 0, 1, 1]))
    assert sorted(genuine) == pytest.approx([0, 0.6])
    assert sorted(impostor) == pytest.approx([-1, -0.6, 0, 0.8])


@pytest.mark.parametrize(('rate', 'passing'), [(0, 0), (0.2, 0), (0.25, 1), (0.5, 2), (0.99, 3)])
def test_a_threshold_lets_at_most_its_share_pass(rate, passing):
    impostor = np.array([0.1, 0.4, 0.2, 0.3], np.float32)
    assert (impostor >= threshold_at(impostor, rate)).sum() == passing


def test_equal_pairs_of_strangers_do_not_pass_together():
    assert (np.full(4, 0.5, np.float32) >= threshold_at(np.full(4, 0.5, np.float32), 0.5)).sum() == 0


@pytest.mark.parametrize(
    ('genuine', 'impostor', 'area'),
    [
        ([0.9, 0.8], [0.1, 0.2], 1),
        ([0.1], [0.2], 0),
        ([0.5], [0.5], 0.5),
        ([0.3, 0.1], [0.2, 0.2], 0.5),
        ([0.3, 0.1], [0.0, 0.2], 0.75),
    ],
)
def test_area(genuine, impostor, area):
    assert area_under_roc(Pairs(np.array(genuine), np.array(impostor))) == pytest.approx(area)


def test_figures():
    impostor = np.arange(1000, dtype=np.float32) / 1000
    found = summarise(Pairs(np.array([0.9985, 0.995, 0.5], np.float32), impostor), (1e-2, 1e-3))
    assert found['genuine'] == 3 and found['impostor'] == 1000
    # 0.990 and 0.999 are the thresholds below which 990 and 999 of the strangers lie.
    assert found['true_accepts'] == {'0.01': pytest.approx(2 / 3), '0.001': pytest.approx(1 / 3)}
