"""Start a distributed run's processes on this machine, for `tools/launch.py`: a scheduler, servers, workers.

On several machines, start the same processes by whatever starts processes there, with MXNet's own variables
(``DMLC_ROLE``, ``DMLC_PS_ROOT_URI``, ``DMLC_PS_ROOT_PORT``, ``DMLC_NUM_WORKER``, ``DMLC_NUM_SERVER``).
"""

from __future__ import annotations

import math
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


def launch(command: Sequence[str], workers: int, servers: int = 1) -> int:
    """Run a command as each of `workers` workers, and wait.

    SIGINT and SIGTERM are handed on to the workers, which save and leave together.

    Returns
    -------
    int
        0 if all workers left with 0; otherwise the status of the first that did not, after which the others
        are stopped.
    """
    with socket.socket() as probe:
        # A port that nobody listens on.
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    common = dict(
        os.environ,
        DMLC_PS_ROOT_URI='127.0.0.1',
        DMLC_PS_ROOT_PORT=str(port),
        DMLC_NUM_WORKER=str(workers),
        DMLC_NUM_SERVER=str(servers),
        DMLC_INTERFACE='lo',
        DMLC_NODE_HOST='127.0.0.1',
    )
    # Each worker's threads on cores of its own.
    if not THREADS_CHOSEN:
        common['OMP_NUM_THREADS'] = str(max(1, cores() // workers))

    def start(role: str, what: Sequence[str]) -> subprocess.Popen:
        # A group of its own: a Ctrl-C reaches the workers once, from here, and the servers not at all.
        return subprocess.Popen(what, env=dict(common, DMLC_ROLE=role), start_new_session=True)

    helpers: List[subprocess.Popen] = []
    running: List[subprocess.Popen] = []

    def hand_on(number: int, _: Any) -> None:
        for process in running:
            process.send_signal(number)

    before = {number: signal.signal(number, hand_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for role in ['scheduler'] + servers * ['server']:
            helpers.append(start(role, SERVE))
        for _ in range(workers):
            running.append(start('worker', command))
        return _wait(running)
    finally:
        for process in running + helpers:
            process.terminate()
        for process in running + helpers:
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(workers: List[subprocess.Popen]) -> int:
    """Until all have left, or one with an error and others within the time of grace; the first bad status."""
    failed, until = 0, math.inf
    while any([process.poll() is None for process in workers]) and time.monotonic() < until:
        bad = [process.returncode for process in workers if process.returncode]
        if bad and not failed:
            failed, until = bad[0], time.monotonic() + GRACE
        time.sleep(0.1)
    return failed or next((process.returncode for process in workers if process.returncode), 0)
