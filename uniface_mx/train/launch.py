"""Start a distributed run's processes on this machine, for `tools/launch.py`: a scheduler, servers, workers.

On several machines, start the same processes by whatever starts processes there, with MXNet's own variables
(``DMLC_ROLE``, ``DMLC_PS_ROOT_URI``, ``DMLC_PS_ROOT_PORT``, ``DMLC_NUM_WORKER``, ``DMLC_NUM_SERVER``).
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from typing import Any, List, Sequence

from uniface_mx.runtime import THREADS_CHOSEN, cores

# What a scheduler or a server does is what importing MXNet does under such a role.
SERVE = [sys.executable, '-c', 'import uniface_mx, mxnet']
GRACE = 10.0


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def launch(command: Sequence[str], workers: int, servers: int = 1) -> int:
    """Run a command as each of `workers` workers, and wait.

    SIGINT and SIGTERM are handed on to the workers, which save and leave together.

    Returns
    -------
    int
        0 if all workers left with 0; otherwise the status of the first that did not, after which the others
        are stopped.
    """
    common = dict(
        os.environ,
        DMLC_PS_ROOT_URI='127.0.0.1',
        DMLC_PS_ROOT_PORT=str(free_port()),
        DMLC_NUM_WORKER=str(workers),
        DMLC_NUM_SERVER=str(servers),
        DMLC_INTERFACE='lo',
        DMLC_NODE_HOST='127.0.0.1',
    )
    # Each worker's threads on cores of its own.
    if not THREADS_CHOSEN:
        common['OMP_NUM_THREADS'] = str(max(1, cores() // workers))

    def start(role: str, what: Sequence[str]) -> subprocess.Popen:
        # A group of its own, so that a Ctrl-C reaches the workers once, from here, and the servers not at
        # all.
        return subprocess.Popen(what, env=dict(common, DMLC_ROLE=role), start_new_session=True)

    helpers: List[subprocess.Popen] = []
    running: List[subprocess.Popen] = []

    def hand_on(number: int, _: Any) -> None:
        for process in running:
            if process.poll() is None:
                process.send_signal(number)

    before = {number: signal.signal(number, hand_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for role in ['scheduler'] + servers * ['server']:
            helpers.append(start(role, SERVE))
        for _ in range(workers):
            running.append(start('worker', command))
        return _wait(running)
    finally:
        _stop(running + helpers)
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(workers: List[subprocess.Popen]) -> int:
    """Until all have left, or one with an error and others within the time of grace; the first bad status."""
    failed, since = 0, None
    while any(process.poll() is None for process in workers):
        for process in workers:
            if process.returncode and not failed:
                failed, since = process.returncode, time.monotonic()
        if since is not None and time.monotonic() - since > GRACE:
            break
        time.sleep(0.1)
    return failed or next((process.returncode for process in workers if process.returncode), 0)


def _stop(processes: List[subprocess.Popen]) -> None:
    for process in processes:
        if process.poll() is None:
            process.terminate()
    for process in processes:
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
