"""Checkpoints under kills, full disks and damage."""

import json
import os
import pickletools
import subprocess
import sys
import textwrap

import mxnet as mx
import pytest

from uniface_mx.train import TrainError
from uniface_mx.train import checkpoint as module
from uniface_mx.train.checkpoint import Checkpoint, Checkpoints


def make(iteration, value=None, size=1000):
    value = iteration if value is None else value
    return Checkpoint(
        iteration,
        {'arg:w': mx.nd.full((size,), value), 'aux:m_running_mean': mx.nd.full((2,), value)},
        {'momentum:w': mx.nd.full((size,), -value)},
        {'best': {'iteration': None}, 'note': value / 3},
    )


def test_what_is_saved_is_loaded(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(make(7))
    loaded = checkpoints.load()
    assert loaded.iteration == 7 and loaded.state['note'] == 7 / 3
    assert sorted(loaded.weights) == ['arg:w', 'aux:m_running_mean'] and list(loaded.slots) == ['momentum:w']
    assert (loaded.slots['momentum:w'].asnumpy() == -7).all()


def test_weights_are_where_mxnets_own_loader_finds_them(tmp_path):
    Checkpoints(tmp_path).save(make(3), best=3)
    for name in ('last.params', 'best.params'):
        assert (mx.nd.load(str(tmp_path / name))['arg:w'].asnumpy() == 3).all()


def test_the_last_two_the_best_and_the_multiples_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep_every=40)
    for iteration in range(10, 101, 10):
        checkpoints.save(make(iteration), best=30 if iteration >= 30 else None)
    assert checkpoints.numbers() == [30, 40, 80, 90, 100]
    assert (mx.nd.load(str(tmp_path / 'best.params'))['arg:w'].asnumpy() == 30).all()


@pytest.mark.parametrize(
    'damage', ['flip weights', 'flip slots', 'cut', 'no state', 'bad state', 'other format']
)
def test_a_damaged_one_is_told_and_passed_over(tmp_path, damage):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(make(1))
    checkpoints.save(make(2))
    folder = checkpoints.path(2)
    if damage.startswith('flip'):
        file = folder / (module.WEIGHTS if 'weights' in damage else module.SLOTS)
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(bytes(content))
    elif damage == 'cut':
        os.truncate(folder / module.WEIGHTS, 100)
    elif damage == 'no state':
        (folder / module.STATE).unlink()
    else:
        state = json.dumps(dict(json.loads((folder / module.STATE).read_text()), format=99))
        (folder / module.STATE).write_text(state if damage == 'other format' else '{"format": 1')
    told = []
    assert checkpoints.load(report=told.append).iteration == 1
    assert len(told) == 1 and '00000002' in told[0]


def test_without_any_there_is_a_clear_error(tmp_path):
    with pytest.raises(TrainError, match='no checkpoint to go on from'):
        Checkpoints(tmp_path).load()


def test_nothing_is_pickle(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(make(1))
    for file in checkpoints.path(1).iterdir():
        with pytest.raises(ValueError):
            list(pickletools.genops(file.read_bytes()))


@pytest.mark.parametrize('failing', [1, 2])
@pytest.mark.parametrize('how', ['raises', 'writes half', 'writes half and raises'])
def test_a_full_disk_while_writing_leaves_the_earlier_ones(tmp_path, monkeypatch, failing, how):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(make(1))
    calls, save = [], mx.nd.save

    def full(path, arrays):
        calls.append(path)
        if len(calls) < failing or how != 'raises':
            save(path, arrays)
        if len(calls) == failing:
            if how != 'raises':
                os.truncate(path, os.path.getsize(path) // 2)
            if how != 'writes half':
                raise OSError(28, 'No space left on device')

    monkeypatch.setattr(module.mx.nd, 'save', full)
    with pytest.raises(TrainError, match='cannot write a checkpoint .*; the earlier ones are intact'):
        checkpoints.save(make(2))
    monkeypatch.undo()
    assert checkpoints.numbers() == [1] and checkpoints.load().iteration == 1
    assert not list(checkpoints.folder.glob('.*'))
    checkpoints.save(make(2))
    assert checkpoints.load().iteration == 2


def test_a_real_limit_on_file_sizes_leaves_the_earlier_ones(tmp_path):
    """The kernel refuses to write beyond a size, as it does on a full disk."""
    code = textwrap.dedent("""
        import resource, sys
        sys.path.insert(0, sys.argv[2])
        from test_checkpoint import make
        from uniface_mx.train.checkpoint import Checkpoints
        checkpoints = Checkpoints(sys.argv[1])
        checkpoints.save(make(1))
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, resource.RLIM_INFINITY))
        try:
            checkpoints.save(make(2, size=10000))
        except Exception as error:
            print(type(error).__name__)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        print(checkpoints.load().iteration, checkpoints.numbers())
        """)
    done = subprocess.run(
        [sys.executable, '-c', code, str(tmp_path), os.path.dirname(__file__)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.split('\n')[:2] == ['TrainError', '1 [1]'], done.stderr


def test_a_kill_at_any_write_leaves_the_last_one(tmp_path, monkeypatch):
    """Every step of saving is interrupted in turn, and what lies on the disk then is loaded."""

    class Killed(BaseException):
        pass

    names = (
        (module.mx.nd, 'save'),
        (module.os, 'fsync'),
        (module.json, 'dump'),
        (module.os, 'rename'),
        (module.os, 'link'),
        (module.os, 'replace'),
        (module.shutil, 'rmtree'),
    )
    seen = set()
    for moment in range(60):
        run = tmp_path / str(moment)
        checkpoints = Checkpoints(run)
        for iteration in (1, 2):
            checkpoints.save(make(iteration))
        left = iter(range(moment))

        def dying(function, name, left=left):
            def call(*arguments, **options):
                if next(left, None) is None:
                    seen.add(name)
                    raise Killed
                return function(*arguments, **options)

            return call

        with monkeypatch.context() as patch:
            for owner, name in names:
                patch.setattr(owner, name, dying(getattr(owner, name), name))
            try:
                checkpoints.save(make(3), best=3)
                break
            except Killed:
                pass
        loaded = checkpoints.load(report=pytest.fail)
        assert loaded.iteration in (2, 3) and (loaded.weights['arg:w'].asnumpy() == loaded.iteration).all()
        checkpoints.save(make(4))
        assert checkpoints.load().iteration == 4 and not list(checkpoints.folder.glob('.*'))
    assert seen == {name for _, name in names}
