"""The step: parts that add up to the whole, counts, clipping, losses that are not finite."""

import math
from unittest import mock

import numpy as np
import pytest
from drawn import STEADY, UNEVEN, write_records

from uniface_mx.data.rows import EMBEDDING, HAS_EMBEDDING
from uniface_mx.train.precision import LossScale
from uniface_mx.train.step import Step

ITERATIONS = 20


def arrays(trainer):
    return {name: array.asnumpy() for name, array in trainer.weights().items()}


def follow(build, name, *settings, iterations=ITERATIONS):
    """Results of some iterations' steps, and the weights after the last."""
    trainer = build(f'training.iterations={iterations}', *settings, run=name)
    results, step = [], Step.__call__
    with mock.patch.object(Step, '__call__', lambda *args: results.append(step(*args)) or results[-1]):
        trainer.run()
    return results, arrays(trainer)


@pytest.fixture(scope='module')
def uneven(tmp_path_factory):
    """Twelve photos, faces crowded in some and none in others, so that halves of a batch differ widely."""
    folder = tmp_path_factory.mktemp('uneven')
    write_records(folder / 'faces', UNEVEN, seed=3)
    return folder


@pytest.fixture(scope='module')
def whole():
    """What the first test that asks computed with one device."""
    return {}


@pytest.mark.parametrize(
    'iterations, settings',
    [
        (ITERATIONS, ('training.devices=[cpu(0), cpu(1)]',)),
        (ITERATIONS, ('training.accumulate=2',)),
        (5, ('training.devices=[cpu(0), cpu(1)]', 'training.accumulate=2')),
    ],
    ids=['two devices', 'two halves', 'both'],
)
def test_parts_follow_the_whole_batch(build, uneven, whole, iterations, settings):
    common = STEADY + (f'data.root={uneven}', 'losses.contrast=0')
    if not whole:
        whole['run'] = follow(build, 'whole', *common)
    outcomes, weights = whole['run']
    others, other_weights = follow(build, 'parts', *common, *settings, iterations=iterations)
    assert len(others) == iterations
    for one, other in zip(outcomes, others):
        assert one.counts == other.counts
        assert other.loss == pytest.approx(one.loss, rel=1e-5)
        assert list(other.terms) == pytest.approx(list(one.terms), rel=1e-5, abs=1e-5)
    assert outcomes[-1].loss < outcomes[0].loss
    for name, array in weights.items() if iterations == ITERATIONS else ():
        np.testing.assert_allclose(other_weights[name], array, rtol=1e-5, atol=1e-5, err_msg=name)


def test_a_half_normalised_by_itself_would_not_follow(build, uneven):
    """The test above can fail: these batches' halves have very different numbers of faces."""
    trainer = build(*STEADY, f'data.root={uneven}')
    differences = []
    for position in range(4):
        batch = trainer.loader.make(position)
        halves = [trainer.step.criteria.rois(half).mask.sum() for half in np.split(batch.label, 2)]
        differences.append(abs(halves[0] - halves[1]))
    assert max(differences) >= 4


def test_predicted_regions_follow_too(build, uneven):
    common = tuple(one for one in STEADY if 'roi_source' not in one) + (f'data.root={uneven}',)
    (whole, _), (halves, _) = (
        follow(build, name, *common, *settings, iterations=4)
        for name, settings in (('whole', ()), ('halves', ('training.accumulate=2',)))
    )
    assert [one.loss for one in halves] == pytest.approx([one.loss for one in whole], rel=1e-5)


@pytest.fixture
def begin(build):
    """A function that gives a trainer, its first batch, and its weights before it has learned."""

    def make(*settings, run='run'):
        trainer = build('data.train=[{path: faces}]', *settings, run=run)
        return trainer, trainer.loader.make(0), arrays(trainer)

    return make


def test_a_loss_that_is_not_finite_changes_nothing(begin):
    trainer, batch, before = begin()
    image, face = np.argwhere(batch.label[..., HAS_EMBEDDING] == 1)[0]
    batch.label[image, face, EMBEDDING] = np.nan
    outcome = trainer.step(batch, 0.1, False)
    assert not outcome.finite and not outcome.updated and math.isnan(outcome.terms.mimic)
    assert math.isfinite(outcome.terms.classification)
    after = arrays(trainer)
    assert all((before[name] == after[name]).all() for name in before)


def test_the_gradient_is_clipped_by_its_norm_over_all_parameters(begin):
    moves = []
    for clip in (1e9, 0.5):
        # Its last layer learns at another rate than the rest.
        settings = ('optimizer.weight_decay=0', 'optimizer.frozen=[recognition_embedding_weight]')
        trainer, batch, before = begin(f'optimizer.clip_gradient={clip}', *settings, run=str(clip))
        norm, after = trainer.step(batch, 0.01, False).norm, arrays(trainer)
        learned = [name for name in before if name.startswith('arg:')]
        square = sum(float(((after[name] - before[name]) ** 2).sum()) for name in learned)
        moves.append((norm, math.sqrt(square)))
    (norm, free), (same, clipped) = moves
    assert norm == pytest.approx(same, rel=1e-5) and norm > 0.5
    assert free == pytest.approx(0.01 * norm, rel=1e-3) and clipped == pytest.approx(0.01 * 0.5, rel=1e-3)


