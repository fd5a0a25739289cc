"""Runs that are killed, stopped, or not finite, as processes of their own."""

import random
import signal
import time

import numpy as np
import pytest
from drawn import write_records
from processes import finish, rows, start, wait_for_rows

from uniface_mx.data.records import load_meta

SETTINGS = (
    'training.iterations=28',
    'training.batch_size=2',
    'training.checkpoint_every=2',
    'validation.every=4',
    'data.validation=[{path: faces}]',
    'validation.images=2',
    'validation.batch_size=2',
    'schedule.name=plateau',
    'schedule.window=2',
    'schedule.patience=1',
    'schedule.improvement=0.2',
    'losses.roi_warmup=3',
)


def test_five_kills_change_not_a_bit(configuration, tmp_path):
    finish(start(configuration, tmp_path / 'whole', *SETTINGS))
    expected = rows(tmp_path / 'whole')
    assert [row['iteration'] for row in expected if row['kind'] == 'train'] == list(range(1, 29))
    assert len({row['rate'] for row in expected if row['kind'] == 'train'}) > 1

    moments, run = random.Random(0), tmp_path / 'killed'
    threshold = 0
    for _ in range(5):
        threshold += moments.choice((1, 2, 3))
        process = start(configuration, run, *SETTINGS, resume=True)
        assert wait_for_rows(process, run, threshold)
        time.sleep(moments.random() * 0.3)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        # What the next one goes on from.
        threshold = max([int(path.name) for path in (run / 'checkpoints').glob('0*')], default=0)
    finish(start(configuration, run, *SETTINGS, resume=True))
    assert rows(run) == expected
    whole, killed = (run_folder / 'checkpoints' / '00000028' for run_folder in (tmp_path / 'whole', run))
    for name in ('weights.params', 'optimizer.params'):
        assert (whole / name).read_bytes() == (killed / name).read_bytes()


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_leaves(configuration, tmp_path, number):
    run = tmp_path / 'run'
    long = ('training.iterations=100000', 'training.checkpoint_every=100000')
    process = start(configuration, run, 'training.batch_size=2', *long)
    assert wait_for_rows(process, run, 2)
    process.send_signal(number)
    told = finish(process, 3)
    (line,) = [line for line in told.splitlines() if '--resume' in line]
    assert signal.Signals(number).name in line and 'saved at iteration' in line
    iteration = int(line.split('iteration ')[1].split()[0])
    assert rows(run)[-1]['iteration'] == iteration
    assert (run / 'checkpoints' / f'{iteration:08d}' / 'state.json').is_file()
    assert 'Traceback' not in told


@pytest.mark.parametrize('rule', ['sgd', 'adamw'])
def test_two_sittings_are_one(build, rule):
    def sit(name, iterations):
        given = (f'optimizer.name={rule}', f'training.iterations={iterations}', 'training.batch_size=1')
        trainer = build(*given, run=name, resume=True)
        trainer.run()
        return {key: array.asnumpy() for key, array in trainer.weights().items()}

    whole = sit('whole', 4)
    sit('halves', 2)
    halves = sit('halves', 4)
    assert all(np.array_equal(whole[key], halves[key]) for key in whole)


def test_what_else_a_run_goes_on_with(build, tmp_path):
    trainer = build('training.iterations=1', 'training.batch_size=1')
    trainer.not_finite, trainer.step.scale.value, trainer.step.scale.good = 3, 512.0, 7
    trainer.run()
    write_records(tmp_path / 'faces', [1, 2], seed=9)
    given = ('training.iterations=2', f'data.root={tmp_path}', 'data.train=[{path: faces}]')
    other = build(*given, resume=True)
    assert (other.not_finite, other.step.scale.value, other.step.scale.good) == (3, 512.0, 7)
    mean = trainer.facts['mean_embedding']
    assert other.facts['mean_embedding'] == mean != load_meta(tmp_path / 'faces').mean_embedding
