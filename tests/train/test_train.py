"""tools/train.py in this process: errors of use, what a run leaves behind, losses that are not finite."""

import json
import re
import signal
from dataclasses import replace

import mxnet as mx
import numpy as np
import pytest
import yaml
from drawn import TEACHERS, damaged, write_records
from loading import load_tool

from tools import export
from tools.train import main
from uniface_mx.config.augmentation import AugmentSettings, RecordShare
from uniface_mx.config.reader import load_config
from uniface_mx.data.records import RecordError
from uniface_mx.data.rows import EMBEDDING
from uniface_mx.errors import UnifaceError
from uniface_mx.train import overfit
from uniface_mx.train import step as step_module
from uniface_mx.train.build import build_trainer, open_canvases, teacher_bank
from uniface_mx.train.errors import TrainError
from uniface_mx.train.group import parse_devices
from uniface_mx.train.log import Log
from uniface_mx.train.result import load_run
from uniface_mx.train.step import Step
from uniface_mx.train.trainer import Interrupt


def call(configuration, run, *arguments):
    return main(['--config', str(configuration.path), '--out', str(run), *arguments])


def settings(*values):
    return [word for value in values for word in ('--set', value)]


def rows(run):
    return [json.loads(line) for line in (run / 'metrics.jsonl').read_text().splitlines()]


def test_a_run_leaves_what_it_was_and_what_it_did(configuration, tmp_path, capsys):
    run = tmp_path / 'run'
    assert (
        call(
            configuration,
            run,
            *settings(
                'data.validation=[{path: faces}]',
                'validation.images=4',
                'validation.every=2',
                'validation.batch_size=4',
                'training.tensorboard=true',
            ),
        )
        == 0
    )
    train, validation = (
        [row for row in rows(run) if row['kind'] == kind] for kind in ('train', 'validation')
    )
    assert [row['iteration'] for row in train] == [1, 2, 3, 4] and [
        row['iteration'] for row in validation
    ] == [2, 4]
    terms = ('classification', 'box', 'landmarks', 'mimic', 'contrast')
    for row in train:
        assert row['loss'] == pytest.approx(sum(row[name] for name in terms))
        assert {'rate', 'gradient_norm', 'canvases_per_second', 'faces_per_second', 'waiting'} <= set(row)
    assert train[-1]['canvases'] == 16 and train[-1]['faces'] > 0
    assert {'average_precision', 'recall', 'cosine', *terms} <= set(validation[0])
    assert load_config(run / 'config.yaml').training.tensorboard
    (sitting,) = json.loads((run / 'run.json').read_text())['sittings']
    assert sitting['seed'] == 0 and 'commit' in sitting['revision'] and sitting['versions']['mxnet']
    assert (
        set(sitting['records']) == {'faces', 'negatives'} and len(sitting['records']['faces']['sha256']) == 64
    )
    assert (
        list((run / 'tensorboard').iterdir())
        and (run / 'last.params').is_file()
        and (run / 'best.params').is_file()
    )
    state = json.loads((run / 'checkpoints' / '00000004' / 'state.json').read_text())['state']
    assert state['teachers'] == TEACHERS and len(state['mean_embedding']) == 128
    shown = capsys.readouterr().err
    assert 'training on 15 photos with 25 faces, 25 of them with an embedding' in shown
    assert (
        'cls' in shown
        and 'rate 0.005' in shown
        and 'canvases/s' in shown
        and 'faces/s' in shown
        and 'waiting' in shown
    )


def test_going_on_does_what_was_left(configuration, tmp_path, capsys):
    run = tmp_path / 'run'
    assert call(configuration, run) == 0
    assert call(configuration, run, '--resume', *settings('training.iterations=6')) == 0
    assert [row['iteration'] for row in rows(run)] == [1, 2, 3, 4, 5, 6]
    assert 'training.iterations: 4 -> 6' in capsys.readouterr().err
    assert [
        sitting['from_iteration'] for sitting in json.loads((run / 'run.json').read_text())['sittings']
    ] == [0, 4]
    assert call(configuration, run, '--resume', *settings('training.iterations=5')) == 2
    assert re.search('training.iterations: is 5, but .*run stands at iteration 6', capsys.readouterr().err)


