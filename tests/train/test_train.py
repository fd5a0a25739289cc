"""tools/train.py in this process: errors of use, what a run leaves behind, losses that are not finite."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import yaml
from drawn import TEACHERS, write_records
from processes import arguments, rows

from tools.train import main
from uniface_mx.config.reader import load_config
from uniface_mx.data.rows import EMBEDDING
from uniface_mx.train.step import Step


@pytest.fixture
def run(tmp_path):
    return tmp_path / 'run'


@pytest.fixture
def train(configuration, run):
    """The status of a training by settings and options, in the folder `run`."""
    return lambda *given: main(arguments(configuration, run, *given))


def iterations(run, kind):
    return [row['iteration'] for row in rows(run) if row['kind'] == kind]


def test_a_run_leaves_what_it_was_and_what_it_did(train, run, capsys):
    validation = ('data.validation=[{path: faces}]', 'validation.images=4', 'validation.every=2')
    assert train(*validation, 'validation.batch_size=4', 'training.tensorboard=true') == 0
    assert iterations(run, 'train') == [1, 2, 3, 4] and iterations(run, 'validation') == [2, 4]
    terms = ('classification', 'box', 'landmarks', 'mimic', 'contrast')
    found = [row for row in rows(run, timed=True) if row['kind'] == 'train']
    for row in found:
        assert row['loss'] == pytest.approx(sum(row[name] for name in terms))
        assert {'rate', 'gradient_norm', 'canvases_per_second', 'faces_per_second', 'waiting'} <= set(row)
    assert found[-1]['canvases'] == 16 and found[-1]['faces'] > 0
    checked = next(row for row in rows(run) if row['kind'] == 'validation')
    assert {'average_precision', 'recall', 'cosine', *terms} <= set(checked)
    assert load_config(run / 'config.yaml').training.tensorboard
    (sitting,) = json.loads((run / 'run.json').read_text())['sittings']
    assert sitting['seed'] == 0 and 'commit' in sitting['revision'] and sitting['versions']['mxnet']
    assert set(sitting['records']) == {'faces', 'negatives'}
    assert len(sitting['records']['faces']['sha256']) == 64
    assert list((run / 'tensorboard').iterdir())
    assert (run / 'last.params').is_file() and (run / 'best.params').is_file()
    state = json.loads((run / 'checkpoints' / '00000004' / 'state.json').read_text())['state']
    assert state['teachers'] == TEACHERS and len(state['mean_embedding']) == 128
    shown = capsys.readouterr().err
    assert 'training on 15 photos with 25 faces, 25 of them with an embedding' in shown
    for text in ('cls', 'rate 0.005', 'canvases/s', 'faces/s', 'waiting'):
        assert text in shown


def test_going_on_does_what_was_left(train, run, capsys):
    assert train() == 0
    assert train('--resume', 'training.iterations=6') == 0
    assert iterations(run, 'train') == [1, 2, 3, 4, 5, 6]
    assert 'training.iterations: 4 -> 6' in capsys.readouterr().err
    sittings = json.loads((run / 'run.json').read_text())['sittings']
    assert [sitting['from_iteration'] for sitting in sittings] == [0, 4]
    assert train('--resume', 'training.iterations=5') == 2
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
def test_what_cannot_be_is_told_in_a_line(train, capsys, given, message):
    assert train(*given) == 2
    told = capsys.readouterr().err
    assert re.search(message, told) and 'Traceback' not in told and told.startswith('train: ')


def test_a_folder_that_holds_a_run_is_not_overwritten(train, capsys):
    assert train('training.iterations=1') == 0
    assert train() == 2
    assert '--resume' in capsys.readouterr().err


def test_records_without_embeddings_teach_detection_alone(train, tmp_path, capsys):
    write_records(tmp_path / 'plain', [1, 2, 1], embeddings=False, teachers={})
    common = [f'data.root={tmp_path}', 'data.train=[{path: plain}]', 'training.iterations=1']
    assert train(*common) == 2
    assert 'no record set has embeddings' in capsys.readouterr().err
    assert train(*common, 'losses.mimic=0', 'losses.contrast=0') == 0


def test_another_teacher_is_refused_when_going_on(train, tmp_path, capsys):
    other = {'embeddings': dict(TEACHERS['embeddings'], sha256='b' * 64)}
    write_records(tmp_path / 'faces', [1, 2, 1], teachers=other)
    assert train('training.iterations=1') == 0
    assert train('--resume', f'data.root={tmp_path}', 'data.train=[{path: faces}]') == 2
    assert 'cannot be mixed' in capsys.readouterr().err


def test_print_config_prints_what_would_run(train, run, capsys):
    assert train('--print-config', '--on-nan', 'skip', '--init', 'x.params') == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed['training']['on_nan'] == 'skip' and printed['training']['init'] == 'x.params'
    assert printed['model']['name'] == 'uniface_a_lite' and printed['optimizer']['momentum'] == 0.9
    assert not run.exists()


@pytest.fixture
def poisoned(monkeypatch):
    """Lets labels of given positions hold an embedding that is no number."""
    positions, make = set(), Step.__call__
    seen = [0]

    def call_step(self, batch, rate, predicted):
        if seen[0] in positions:
            batch.label[..., EMBEDDING] = np.inf
        seen[0] += 1
        return make(self, batch, rate, predicted)

    monkeypatch.setattr(Step, '__call__', call_step)
    return positions


def test_a_loss_that_is_not_finite_stops_the_run(train, run, capsys, poisoned):
    poisoned.add(2)
    assert train('data.train=[{path: faces}]', 'augmentation.mosaic=0') == 2
    told = capsys.readouterr().err
    for text in ('the loss of iteration 3 is not finite', 'mimic', 'classification', 'record'):
        assert text in told
    kept = json.loads((run / 'not_finite' / '00000003.0.json').read_text())
    assert len(kept['keys']) == 4 and all('faces.rec, record' in key for keys in kept['keys'] for key in keys)
    assert set(kept['terms']) == {'classification', 'box', 'landmarks', 'mimic', 'contrast'}
    assert iterations(run, 'train') == [1, 2]


def test_skipping_counts_and_gives_up(train, run, capsys, poisoned):
    poisoned.update((1, 3, 4))
    common = ('data.train=[{path: faces}]', 'augmentation.mosaic=0', 'training.iterations=8')
    assert train('--on-nan', 'skip', *common, 'training.nan_limit=2') == 2
    assert 'step 3 that was skipped, training.nan_limit is 2' in capsys.readouterr().err
    found = rows(run)
    assert [row['skipped'] for row in found] == [0, 1, 1, 2]
    assert found[1]['loss'] is None and found[2]['loss'] is not None


@pytest.mark.parametrize('letter', 'abcd')
def test_the_papers_four_differ_in_nothing_but_the_model(letter):
    one, paper = load_config('model_' + letter), load_config('paper')
    assert one.model.name == 'uniface_' + letter and one.model.overrides() == {}
    assert replace(one, model=paper.model) == paper


def test_the_papers_settings():
    paper = load_config('paper')
    assert (paper.optimizer.name, paper.optimizer.learning_rate) == ('sgd', 0.1)
    assert (paper.schedule.name, paper.schedule.factor) == ('plateau', 0.1)
    assert (paper.training.batch_size, paper.training.iterations) == (32, 120000)
    assert (paper.losses.contrast, paper.model.name) == (0, 'uniface_a')
    assert load_config('fddb').losses.mimic == 0


def test_smoke_runs_as_it_ships(records, run):
    sets = (f'data.root={records}', 'data.train=[{path: faces}]', 'data.validation=[{path: faces}]')
    assert main(['--config', 'smoke', '--out', str(run), *(f'--set={one}' for one in sets)]) == 0
    assert iterations(run, 'train') == [2, 4, 6] and iterations(run, 'validation') == [3, 6]


def test_a_few_photos_are_learned(train, run, tmp_path):
    write_records(tmp_path / 'few', [2, 1], seed=5)
    plain = vars(load_config('overfit').augmentation)
    status = train(
        f'data.root={tmp_path}', 'data.train=[{path: few}]',
        'training.iterations=60', 'training.batch_size=2', 'training.checkpoint_every=60',
        'optimizer.name=adamw', 'optimizer.learning_rate=0.004', 'optimizer.weight_decay=0',
        'losses.contrast=0', 'losses.roi_source=ground_truth',
        'schedule.name=cosine', 'schedule.warmup=5',
        *(f'augmentation.{key}={value}' for key, value in plain.items() if isinstance(value, float)),
    )  # fmt: skip
    assert status == 0
    found = rows(run)
    for term in ('classification', 'box', 'landmarks'):
        assert found[-1][term] < 0.4 * found[0][term], term
    assert found[-1]['mimic'] < found[0]['mimic']
