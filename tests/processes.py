"""Trainings as processes of their own."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Everything of a row but the clock.
TIMED = {'canvases_per_second', 'faces_per_second', 'waiting'}


def start(configuration, run, *settings, resume=False, launch=()):
    """A training that has begun; `launch` goes before its command."""
    command = [*launch, sys.executable, str(ROOT / 'tools' / 'train.py')]
    command += arguments(configuration, run, *settings, *['--resume'] * resume)
    environment = dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1')
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, env=environment)


def arguments(configuration, run, *settings):
    """Arguments of `tools/train.py`; what has no ``=`` is an option."""
    given = [word if '=' not in word else f'--set={word}' for word in settings]
    return ['--config', str(configuration.path), '--out', str(run), *given]


def finish(process, code=0):
    """What it told, after it has left with a status."""
    _, told = process.communicate(timeout=400)
    assert process.returncode == code, told
    return told


def rows(run, timed=False):
    """The rows of `metrics.jsonl`, without the clock."""
    found = [json.loads(line) for line in (run / 'metrics.jsonl').read_text().splitlines()]
    return [{key: value for key, value in row.items() if timed or key not in TIMED} for row in found]


def wait_for_rows(process, run, count):
    """Until the process has written so many rows; False if it ended before."""
    path = run / 'metrics.jsonl'
    while process.poll() is None:
        if path.exists() and path.read_text().count('\n') >= count:
            return True
        time.sleep(0.01)
    return False