@pytest.mark.parametrize(
    'given, message',
    [
        (['optimizer.learning_rat=1'], 'did you mean optimizer.learning_rate'),
        (['training.iterations=many'], 'training.iterations must be a whole number'),
        (['training.batch_size=3', 'training.accumulate=2'], 'training.batch_size: 3 is not a multiple of 2'),
        (['training.devices=[tpu]'], "'tpu' is no device"),
        (['training.devices=[gpu(7)]'], 'there is no gpu\\(7\\)'),
        (['training.devices=[cpu, cpu(0)]'], 'each once'),
        (['data.train=[]'], 'names no record set'),
        (['data.train=[{path: no_such_set}]'], 'no_such_set'),
        (['optimizer.frozen=[trunc_*]'], 'fits no parameter'),
        (['optimizer.name=adamw', 'optimizer.momentum=1'], 'optimizer.momentum must be 0 to 0.9999'),
        (['model.name=uniface_e'], 'unknown model'),
        (['training.init=no_such_weights'], 'no_such_weights.json: no such manifest'),
        (['training.backbone=no_such_file.params'], 'no_such_file'),
        (['training.kvstore=dist_sync'], 'tools/launch.py'),
    ],
)
def test_what_cannot_be_is_told_in_a_line(configuration, tmp_path, capsys, given, message):
    assert call(configuration, tmp_path / 'run', *settings(*given)) == 2
    told = capsys.readouterr().err
    assert re.search(message, told) and 'Traceback' not in told and told.startswith('train: ')


def test_a_folder_that_holds_a_run_is_not_overwritten(configuration, tmp_path, capsys):
    assert call(configuration, tmp_path / 'run', *settings('training.iterations=1')) == 0
    assert call(configuration, tmp_path / 'run') == 2
    assert '--resume' in capsys.readouterr().err


def test_records_without_embeddings_teach_detection_alone(configuration, tmp_path, capsys):
    write_records(tmp_path / 'plain', [1, 2, 1], embeddings=False, teachers={})
    common = [f'data.root={tmp_path}', 'data.train=[{path: plain}]', 'training.iterations=1']
    assert call(configuration, tmp_path / 'run', *settings(*common)) == 2
    assert 'no record set has embeddings' in capsys.readouterr().err
    assert (
        call(configuration, tmp_path / 'run', *settings(*common, 'losses.mimic=0', 'losses.contrast=0')) == 0
    )


def test_another_teacher_is_refused_when_going_on(configuration, tmp_path, capsys):
    other = {'embeddings': dict(TEACHERS['embeddings'], sha256='b' * 64)}
    write_records(tmp_path / 'faces', [1, 2, 1], teachers=other)
    assert call(configuration, tmp_path / 'run', *settings('training.iterations=1')) == 0
    assert (
        call(
            configuration,
            tmp_path / 'run',
            '--resume',
            *settings(f'data.root={tmp_path}', 'data.train=[{path: faces}]'),
        )
        == 2
    )
    assert 'cannot be mixed' in capsys.readouterr().err


def test_print_config_prints_what_would_run(configuration, capsys):
    assert call(configuration, 'unused', '--print-config', '--on-nan', 'skip', '--init', 'x.params') == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed['training']['on_nan'] == 'skip' and printed['training']['init'] == 'x.params'
    assert printed['model']['name'] == 'uniface_a_lite' and printed['optimizer']['momentum'] == 0.9


@pytest.fixture
def poisoned(monkeypatch):
    """Lets labels of given positions hold an embedding that is no number."""
    positions, make = set(), step_module.Step.__call__
    seen = [0]

    def call_step(self, batch, rate, predicted):
        if seen[0] in positions:
            batch.label[..., EMBEDDING] = np.inf
        seen[0] += 1
        return make(self, batch, rate, predicted)

    monkeypatch.setattr(step_module.Step, '__call__', call_step)
    return positions


