"""What the configuration's numbers become: each arrives where it is used; and what no run begins with."""

import json

import mxnet as mx
import numpy as np
import pytest
from drawn import damaged, write_records

from tools import export
from uniface_mx.config.augmentation import AugmentSettings, RecordShare
from uniface_mx.config.schema import DataConfig
from uniface_mx.data.records import RecordError
from uniface_mx.errors import UnifaceError
from uniface_mx.train import TrainError
from uniface_mx.train.build import build_schedule, open_canvases, teacher_bank
from uniface_mx.train.group import parse_devices
from uniface_mx.train.optimizer import AdamW
from uniface_mx.train.schedule import Cooldown, Cosine, Milestones, Plateau, Schedule

TERMS = ('classification', 'box', 'landmarks', 'mimic', 'contrast')


def test_losses_and_optimizer(build):
    losses = dict(zip(TERMS, (0.1, 0.2, 0.3, 0.4, 0.5)))
    losses.update(match_threshold=0.61, ignore_threshold=0.22, negative_ratio=4, faceless=2)
    losses.update(roi_threshold=0.63, roi_bucket=4)
    losses.update(contrast_temperature=0.2, contrast_nearest=0.44, contrast_bank=3)
    optimizer = {'name': 'adamw', 'momentum': 0.7, 'beta2': 0.9, 'clip_gradient': 3}
    step = build(
        *(f'losses.{key}={value}' for key, value in losses.items()),
        *(f'optimizer.{key}={value}' for key, value in optimizer.items()),
    ).step
    criteria, settings = step.criteria, step.criteria.settings
    assert criteria.weights == (0.1, 0.2, 0.3, 0.4, 0.5)
    assert (settings.match_threshold, settings.ignore_threshold) == (0.61, 0.22)
    assert (settings.roi_threshold, settings.roi_bucket) == (0.63, 4)
    assert (criteria._detection.negative_ratio, criteria._detection.faceless) == (4, 2)
    assert (criteria._contrast.temperature, criteria._contrast.nearest) == (0.2, 0.44)
    assert [len(bank) for bank, _ in criteria._banks.values()] == [3]
    assert step.clip == 3 and isinstance(step.optimizer.rule, AdamW)
    assert (step.optimizer.rule._beta1, step.optimizer.rule._beta2) == (0.7, 0.9)


def test_the_rules_are_followed(build):
    """Other thresholds give other targets and other regions."""
    found = []
    for name, settings in (('plain', ()), ('strict', ('losses.match_threshold=0.9', 'losses.roi_bucket=16'))):
        trainer = build(*settings, run=name)
        label = trainer.loader.make(0).label
        criteria = trainer.step.criteria
        found.append(((criteria.targets(label).classes == 1).sum(), len(criteria.rois(label).mask)))
    (many, rows), (few, more) = found
    assert 0 < few < many and rows % 8 == 0 and more % 16 == 0


@pytest.mark.parametrize(
    'settings, kind, rates',
    [
        (['name=constant'], Schedule, {0: 0.1, 99: 0.1}),
        (['name=milestones', 'milestones=[10, 20]', 'factor=0.5'], Milestones, {9: 0.1, 10: 0.05, 20: 0.025}),
        (['name=cosine', 'minimum=0'], Cosine, {0: 0.1, 50: 0.05}),
        (['name=cooldown', 'cooldown=0.5', 'minimum=0'], Cooldown, {49: 0.1, 75: 0.05}),
        (['name=plateau'], Plateau, {0: 0.1}),
        (['name=constant', 'warmup=10'], Schedule, {4: 0.05, 10: 0.1}),
    ],
)
def test_schedules_by_name(configuration, settings, kind, rates):
    given = [f'schedule.{one}' for one in settings]
    schedule = build_schedule(configuration('optimizer.learning_rate=0.1', 'training.iterations=100', *given))
    assert type(schedule) is kind
    assert {iteration: schedule.rate(iteration) for iteration in rates} == pytest.approx(rates, rel=0.03)


def test_the_optimizer_and_what_is_kept(build):
    settings = ('optimizer.momentum=0.7', 'optimizer.weight_decay=0.02', 'optimizer.trunk_rate=0.3')
    trainer = build('optimizer.name=sgd', 'training.keep_every=7', *settings)
    optimizer = trainer.step.optimizer
    assert optimizer.rule._momentum == 0.7 and trainer.checkpoints.keep_every == 7
    kernel = [one for one in optimizer.learned if one.parameter.name == 'trunk_conv_1a_conv_weight']
    assert [(one.rate, one.decay) for one in kernel] == [(0.3, 0.02)]


