"""What the configuration's numbers become: each arrives where it is used."""

import pytest

from uniface_mx.train.build import build_schedule, build_trainer
from uniface_mx.train.losses import Terms
from uniface_mx.train.optimizer import AdamW
from uniface_mx.train.schedule import Cooldown, Cosine, Milestones, Plateau, Schedule
from uniface_mx.train.step import Rules


def test_losses_and_optimizer(configuration, tmp_path):
    trainer = build_trainer(
        configuration(
            'losses.classification=0.1',
            'losses.box=0.2',
            'losses.landmarks=0.3',
            'losses.mimic=0.4',
            'losses.contrast=0.5',
            'losses.match_threshold=0.61',
            'losses.ignore_threshold=0.22',
            'losses.negative_ratio=4',
            'losses.faceless=2',
            'losses.roi_threshold=0.63',
            'losses.roi_bucket=4',
            'losses.contrast_temperature=0.2',
            'losses.contrast_nearest=0.44',
            'losses.contrast_bank=3',
            'optimizer.name=adamw',
            'optimizer.momentum=0.7',
            'optimizer.beta2=0.9',
            'optimizer.clip_gradient=3',
        ),
        tmp_path / 'run',
    )
    trainer.log.close()
    step, criteria = trainer.step, trainer.step.criteria
    assert criteria.rules == Rules(Terms(0.1, 0.2, 0.3, 0.4, 0.5), 0.61, 0.22, 4, 2, 0.63, 4, 0.2, 0.44)
    assert [len(bank) for bank, _ in criteria._banks.values()] == [3]
    assert step.clip == 3 and isinstance(step.optimizer.rule, AdamW)
    assert (step.optimizer.rule._beta1, step.optimizer.rule._beta2) == (0.7, 0.9)


def test_the_rules_are_followed(configuration, tmp_path):
    """Other thresholds give other targets and other regions."""
    found = []
    for name, settings in (('plain', ()), ('strict', ('losses.match_threshold=0.9', 'losses.roi_bucket=16'))):
        trainer = build_trainer(configuration(*settings), tmp_path / name)
        trainer.log.close()
        label = trainer.loader.make(0).label
        criteria = trainer.step.criteria
        found.append(((criteria.targets(label).classes == 1).sum(), len(criteria.rois(label).mask)))
    (many, rows), (few, more) = found
    assert 0 < few < many and rows % 8 == 0 and more % 16 == 0


@pytest.mark.parametrize(
    'settings, kind, rates',
    [
        (['schedule.name=constant'], Schedule, {0: 0.1, 99: 0.1}),
        (
            ['schedule.name=milestones', 'schedule.milestones=[10, 20]', 'schedule.factor=0.5'],
            Milestones,
            {9: 0.1, 10: 0.05, 20: 0.025},
        ),
        (['schedule.name=cosine', 'schedule.minimum=0'], Cosine, {0: 0.1, 50: 0.05}),
        (
            ['schedule.name=cooldown', 'schedule.cooldown=0.5', 'schedule.minimum=0'],
            Cooldown,
            {49: 0.1, 75: 0.05},
        ),
        (['schedule.name=plateau'], Plateau, {0: 0.1}),
        (['schedule.name=constant', 'schedule.warmup=10'], Schedule, {4: 0.05, 10: 0.1}),
    ],
)
def test_schedules_by_name(configuration, settings, kind, rates):
    schedule = build_schedule(
        configuration('optimizer.learning_rate=0.1', 'training.iterations=100', *settings)
    )
    assert type(schedule) is kind
    assert {iteration: schedule.rate(iteration) for iteration in rates} == pytest.approx(rates, rel=0.03)


def test_the_optimizer_and_what_is_kept(configuration, tmp_path):
    settings = ('optimizer.momentum=0.7', 'optimizer.weight_decay=0.02', 'optimizer.trunk_rate=0.3')
    trainer = build_trainer(
        configuration('optimizer.name=sgd', 'training.keep_every=7', *settings), tmp_path / 'run'
    )
    trainer.log.close()
    optimizer = trainer.step.optimizer
    assert optimizer.rule._momentum == 0.7 and trainer.checkpoints.keep_every == 7
    kernel = [one for one in optimizer.learned if one.parameter.name == 'trunk_conv_1a_conv_weight']
    assert [(one.rate, one.decay) for one in kernel] == [(0.3, 0.02)]


@pytest.mark.parametrize('precision, scaled', [('float32', False), ('float16', True)])
def test_losses_are_scaled_for_float16_alone(configuration, tmp_path, precision, scaled):
    trainer = build_trainer(configuration('training.precision=' + precision), tmp_path / 'run')
    trainer.log.close()
    assert trainer.step.scale.enabled == scaled