def test_a_loss_that_is_not_finite_stops_the_run(configuration, tmp_path, capsys, poisoned):
    poisoned.add(2)
    run = tmp_path / 'run'
    assert call(configuration, run, *settings('data.train=[{path: faces}]', 'augmentation.mosaic=0')) == 2
    told = capsys.readouterr().err
    assert (
        'the loss of iteration 3 is not finite' in told
        and 'mimic' in told
        and 'classification' in told
        and 'record' in told
    )
    kept = json.loads((run / 'not_finite' / '00000003.0.json').read_text())
    assert len(kept['keys']) == 4 and all('faces.rec, record' in key for keys in kept['keys'] for key in keys)
    assert set(kept['terms']) == {'classification', 'box', 'landmarks', 'mimic', 'contrast'}
    assert [row['iteration'] for row in rows(run)] == [1, 2]


def test_skipping_counts_and_gives_up(configuration, tmp_path, capsys, poisoned):
    poisoned.update((1, 3, 4))
    run = tmp_path / 'run'
    common = (
        'data.train=[{path: faces}]',
        'augmentation.mosaic=0',
        'training.nan_limit=2',
        'training.iterations=8',
    )
    assert call(configuration, run, '--on-nan', 'skip', *settings(*common)) == 2
    assert 'step 3 that was skipped, training.nan_limit is 2' in capsys.readouterr().err
    found = rows(run)
    assert (
        [row['skipped'] for row in found] == [0, 1, 1, 2]
        and found[1]['loss'] is None
        and found[2]['loss'] is not None
    )


def test_training_begins_with_given_weights(configuration, tmp_path):
    call(configuration, tmp_path / 'first', *settings('training.iterations=1'))
    trainer = build_trainer(
        configuration(f'training.init={tmp_path / "first" / "last.params"}'), tmp_path / 'second'
    )
    stored = mx.nd.load(str(tmp_path / 'first' / 'last.params'))
    assert all((array.asnumpy() == stored[name].asnumpy()).all() for name, array in trainer.weights().items())
    trainer.log.close()


@pytest.mark.parametrize('start', ['small', 'small.json', 'small-0000.params'])
def test_training_goes_on_from_an_exported_model(configuration, tmp_path, start):
    """From its raw embeddings: the mean that the export took away is put back."""
    call(configuration, tmp_path / 'first', *settings('training.iterations=1'))
    arguments = [
        '--run',
        str(tmp_path / 'first'),
        '--checkpoint',
        'last',
        '--out',
        str(tmp_path),
        '--name',
        'small',
    ]
    assert export.main(arguments) == 0
    setting = f'training.init={tmp_path / start}'
    trainer = build_trainer(configuration(setting), tmp_path / 'second')
    stored = mx.nd.load(str(tmp_path / 'first' / 'last.params'))
    for name, array in trainer.weights().items():
        np.testing.assert_allclose(array.asnumpy(), stored[name].asnumpy(), atol=1e-6, err_msg=name)
    trainer.log.close()
    manifest = json.loads((tmp_path / 'small.json').read_text())
    manifest['training']['teachers']['embeddings']['sha256'] = 'c' * 64
    (tmp_path / 'small.json').write_text(json.dumps(manifest))
    with pytest.raises(UnifaceError, match='cannot be mixed'):
        build_trainer(configuration(setting), tmp_path / 'third')


def test_a_damaged_record_leaves_the_bank_as_the_canvases(records, tmp_path):
    """Left out where they leave it out, and otherwise an error."""
    name = damaged(records, tmp_path, 1)

    def bank(skip_bad, name=name):
        return teacher_bank(
            open_canvases((RecordShare(name),), '', AugmentSettings.none(), 0, 64, skip_bad), 100, 0
        )

    assert 0 < len(bank(True)) < len(bank(False, str(records / 'faces')))
    with pytest.raises(RecordError, match='faces'):
        bank(False)


