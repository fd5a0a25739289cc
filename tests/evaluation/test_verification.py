import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation import verification
from uniface_mx.evaluation.verification import best_threshold, roc, ten_folds


def test_best_threshold_by_hand():
    same = np.array([True, True, False, False])
    assert best_threshold(np.array([0.9, 0.7, 0.3, 0.1]), same) == 0.5
    # One genuine pair lies lowest: three are right with anything from 0.4 to 0.7.
    assert best_threshold(np.array([0.7, 0.1, 0.4, 0.2]), same) == pytest.approx(0.55)


def test_best_threshold_at_both_ends():
    similarity = np.array([0.2, 0.4])
    assert best_threshold(similarity, np.array([True, True])) == 0.2
    assert best_threshold(similarity, np.array([False, False])) > 0.4


def test_best_threshold_takes_the_middle_of_ties():
    # Accepting the first one, three or five values gets 3 of 5 right.
    similarity = np.array([5.0, 4, 3, 2, 1])
    same = np.array([True, False, True, False, True])
    assert best_threshold(similarity, same) == 2.5


def test_equal_similarities_cannot_be_told_apart():
    assert best_threshold(np.array([0.5, 0.5, 0.5]), np.array([True, True, False])) == 0.5


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=30))
def test_no_threshold_is_better(pairs):
    similarity = np.array([value for value, _ in pairs], float)
    same = np.array([one for _, one in pairs])
    right = ((similarity >= best_threshold(similarity, same)) == same).sum()
    assert right == max(((similarity >= t) == same).sum() for t in np.arange(-0.5, 8))


def reading_of_the_protocol(similarity, same, fold):
    """The protocol once more, with a grid of thresholds."""
    grid = np.linspace(similarity.min() - 0.01, similarity.max() + 0.01, 4001)
    accuracies = []
    for one in range(10):
        train = fold != one
        right = ((similarity[train][:, None] >= grid) == same[train][:, None]).mean(axis=0)
        best = grid[np.flatnonzero(right == right.max())]
        threshold = best[len(best) // 2]
        accuracies.append(((similarity[fold == one] >= threshold) == same[fold == one]).mean())
    return np.mean(accuracies), np.std(accuracies) * np.sqrt(10 / 9)


def made_pairs(separation, seed=0, folds=10, each=100):
    generator = np.random.default_rng(seed)
    fold = np.repeat(np.arange(folds), 2 * each)
    same = np.tile(np.repeat([True, False], each), folds)
    return generator.normal(size=len(fold)) + separation * same, same, fold, np.ones(len(fold), bool)


def test_ten_folds_equals_another_reading_of_the_protocol():
    similarity, same, fold, found = made_pairs(2.5)
    figures = ten_folds(similarity, same, fold, found)
    accuracy, std = reading_of_the_protocol(similarity, same, fold)
    assert figures['accuracy'] == pytest.approx(accuracy, abs=0.002)
    assert figures['std'] == pytest.approx(std, abs=0.003)
    assert figures['standard_error'] == pytest.approx(figures['std'] / np.sqrt(10))
    assert len(figures['folds']) == len(figures['thresholds']) == 10


def test_random_similarities_are_right_half_the_time():
    similarity, same, fold, found = made_pairs(0, each=300)
    assert ten_folds(similarity, same, fold, found)['accuracy'] == pytest.approx(0.5, abs=0.02)


def test_the_tenth_fold_does_not_choose_its_own_threshold():
    # In fold 1 everything is shifted: the threshold of the others accepts all of it.
    similarity = np.array([1.0, 0.0, 11.0, 10.0, 1.0, 0.0])
    same = np.array([True, False] * 3)
    figures = ten_folds(similarity, same, np.array([0, 0, 1, 1, 2, 2]), np.ones(6, bool))
    assert figures['folds'][1] == 0.5
    assert figures['thresholds'][1] == 0.5


def test_swapping_two_folds_changes_nothing():
    similarity, same, fold, found = made_pairs(1.5)
    found[::37] = False
    swapped = np.select([fold == 2, fold == 7], [7, 2], fold)
    a, b = ten_folds(similarity, same, fold, found), ten_folds(similarity, same, swapped, found)
    assert (a['accuracy'], a['std']) == pytest.approx((b['accuracy'], b['std']), abs=1e-12)
    order = np.argsort(swapped, kind='stable')
    c = ten_folds(similarity[order], same[order], swapped[order], found[order])
    assert c['folds'] == b['folds'] and c['thresholds'] == b['thresholds']


def test_a_pair_without_face_is_an_error_whatever_it_is():
    similarity, same, fold, found = made_pairs(50)
    assert ten_folds(similarity, same, fold, found)['accuracy'] == 1
    found[[0, 150]] = False  # a genuine pair and an impostor pair of the first fold
    figures = ten_folds(similarity, same, fold, found)
    assert figures['folds'] == [0.99] + [1.0] * 9


def test_roc_by_hand():
    similarity = np.array([0.9, 0.6, 0.6, 0.2])
    same = np.array([True, True, False, False])
    curve = roc(similarity, same, np.ones(4, bool))
    assert curve.thresholds.tolist() == [np.inf, 0.9, 0.6, 0.2]
    assert curve.false_accepts.tolist() == [0, 0, 0.5, 1]
    assert curve.true_accepts.tolist() == [0, 0.5, 1, 1]
    assert verification.area(curve) == 0.875
    assert verification.true_accepts_at(curve, (0.49, 0.5)) == {'0.49': 0.5, '0.5': 1.0}
    assert [verification.threshold_at(curve, rate) for rate in (0.49, 0.5, 1.0)] == curve.thresholds[
        1:
    ].tolist()
    curve = roc(similarity, ~same, np.ones(4, bool))
    assert 0.9 < verification.threshold_at(curve, 0.4) < 0.9001


def test_roc_with_pairs_without_face():
    curve = roc(
        np.array([0.9, 0.8, 0.7, 0.99]),
        np.array([True, True, False, False]),
        np.array([True, False, True, False]),
    )
    assert curve.true_accepts.max() == 0.5
    assert curve.false_accepts.max() == 0.5
    # From (0.5, 0.5) straight to (1, 1).
    assert verification.area(curve) == 0.5 * 0.5 + 0.5 * 0.75


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=12), st.lists(st.integers(0, 5), min_size=1, max_size=12)
)
def test_area_is_the_chance_that_a_genuine_pair_is_more_alike(genuine, impostor):
    similarity = np.array(genuine + impostor, float)
    same = np.arange(len(similarity)) < len(genuine)
    wins = np.mean([(g > i) + (g == i) / 2 for g in genuine for i in impostor])
    assert verification.area(roc(similarity, same, np.ones(len(same), bool))) == pytest.approx(wins)