def test_weights_of_the_losses_multiply_the_terms(begin):
    begun = begin(), begin('losses.box=3', 'losses.mimic=0.5', run='other')
    one, other = (trainer.step(batch, 0.0, False) for trainer, batch, _ in begun)
    assert other.terms.box == pytest.approx(3 * one.terms.box)
    assert other.terms.mimic == pytest.approx(one.terms.mimic / 2)
    assert other.loss == pytest.approx(one.loss + 2 * one.terms.box - one.terms.mimic / 2)


def test_without_recognition_its_weights_rest(begin):
    trainer, batch, before = begin('losses.mimic=0', 'losses.contrast=0')
    trainer.step(batch, 0.1, False)
    after = arrays(trainer)
    rests = [name for name in before if name.startswith(('arg:recognition_', 'arg:topdown_'))]
    assert rests and all((before[name] == after[name]).all() for name in rests)
    assert (before['arg:heads_level0_weight'] != after['arg:heads_level0_weight']).any()


def test_frozen_layers_keep_weights_and_statistics(begin):
    trainer, batch, before = begin('optimizer.frozen=[trunk_conv_*]')
    trainer.step(batch, 0.1, False)
    after = arrays(trainer)
    frozen = [name for name in before if 'trunk_conv_' in name]
    assert any('running_mean' in name for name in frozen)
    assert all((before[name] == after[name]).all() for name in frozen)
    moved = [name for name in before if 'mixed_5b' in name and 'running_mean' in name]
    assert moved and all((before[name] != after[name]).any() for name in moved)


@pytest.mark.parametrize('dtype', ['bfloat16'])
def test_lower_precision_stays_near_float32_with_float32_weights(begin, dtype):
    losses = []
    for precision in ('float32', dtype):
        trainer, batch, _ = begin(f'training.precision={precision}', run=precision)
        losses.append(list(trainer.step(batch, 0.01, False).terms))
        assert {array.dtype for array in trainer.weights().values()} == {np.float32}
        assert {str(one.parameter.grad().dtype) for one in trainer.step.optimizer.learned} == {
            "<class 'numpy.float32'>"
        }
    assert losses[1] == pytest.approx(losses[0], rel=0.2) and losses[1] != losses[0]


def test_the_loss_scale_halves_at_an_overflow_and_doubles_after_good_steps():
    scale = LossScale(True, window=3)
    values = []
    for finite in (True, False, True, True, True, False, False):
        assert scale.update(finite) == (not finite)
        values.append(scale.value / 2**15)
    assert values == [1, 0.5, 0.5, 0.5, 1, 0.5, 0.25]
    scale.value = 1.0
    assert not scale.update(False) and scale.value == 1.0
    off = LossScale(False)
    assert not off.update(False) and off.value == 1.0


def test_a_scaled_loss_moves_weights_as_an_unscaled_one(begin):
    moved = []
    for value in (1.0, 1024.0):
        trainer, batch, _ = begin(run=str(value))
        trainer.step.scale.value = value
        outcome = trainer.step(batch, 0.01, False)
        moved.append((outcome.norm, outcome.loss, arrays(trainer)['arg:heads_level0_weight']))
    assert moved[1][:2] == pytest.approx(moved[0][:2], rel=1e-5)
    np.testing.assert_allclose(moved[1][2], moved[0][2], rtol=1e-4, atol=1e-7)


def test_an_overflow_of_the_scaled_gradient_passes_the_step_over(begin):
    trainer, batch, before = begin()
    trainer.step.scale = LossScale(True)
    trainer.step.scale.value = 1e38
    outcome = trainer.step(batch, 0.01, False)
    after = arrays(trainer)
    assert outcome.finite and outcome.rescaled and not outcome.updated and trainer.step.scale.value == 5e37
    learned = [name for name in before if name.startswith('arg:')]
    assert all((before[name] == after[name]).all() for name in learned)


def test_predicted_regions_are_the_predictions(begin):
    """Heads of zeros predict the anchors, the largest with more confidence."""
    terms = []
    for predicted in (False, True):
        trainer, batch, _ = begin('losses.contrast=0', run=str(predicted))
        for name, array in trainer.weights().items():
            if 'heads_' in name:
                array[:] = 0
            if 'heads_level' in name and name.endswith('_bias') and int(name[len('arg:heads_level')]) > 1:
                array[1::16] = 1
        trainer.weights()['arg:recognition_embedding_weight'][:] *= 100
        terms.append(trainer.step(batch, 0.0, predicted).terms)
    assert terms[0].box == terms[1].box and terms[0].mimic != pytest.approx(terms[1].mimic, rel=1e-3)