def test_record_sets_of_one_name_are_told_apart(configuration, tmp_path):
    for folder, faces in (('first', [1]), ('second', [1, 1])):
        (tmp_path / folder).mkdir()
        write_records(tmp_path / folder / 'faces', faces)
    shares = 'data.train=[{path: first/faces}, {path: second/faces}]'
    trainer = build_trainer(configuration(f'data.root={tmp_path}', shares), tmp_path / 'run')
    trainer.log.close()
    assert {name: one['records'] for name, one in trainer.facts['records'].items()} == {
        'first/faces': 1,
        'second/faces': 2,
    }


def test_a_validation_does_not_depend_on_its_batches(configuration, tmp_path):
    """Twelve photos in batches of 4, 5 and 32: what fills up the last one counts for nothing."""
    figures = []
    for size in (4, 5, 32):
        given = ('data.validation=[{path: faces}]', 'validation.batch_size=%d' % size)
        trainer = build_trainer(configuration(*given), tmp_path / str(size))
        figures.append(trainer.validate())
        trainer.log.close()
    assert figures[0]['loss'] > 0 and figures[0]['photos'] == 12
    for other in figures[1:]:
        assert other == pytest.approx(figures[0], rel=1e-4)


def test_a_damaged_record_counts_for_nothing_in_a_validation(configuration, records, tmp_path, capsys):
    """The first of twelve photos is damaged: the figures are those of the other eleven."""
    damaged(records, tmp_path, 0)
    write_records(tmp_path / 'first', [1])

    def figures(size, path):
        given = (f'data.validation=[{{path: {path}}}]', 'validation.batch_size=%d' % size)
        trainer = build_trainer(configuration(*given), tmp_path / 'run')
        trainer.log.close()
        return trainer.validate()

    whole, first = figures(1, records / 'faces'), figures(1, tmp_path / 'first')
    one, five = figures(1, tmp_path / 'faces'), figures(5, tmp_path / 'faces')
    assert (whole['photos'], whole['bad_records']) == (12, 0)
    assert (one['photos'], one['bad_records']) == (11, 1) and one['faces'] == whole['faces'] - first['faces']
    assert five == pytest.approx(one, rel=1e-4)
    assert re.search(r'validation leaves out: .*faces\.rec, record 0', capsys.readouterr().err)


def test_a_validation_of_damaged_records_alone(configuration, tmp_path):
    (tmp_path / 'whole').mkdir()
    write_records(tmp_path / 'whole' / 'faces', [1])
    damaged(tmp_path / 'whole', tmp_path, 0)
    trainer = build_trainer(
        configuration('data.validation=[{path: %s}]' % (tmp_path / 'faces')), tmp_path / 'run'
    )
    trainer.log.close()
    with pytest.raises(TrainError, match='all of its records are damaged'):
        trainer.validate()


def test_a_validation_by_another_teacher_is_refused(configuration, tmp_path):
    other = {'embeddings': dict(TEACHERS['embeddings'], version='2')}
    write_records(tmp_path / 'other', [1], teachers=other)
    with pytest.raises(RecordError, match='other.*cannot be mixed'):
        build_trainer(configuration('data.validation=[{path: %s}]' % (tmp_path / 'other')), tmp_path / 'run')


