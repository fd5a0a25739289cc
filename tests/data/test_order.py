import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniface_mx.data.order import Proportions, RecordOrder


def test_shares_hold_in_every_block():
    order = Proportions((5, 0, 3, 2), (1,))
    for block in (0, 3):
        choices = [order.at(block * 1000 + i)[0] for i in range(1000)]
        assert np.bincount(choices, minlength=4).tolist() == [500, 0, 300, 200]


def test_even_a_rare_choice_occurs():
    assert Proportions((1e9, 1), (1,)).counts[1] == 1


@given(
    st.lists(st.floats(0, 10), min_size=1, max_size=5).filter(lambda w: sum(w) > 0.1), st.integers(0, 3000)
)
def test_counts_before_a_position_are_those_of_walking_there(weights, position):
    order = Proportions(weights, (2, 1))
    walked = np.zeros(len(weights), int)
    for i in range(position % 50):
        walked[order.at(i)[0]] += 1
    assert order.at(position % 50)[1].tolist() == walked.tolist()
    choice, before = order.at(position)
    after = before.copy()
    after[choice] += 1
    assert order.at(position + 1)[1].tolist() == after.tolist() and before.sum() == position


@pytest.mark.parametrize('weights', [(0, 0), (-1, 2), ()])
def test_weights_that_choose_nothing(weights):
    with pytest.raises(ValueError, match='weights'):
        Proportions(weights, (0,))


def test_every_record_is_shown_once_before_any_is_shown_again():
    order = RecordOrder((7, 13), (1, 1), (5,))
    seen = {0: [], 1: []}
    for position in range(20 * 50):
        file, record = order.at(position)
        seen[file].append(record)
    for file, size in ((0, 7), (1, 13)):
        laps = [seen[file][i : i + size] for i in range(0, len(seen[file]) - size, size)]
        assert all(sorted(lap) == list(range(size)) for lap in laps)
        assert laps[0] != laps[1]


def test_weights_are_per_record():
    order = RecordOrder((100, 100, 300), (2, 0, 1), (5,))
    files = [order.at(i)[0] for i in range(1000)]
    assert np.bincount(files, minlength=3).tolist() == [400, 0, 600]


def test_without_a_seed_the_files_follow_each_other():
    order = RecordOrder((2, 5, 3), (1, 0, 1), None)
    assert [order.at(i) for i in range(7)] == [(0, 0), (0, 1), (2, 0), (2, 1), (2, 2), (0, 0), (0, 1)]
    assert order.total == 5


def test_seeds_give_different_orders():
    a, b = (RecordOrder((50,), (1,), (seed,)) for seed in (1, 2))
    assert [a.at(i) for i in range(50)] != [b.at(i) for i in range(50)]


def test_no_records():
    with pytest.raises(ValueError, match='no record'):
        RecordOrder((0, 5), (1, 0), (1,))
