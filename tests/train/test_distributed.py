"""Workers of one run, each a process, through MXNet's parameter server."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from drawn import STEADY, UNEVEN, write_records

from uniface_mx.train import launch

ROOT = Path(__file__).resolve().parents[2]
FIGURES = ('loss', 'classification', 'box', 'landmarks', 'mimic', 'gradient_norm')
SETTINGS = STEADY + (
    'losses.contrast=0',
    'training.iterations=20',
    'training.checkpoint_every=1000',
)


def run(configuration, folder, *settings, launch=()):
    command = list(launch) + [
        sys.executable,
        str(ROOT / 'tools' / 'train.py'),
        '--config',
        str(configuration.path),
        '--out',
        str(folder),
    ]
    for setting in SETTINGS + settings:
        command += ['--set', setting]
    return subprocess.run(
        command,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        timeout=400,
        env=dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1'),
    )


LAUNCH = (sys.executable, '-m', 'uniface_mx.train.launch', '--workers', '2', '--')


def rows(folder):
    return [json.loads(line) for line in (folder / 'metrics.jsonl').read_text().splitlines()]


def test_two_workers_follow_one_with_the_whole_batch(configuration, tmp_path):
    write_records(tmp_path / 'faces', UNEVEN, seed=3)
    root = 'data.root={}'.format(tmp_path)
    one = run(configuration, tmp_path / 'one', root, 'training.batch_size=4')
    assert one.returncode == 0, one.stderr
    two = run(
        configuration,
        tmp_path / 'two',
        root,
        'training.batch_size=2',
        'training.kvstore=dist_sync',
        launch=LAUNCH,
    )
    assert two.returncode == 0, two.stderr
    expected, found = rows(tmp_path / 'one'), rows(tmp_path / 'two')
    assert len(expected) == len(found) == 20
    for row, other in zip(expected, found):
        assert other['faces'] == row['faces'] and other['canvases'] == row['canvases']
        assert [other[name] for name in FIGURES[:-1]] == pytest.approx(
            [row[name] for name in FIGURES[:-1]], rel=1e-5, abs=1e-5
        )


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
    assert launch.main(['--workers', '1', '--', 'no-such-command']) == 2
    assert 'no-such-command' in capsys.readouterr().err
    assert len(started) == 2 and all(process.poll() is not None for process in started)


def test_a_distributed_run_without_launcher_says_how(configuration, tmp_path):
    write_records(tmp_path / 'faces', [1])
    done = run(configuration, tmp_path / 'run', 'data.root={}'.format(tmp_path), 'training.kvstore=dist_sync')
    assert (
        done.returncode == 2 and 'uniface_mx.train.launch' in done.stderr and 'Traceback' not in done.stderr
    )