@pytest.mark.parametrize(
    'figure, values, chosen', [('cosine', (0.3, 0.5, 0.4), 2), ('loss', (3.0, 5.0, 2.0), 3)]
)
def test_the_best_checkpoint(configuration, tmp_path, monkeypatch, figure, values, chosen):
    def train(iterations, figure, *told):
        given = ('data.validation=[{path: faces}]', 'validation.every=1', 'validation.best=' + figure)
        steps = (
            'training.iterations=%d' % iterations,
            'training.checkpoint_every=100',
            'training.batch_size=1',
        )
        trainer = build_trainer(configuration(*given, *steps), tmp_path / 'run', resume=True)
        told = iter(told)
        trainer.validate = lambda: {figure: next(told)}
        assert trainer.run()
        trainer.log.close()
        return trainer.best

    assert train(3, figure, *values) == {'iteration': chosen, 'value': values[chosen - 1]}
    assert load_run(tmp_path / 'run', 'best').details['training']['iteration'] == chosen
    # Worse than the best so far, and better than nothing by another measure.
    assert train(4, figure, {'cosine': 0.2, 'loss': 9.0}[figure])['iteration'] == chosen
    assert train(5, 'recall', 0.1) == {'iteration': 5, 'value': 0.1}


@pytest.mark.parametrize(
    'best, setting, counts',
    [
        ('loss', 'losses.box=0.5', False),
        ('cosine', 'losses.box=0.5', True),
        ('cosine', 'losses.roi_source=ground_truth', False),
    ],
)
def test_a_best_figure_counts_as_long_as_it_means_the_same(configuration, tmp_path, best, setting, counts):
    given = ('data.validation=[{path: faces}]', 'validation.best=' + best, 'training.iterations=1')
    trainer = build_trainer(configuration(*given), tmp_path / 'run')
    trainer.validate = lambda: {best: 0.5}
    trainer.run()
    trainer.log.close()
    given = (*given[:2], 'training.iterations=2', setting)
    trainer = build_trainer(configuration(*given), tmp_path / 'run', resume=True)
    trainer.log.close()
    assert trainer.best == ({'iteration': 1, 'value': 0.5} if counts else {'iteration': None, 'value': None})