def test_sample_has_the_curve_s_values():
    similarity, same, _, found = made_pairs(2)
    curve = roc(similarity, same, found)
    points = verification.sample(curve, 4)
    assert points['false_accepts'] == pytest.approx([1e-3, 1e-2, 1e-1, 1])
    assert points['true_accepts'][1] == verification.true_accepts_at(curve)['0.01']
    assert points['true_accepts'][3] == 1


@pytest.mark.parametrize(
    'call',
    [
        lambda: ten_folds(np.ones(2), np.array([True, False]), np.zeros(2, int), np.ones(2, bool)),
        lambda: ten_folds(np.ones(2), np.array([True, False]), np.array([0, 1]), np.array([False, True])),
        lambda: roc(np.ones(2), np.array([True, True]), np.ones(2, bool)),
    ],
)
def test_too_little(call):
    with pytest.raises(UnifaceError):
        call()


def test_folds_compared():
    found = verification.compare_folds([0.9, 0.94, 0.92], [0.8, 0.82, 0.8])
    assert found.folds == pytest.approx([0.1, 0.12, 0.12])
    # t = 17/150 / (sqrt(1/7500) / sqrt(3)) = 17; two degrees of freedom: p = 1 - t / sqrt(t^2 + 2).
    assert (found.mean, found.std, found.t) == pytest.approx((17 / 150, (1 / 7500) ** 0.5, 17))
    assert found.p == pytest.approx(1 - 17 / 291**0.5)
    assert found.answer == 1
    other = verification.compare_folds([0.8, 0.82, 0.8], [0.9, 0.94, 0.92])
    assert (other.mean, other.t, other.p, other.answer) == pytest.approx((-found.mean, -17, found.p, -1))


@pytest.mark.parametrize(
    'first, second, t, p, answer',
    [
        ([0.5, 0.75], [0.5 - 0.25, 0.75 - 0.25], np.inf, 0, 1),
        ([0.5, 0.75], [0.75, 1.0], -np.inf, 0, -1),
        ([0.5, 0.75], [0.5, 0.75], 0, 1, 0),
        ([0.1, 0.2], [0.2, 0.1], 0, 1, 0),
    ],
)
def test_folds_that_differ_all_alike_or_not_at_all(first, second, t, p, answer):
    found = verification.compare_folds(first, second)
    assert (found.t, found.p, found.answer) == (t, p, answer)


@pytest.mark.parametrize('first, second', [([0.5, 0.6], [0.5]), ([0.5], [0.6]), ([], [])])
def test_other_folds_cannot_be_compared(first, second):
    with pytest.raises(UnifaceError, match='cannot be compared'):
        verification.compare_folds(first, second)
