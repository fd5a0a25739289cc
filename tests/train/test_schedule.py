"""Learning rates, by hand."""

import json

import pytest

from uniface_mx.train.schedule import Cooldown, Cosine, Milestones, Plateau, Schedule


def rates(schedule, count, losses=None):
    found = []
    for iteration in range(count):
        found.append(schedule.rate(iteration))
        schedule.update(losses[iteration] if losses else 1.0)
    return found


def test_warm_up_rises_evenly_to_the_rate():
    assert rates(Schedule(0.8, warmup=4), 6) == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8, 0.8])


def test_milestones_divide_from_that_iteration_on():
    schedule = Milestones(1.0, 0, 0.0, [4, 2], 0.1)
    assert rates(schedule, 6) == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_decay_stops_at_the_minimum():
    assert rates(Milestones(1.0, 0, 0.05, [1, 2], 0.1), 4) == pytest.approx([1, 0.1, 0.05, 0.05])


def test_a_minimum_above_the_rate_does_not_raise_it():
    assert rates(Schedule(1e-6, minimum=1e-3), 2) == [1e-6, 1e-6]


def test_cooldown_holds_then_falls_in_a_line():
    found = rates(Cooldown(1.0, 2, 0.2, 10, 0.4), 12)
    assert found == pytest.approx([0.5, 1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2, 0.2])
    longer = rates(Cooldown(1.0, 2, 0.2, 20, 0.2), 12)
    assert longer[:6] == found[:6] and longer[2:] == [1.0] * 10


def test_cosine_goes_from_the_rate_to_the_minimum():
    found = rates(Cosine(1.0, 2, 0.2, 6), 8)
    assert found == pytest.approx(
        [0.5, 1.0, 1.0, 0.2 + 0.8 * 0.853553, 0.6, 0.2 + 0.8 * 0.146447, 0.2, 0.2], abs=1e-6
    )


def test_plateau_divides_after_windows_without_improvement():
    # Windows of two: means 5, 4 (better), 3.99 and 3.98 (not better by 1 %), then at a tenth of the rate.
    losses = [6, 4, 4, 4, 3.99, 3.99, 3.98, 3.98, 3, 3, 3, 3]
    found = rates(Plateau(1.0, 0, 0.0, window=2, patience=2, improvement=0.01, factor=0.1), 12, losses)
    assert found == pytest.approx([1] * 8 + [0.1] * 4)


def test_slow_falls_add_up_to_an_improvement():
    # Each window is 0.6 % better than the one before: every second one is better than the best by 1 %.
    losses = [0.994 ** (iteration // 2) for iteration in range(40)]
    assert rates(Plateau(1.0, 0, 0.0, window=2, patience=2, improvement=0.01), 40, losses) == [1.0] * 40


def test_plateau_does_not_look_at_the_warm_up():
    losses = [1, 1, 9, 9, 9, 9, 9]
    found = rates(Plateau(1.0, 2, 0.0, window=2, patience=1, improvement=0.01), 7, losses)
    assert found == pytest.approx([0.5, 1, 1, 1, 1, 1, 0.1])


def test_a_plateau_rises_never_again_and_starts_counting_anew_after_a_drop():
    found = rates(Plateau(1.0, 0, 0.0, window=1, patience=2, improvement=0.0), 6, [1, 2, 2, 2, 2, 0.5])
    assert found == pytest.approx([1, 1, 1, 0.1, 0.1, 0.01])


def test_plateau_goes_on_from_its_state_as_if_never_stopped():
    losses = [5, 4, 4, 4, 3.99, 3.99, 3.98, 3.98, 3, 3, 3, 3, 3, 3, 3, 3]
    arguments = dict(window=2, patience=2, improvement=0.01)
    whole = rates(Plateau(1.0, 1, 0.0, **arguments), 16, losses)
    for cut in range(16):
        first, second = Plateau(1.0, 1, 0.0, **arguments), Plateau(1.0, 1, 0.0, **arguments)
        rates(first, cut, losses)
        second.restore(json.loads(json.dumps(first.state())))
        rest = []
        for iteration in range(cut, 16):
            rest.append(second.rate(iteration))
            second.update(losses[iteration])
        assert rest == whole[cut:]
