import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from pathlib import Path

import pytest

from uniface_mx.data.prepare import PrepareError
from uniface_mx.data.prepare.executor import SerialExecutor, in_one_go, in_order, open_executor


def threads():
    return os.environ.get('OMP_NUM_THREADS'), os.getpid()


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def fail(text):
    raise ValueError(text)


class Recorder(SerialExecutor):
    """Runs a task when its result is asked for, and notes how many were waiting."""

    def __init__(self):
        self.waiting, self.most, self.cancelled = 0, 0, 0

    def submit(self, fn, *args):
        recorder = self
        recorder.waiting += 1
        recorder.most = max(recorder.most, recorder.waiting)

        class Late(Future):
            def result(self, timeout=None):
                recorder.waiting -= 1
                return fn(*args)

            def cancel(self):
                recorder.cancelled += 1

        return Late()


def test_results_come_in_order_and_few_tasks_wait():
    recorder = Recorder()
    assert list(in_order(recorder, pow, ((i, 2) for i in range(10)), 3)) == [i * i for i in range(10)]
    assert recorder.most == 3


def test_what_waits_is_cancelled_when_the_consumer_stops():
    recorder = Recorder()
    results = in_order(recorder, pow, ((i, 2) for i in range(10)), 3)
    next(results)
    results.close()
    assert recorder.cancelled == 2


def test_an_error_of_a_task_is_raised():
    with pytest.raises(ValueError, match='broken'):
        list(in_order(SerialExecutor(), fail, [('broken',)], 2))


def test_no_workers_is_this_process():
    with open_executor(0) as (executor, count):
        assert in_one_go(executor, os.getpid) == os.getpid() and count == 0


def test_local_workers_have_one_thread_each_and_the_environment_is_restored(monkeypatch):
    monkeypatch.setenv('OMP_NUM_THREADS', '7')
    with open_executor(1) as (executor, count):
        threads_there, process = in_one_go(executor, threads)
    assert count == 1 and threads_there == '1' and process != os.getpid()
    assert os.environ['OMP_NUM_THREADS'] == '7'


def test_a_killed_worker_is_an_error_that_says_what_to_do():
    with pytest.raises(PrepareError, match='same command again'):
        with open_executor(1) as (executor, count):
            in_one_go(executor, die)


def test_an_interrupt_stops_the_workers():
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        with open_executor(1) as (executor, count):
            in_one_go(executor, os.getpid)
            executor.submit(time.sleep, 60)
            raise KeyboardInterrupt
    assert time.monotonic() - start < 30


def runs(process):
    try:
        return Path(f'/proc/{process}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False


def test_workers_end_when_their_parent_is_killed():
    code = (
        'import os, signal, time\n'
        'from uniface_mx.data.prepare.executor import open_executor\n'
        'if __name__ == "__main__":\n'
        '    with open_executor(2) as (executor, _):\n'
        '        print(executor.submit(os.getpid).result(), flush=True)\n'
        '        executor.submit(time.sleep, 600)\n'
        '        os.kill(os.getpid(), signal.SIGKILL)'
    )
    parent = subprocess.run([sys.executable, '-c', code], stdout=subprocess.PIPE)
    worker = int(parent.stdout)
    assert parent.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 300
    while runs(worker):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_no_dask_scheduler():
    pytest.importorskip('distributed')
    with pytest.raises(PrepareError, match='no Dask scheduler'):
        with open_executor(dask='nonsense://1'):
            pass