def test_a_run_that_is_refused_leaves_no_folder(configuration, tmp_path):
    with pytest.raises(RecordError, match='missing'):
        build_trainer(configuration('data.validation=[{path: missing}]'), tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_a_resumption_that_is_refused_changes_nothing(configuration, tmp_path):
    trainer = build_trainer(configuration('training.iterations=1'), tmp_path / 'run')
    trainer.run()
    trainer.log.close()
    before = {path: path.read_bytes() for path in (tmp_path / 'run').rglob('*') if path.is_file()}
    with pytest.raises(TrainError, match='states of another optimizer'):
        build_trainer(
            configuration('training.iterations=2', 'optimizer.name=adamw'), tmp_path / 'run', resume=True
        )
    assert {path: path.read_bytes() for path in (tmp_path / 'run').rglob('*') if path.is_file()} == before


def test_no_loss_at_all_is_refused(configuration, tmp_path):
    terms = ('classification', 'box', 'landmarks', 'mimic', 'contrast')
    with pytest.raises(TrainError, match='losses: all weights are 0'):
        build_trainer(configuration(*(f'losses.{term}=0' for term in terms)), tmp_path / 'run')


def test_figures_that_find_no_room(configuration, tmp_path):
    trainer = build_trainer(configuration('training.iterations=1'), tmp_path / 'run')

    class Full:
        def write(self, text):
            raise OSError(28, 'No space left on device')

    trainer.log._file.close()
    trainer.log._file = Full()
    with pytest.raises(
        TrainError, match=r'metrics\.jsonl: cannot be written \(No space left on device\); make room'
    ):
        trainer.log.row('train', 1, {'loss': 1.0})


def test_what_overfit_says(configuration, records, tmp_path, capsys):
    arguments = ['--records', str(records / 'faces'), '--count', '2', '--out', str(tmp_path / 'run')]
    model = yaml.safe_load(configuration.path.read_text())['model']
    small = settings(
        *(f'model.{key}={value}' for key, value in model.items()),
        'training.iterations=2', 'training.batch_size=1', 'training.precision=float32',
    )  # fmt: skip
    assert load_tool('overfit').main(arguments + small) == 1
    shown = capsys.readouterr().out
    assert shown.endswith('failed: the limit is 5%, and every face\n') and 'mimic loss' in shown
    assert load_tool('overfit').main(arguments + small) == 2
    assert 'run: holds a finished run' in capsys.readouterr().err


def test_overfit_passes_where_every_term_fell(tmp_path):
    first = {
        'kind': 'train',
        'iteration': 1,
        'classification': 1.0,
        'box': 1.0,
        'landmarks': 2.0,
        'mimic': 0.5,
    }
    last = {
        'kind': 'train',
        'iteration': 9,
        'classification': 0.04,
        'box': 0.03,
        'landmarks': 0.02,
        'mimic': 0.01,
    }

    def passed(recall=1.0, variance=0.3, **changes):
        rows = [first, dict(last, **changes), {'kind': 'validation', 'iteration': 9, 'recall': recall}]
        (tmp_path / 'metrics.jsonl').write_text('\n'.join(map(json.dumps, rows)))
        return overfit.figures(tmp_path, variance)

    found = passed()
    assert found['passed'] and found['parts'] == {
        'classification': 0.04,
        'box': 0.03,
        'landmarks': 0.01,
        'mimic': 0.02,
    }
    assert not passed(recall=0.99)['passed'] and not passed(box=0.06)['passed']
    assert not passed(variance=0.1)['passed']


def test_the_embeddings_begin_at_their_mean(configuration, tmp_path, records):
    trainer = build_trainer(configuration(), tmp_path / 'run')
    mean = np.array(json.loads((records / 'faces.json').read_text())['mean_embedding'], np.float32)
    weights = trainer.weights()
    np.testing.assert_array_equal(weights['arg:recognition_embedding_bias'].asnumpy(), mean)
    assert 0 < np.abs(weights['arg:recognition_embedding_weight'].asnumpy()).max() < 0.01
    trainer.log.close()


def test_equal_seeds_begin_equally_and_others_do_not(configuration, tmp_path):
    weights, batches = [], []
    for name, seed in (('a', 1), ('b', 1), ('c', 2)):
        trainer = build_trainer(configuration(f'training.seed={seed}'), tmp_path / name)
        weights.append(trainer.weights()['arg:heads_level0_weight'].asnumpy())
        batches.append(trainer.loader.make(0))
        trainer.log.close()
    assert (weights[0] == weights[1]).all() and (weights[0] != weights[2]).any()
    assert batches[0].keys == batches[1].keys and (batches[0].data == batches[1].data).all()
    assert batches[0].keys != batches[2].keys


def test_rows_behind_the_checkpoint_go_and_cut_lines_too(tmp_path):
    (tmp_path / 'metrics.jsonl').write_text(
        '{"kind": "train", "iteration": 1}\n{"kind": "train", "iteration": 2}\n'
        '{"kind": "train", "iteration": 3}\n{"kind": "tra'
    )
    log = Log(tmp_path, 2, 5, tensorboard=False)
    log.row('train', 3, {'loss': 0.5, 'nothing': None, 'infinite': float('inf')})
    log.close()
    assert rows(tmp_path) == [
        {'kind': 'train', 'iteration': 1},
        {'kind': 'train', 'iteration': 2},
        {'kind': 'train', 'iteration': 3, 'loss': 0.5, 'nothing': None, 'infinite': None},
    ]


def test_devices_by_name():
    assert parse_devices(['cpu', 'cpu(1)']) == [mx.cpu(0), mx.cpu(1)]
    with pytest.raises(TrainError):
        parse_devices([])


@pytest.mark.parametrize('letter', 'abcd')
def test_the_papers_four_differ_in_nothing_but_the_model(letter):
    one, paper = load_config('model_' + letter), load_config('paper')
    assert one.model.name == 'uniface_' + letter and one.model.overrides() == {}
    assert replace(one, model=paper.model) == paper


def test_the_papers_settings():
    paper = load_config('paper')
    assert (
        paper.optimizer.name,
        paper.optimizer.learning_rate,
        paper.schedule.name,
        paper.schedule.factor,
    ) == ('sgd', 0.1, 'plateau', 0.1)
    assert (
        paper.training.batch_size,
        paper.training.iterations,
        paper.losses.contrast,
        paper.model.name,
    ) == (32, 120000, 0, 'uniface_a')
    assert load_config('fddb').losses.mimic == 0


def test_smoke_runs_as_it_ships(records, tmp_path):
    run = tmp_path / 'smoke'
    assert (
        main(
            [
                '--config',
                'smoke',
                '--out',
                str(run),
                *settings(
                    f'data.root={records}', 'data.train=[{path: faces}]', 'data.validation=[{path: faces}]'
                ),
            ]
        )
        == 0
    )
    found = rows(run)
    assert [row['iteration'] for row in found if row['kind'] == 'train'] == [2, 4, 6]
    assert [row['iteration'] for row in found if row['kind'] == 'validation'] == [3, 6]


def test_a_few_photos_are_learned(configuration, tmp_path):
    write_records(tmp_path / 'few', [2, 1], seed=5)
    plain = load_config('overfit').augmentation
    run = tmp_path / 'run'
    assert (
        call(
            configuration,
            run,
            *settings(
                f'data.root={tmp_path}',
                'data.train=[{path: few}]',
                'training.iterations=60',
                'training.batch_size=2',
                'training.checkpoint_every=60',
                'optimizer.name=adamw',
                'optimizer.learning_rate=0.004',
                'optimizer.weight_decay=0',
                'losses.contrast=0',
                'losses.roi_source=ground_truth',
                'schedule.name=cosine',
                'schedule.warmup=5',
                *(
                    f'augmentation.{key}={value}'
                    for key, value in vars(plain).items()
                    if isinstance(value, float)
                ),
            ),
        )
        == 0
    )
    found = rows(run)
    for term in ('classification', 'box', 'landmarks'):
        assert found[-1][term] < 0.4 * found[0][term], term
    assert found[-1]['mimic'] < found[0]['mimic']


@pytest.mark.parametrize(
    'settings, expected',
    [
        ((), [True] * 3),
        (('losses.roi_warmup=2',), [False, False, True]),
        (('losses.roi_source=ground_truth', 'losses.roi_warmup=2'), [False] * 3),
    ],
)
def test_whose_regions_are_taught(configuration, tmp_path, monkeypatch, settings, expected):
    asked, call = [], Step.__call__

    def noted(self, batch, rate, predicted):
        asked.append(predicted)
        return call(self, batch, rate, predicted)

    monkeypatch.setattr(Step, '__call__', noted)
    trainer = build_trainer(
        configuration('training.iterations=3', 'training.batch_size=1', *settings), tmp_path / 'run'
    )
    trainer.run()
    trainer.log.close()
    assert asked == expected


def test_predicted_regions_are_the_predictions(configuration, tmp_path):
    """Heads of zeros predict the anchors, the largest with more confidence."""
    terms = []
    for predicted in (False, True):
        settings = ('data.train=[{path: faces}]', 'losses.contrast=0')
        trainer = build_trainer(configuration(*settings), tmp_path / str(predicted))
        trainer.log.close()
        for name, array in trainer.weights().items():
            if 'heads_' in name:
                array[:] = 0
            if 'heads_level' in name and name.endswith('_bias') and int(name[len('arg:heads_level')]) > 1:
                array[1::16] = 1
        trainer.weights()['arg:recognition_embedding_weight'][:] *= 100
        terms.append(trainer.step(trainer.loader.make(0), 0.0, predicted).terms)
    assert terms[0].box == terms[1].box and terms[0].mimic != pytest.approx(terms[1].mimic, rel=1e-3)


def test_a_second_signal_does_not_wait():
    with Interrupt() as interrupt:
        signal.raise_signal(signal.SIGTERM)
        assert interrupt.name == 'SIGTERM'
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
