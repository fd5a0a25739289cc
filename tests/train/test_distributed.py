"""Workers of one run, each a process, through MXNet's parameter server."""

import os
import signal
import subprocess
import sys

import pytest
from drawn import STEADY, UNEVEN, damaged, write_records
from processes import ROOT, finish, rows, start, wait_for_rows

from tools import launch as program
from uniface_mx.train import launch

FIGURES = ('loss', 'classification', 'box', 'landmarks', 'mimic', 'gradient_norm')
SETTINGS = STEADY + ('losses.contrast=0', 'training.iterations=20', 'training.checkpoint_every=1000')


LAUNCH = (sys.executable, str(ROOT / 'tools' / 'launch.py'), '--workers', '2', '--')


def test_two_workers_follow_one_with_the_whole_batch(configuration, tmp_path):
    write_records(tmp_path / 'faces', UNEVEN, seed=3)
    root = f'data.root={tmp_path}'
    finish(start(configuration, tmp_path / 'one', *SETTINGS, root, 'training.batch_size=4'))
    two = ('training.batch_size=2', 'training.kvstore=dist_sync')
    finish(start(configuration, tmp_path / 'two', *SETTINGS, root, *two, launch=LAUNCH))
    expected, found = rows(tmp_path / 'one'), rows(tmp_path / 'two')
    assert len(expected) == len(found) == 20
    for row, other in zip(expected, found):
        assert other['faces'] == row['faces'] and other['canvases'] == row['canvases']
        assert [other[name] for name in FIGURES[:-1]] == pytest.approx(
            [row[name] for name in FIGURES[:-1]], rel=1e-5, abs=1e-5
        )


def test_two_workers_are_stopped_and_go_on(configuration, records, tmp_path):
    """Both save and leave at a signal; damaged records of both are told and counted, once each."""
    damaged(records, tmp_path, 1)
    given = SETTINGS + (
        f'data.root={tmp_path}',
        'data.validation=[{path: faces}]',
        'validation.every=5',
        'training.batch_size=2',
        'training.kvstore=dist_sync',
    )
    run = tmp_path / 'run'
    process = start(configuration, run, *given, 'training.iterations=100000', launch=LAUNCH)
    assert wait_for_rows(process, run, 8)
    process.send_signal(signal.SIGTERM)
    told = finish(process, 3)
    (line,) = [line for line in told.splitlines() if 'saved at iteration' in line]
    iteration = int(line.split('iteration ')[1].split()[0])
    last = f'training.iterations={iteration + 4}'
    told += finish(start(configuration, run, *given, last, resume=True, launch=LAUNCH))
    found = rows(run)
    train = [row for row in found if row['kind'] == 'train']
    assert [row['iteration'] for row in train] == list(range(1, iteration + 5))
    # Of twelve records one is damaged, and four are shown an iteration.
    assert train[-1]['canvases'] == 4 * (iteration + 4)
    assert abs(train[-1]['bad_records'] - (iteration + 4) / 3) < 2
    assert told.count(', record 1: ') - told.count('validation leaves out') == train[-1]['bad_records']
    checked = [row for row in found if row['kind'] == 'validation']
    assert len(checked) >= 2 and all((row['photos'], row['bad_records']) == (11, 1) for row in checked)


def test_a_worker_that_fails_ends_the_run_with_its_status(tmp_path):
    code = 'import os, sys, time; time.sleep(0.5); sys.exit(5)'
    done = subprocess.run(
        LAUNCH + (sys.executable, '-c', code),
        cwd=ROOT,
        timeout=120,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ, PYTHONPATH=str(ROOT)),
    )
    assert done.returncode == 5, done.stderr


def test_a_command_that_cannot_be_started_leaves_no_helper(monkeypatch, capsys):
    started = []

    class Noted(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            started.append(self)

    monkeypatch.setattr(launch, 'SERVE', [sys.executable, '-c', 'import time; time.sleep(60)'])
    monkeypatch.setattr(subprocess, 'Popen', Noted)
    assert program.main(['--workers', '1', '--', 'no-such-command']) == 2
    assert 'no-such-command' in capsys.readouterr().err
    assert len(started) == 2 and all(process.poll() is not None for process in started)


def test_a_distributed_run_without_launcher_says_how(configuration, tmp_path):
    write_records(tmp_path / 'faces', [1])
    told = finish(
        start(configuration, tmp_path / 'run', f'data.root={tmp_path}', 'training.kvstore=dist_sync'), 2
    )
    assert 'tools/launch.py' in told and 'Traceback' not in told
