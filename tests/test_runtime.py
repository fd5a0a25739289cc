"""How many threads MXNet is given."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from uniface_mx import runtime

ROOT = Path(runtime.__file__).parent.parent


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Makes a file system that tells of processors, whose siblings are given for each, and of a quota."""

    def make(siblings, quota=None):
        monkeypatch.setattr(os, 'sched_getaffinity', lambda process: set(range(len(siblings))))
        for number, text in enumerate(siblings):
            path = tmp_path / runtime.SIBLINGS.format(number)
            path.parent.mkdir(parents=True)
            if text:
                path.write_text(text + '\n')
        if quota:
            (tmp_path / runtime.QUOTA).parent.mkdir(parents=True)
            (tmp_path / runtime.QUOTA).write_text(quota + '\n')
        return tmp_path

    return make


@pytest.mark.parametrize(
    'siblings, quota, expected',
    [
        (['0', '1'], None, 2),
        (['0-1', '0-1', '2-3', '2-3'], None, 2),
        (['0,4', '1,5', '2,6', '3,7'], 'max 100000', 4),
        (['0', '1', '2', '3'], '250000 100000', 2),
        (['0', '1'], '50000 100000', 1),
        (['', '', ''], None, 3),
    ],
)
def test_cores(machine, siblings, quota, expected):
    assert runtime.cores(machine(siblings, quota)) == expected


def printed(code, **variables):
    environment = {name: value for name, value in os.environ.items() if name != 'OMP_NUM_THREADS'}
    environment.update(variables, PYTHONPATH=str(ROOT))
    return subprocess.run(
        [sys.executable, '-c', code], env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()


def test_the_package_gives_mxnet_every_core_unless_told_otherwise():
    code = "import uniface_mx, os; print(os.environ['OMP_NUM_THREADS'])"
    assert printed(code) == str(runtime.cores())
    assert printed(code, OMP_NUM_THREADS='7') == '7'


def test_workers_share_the_cores_unless_told_otherwise():
    # In one write, for workers write into one pipe.
    told = "import os; os.write(1, (os.environ['OMP_NUM_THREADS'] + chr(10)).encode())"
    code = (
        'import sys; from uniface_mx.train import launch; '
        f"sys.exit(launch.launch([sys.executable, '-c', {told!r}], {{workers}}, servers=0))"
    )
    assert printed(code.format(workers=1)) == str(runtime.cores())
    assert printed(code.format(workers=1), OMP_NUM_THREADS='7') == '7'
    more = runtime.cores() + 1
    assert printed(code.format(workers=more)).split() == ['1'] * more