@pytest.mark.parametrize('precision, scaled', [('float32', False), ('float16', True)])
def test_losses_are_scaled_for_float16_alone(build, precision, scaled):
    assert build(f'training.precision={precision}').step.scale.enabled == scaled


def test_devices_by_name():
    assert parse_devices(['cpu', 'cpu(1)']) == [mx.cpu(0), mx.cpu(1)]
    with pytest.raises(TrainError):
        parse_devices([])


def test_the_embeddings_begin_at_their_mean(build, records):
    weights = build().weights()
    mean = np.array(json.loads((records / 'faces.json').read_text())['mean_embedding'], np.float32)
    np.testing.assert_array_equal(weights['arg:recognition_embedding_bias'].asnumpy(), mean)
    assert 0 < np.abs(weights['arg:recognition_embedding_weight'].asnumpy()).max() < 0.01


def test_training_begins_with_given_weights(build, tmp_path):
    build('training.iterations=1', run='first').run()
    weights = build(f'training.init={tmp_path / "first" / "last.params"}', run='second').weights()
    stored = mx.nd.load(str(tmp_path / 'first' / 'last.params'))
    assert all((array.asnumpy() == stored[name].asnumpy()).all() for name, array in weights.items())


def test_training_goes_on_from_an_exported_model(build, tmp_path):
    """From its raw embeddings: the mean that the export took away is put back."""
    build('training.iterations=1', run='first').run()
    places = ['--run', str(tmp_path / 'first'), '--out', str(tmp_path)]
    assert export.main([*places, '--checkpoint', 'last', '--name', 'small']) == 0
    stored = mx.nd.load(str(tmp_path / 'first' / 'last.params'))
    for start in ('small', 'small.json', 'small-0000.params'):
        setting = f'training.init={tmp_path / start}'
        for name, array in build(setting, run=f'from {start}').weights().items():
            np.testing.assert_allclose(array.asnumpy(), stored[name].asnumpy(), atol=1e-6, err_msg=name)
    manifest = json.loads((tmp_path / 'small.json').read_text())
    manifest['training']['teachers']['embeddings']['sha256'] = 'c' * 64
    (tmp_path / 'small.json').write_text(json.dumps(manifest))
    for start in ('small', 'small.json', 'small-0000.params'):
        with pytest.raises(UnifaceError, match='cannot be mixed'):
            build(f'training.init={tmp_path / start}', run='refused')


def test_a_damaged_record_leaves_the_bank_as_the_canvases(records, tmp_path):
    """Left out where they leave it out, and otherwise an error."""
    name = damaged(records, tmp_path, 1)

    def bank(skip_bad, name=name):
        data = DataConfig(root='', skip_bad=skip_bad)
        return teacher_bank(open_canvases((RecordShare(name),), data, AugmentSettings.none(), 0, 64), 100, 0)

    assert 0 < len(bank(True)) < len(bank(False, str(records / 'faces')))
    with pytest.raises(RecordError, match='faces'):
        bank(False)


def test_record_sets_of_one_name_are_told_apart(build, tmp_path):
    for folder, faces in (('first', [1]), ('second', [1, 1])):
        (tmp_path / folder).mkdir()
        write_records(tmp_path / folder / 'faces', faces)
    shares = 'data.train=[{path: first/faces}, {path: second/faces}]'
    records = build(f'data.root={tmp_path}', shares).facts['records']
    assert {name: one['records'] for name, one in records.items()} == {'first/faces': 1, 'second/faces': 2}


def test_a_run_that_is_refused_leaves_no_folder(build, tmp_path):
    with pytest.raises(RecordError, match='missing'):
        build('data.validation=[{path: missing}]')
    assert not (tmp_path / 'run').exists()


def test_a_resumption_that_is_refused_changes_nothing(build, tmp_path):
    build('training.iterations=1').run()
    before = {path: path.read_bytes() for path in (tmp_path / 'run').rglob('*') if path.is_file()}
    with pytest.raises(TrainError, match='states of another optimizer'):
        build('training.iterations=2', 'optimizer.name=adamw', resume=True)
    assert {path: path.read_bytes() for path in (tmp_path / 'run').rglob('*') if path.is_file()} == before


def test_no_loss_at_all_is_refused(build):
    with pytest.raises(TrainError, match='losses: all weights are 0'):
        build(*(f'losses.{term}=0' for term in TERMS))
