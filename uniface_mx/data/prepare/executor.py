"""Where the work runs: this process, this machine's processes or Dask, as a `concurrent.futures` executor."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, Callable, Iterable, Iterator, Optional, Tuple

from uniface_mx.data.loader import in_order as in_order_ahead
from uniface_mx.data.prepare import PrepareError
from uniface_mx.runtime import environment

_ONE_THREAD = {'OMP_NUM_THREADS': '1', 'OPENBLAS_NUM_THREADS': '1', 'MKL_NUM_THREADS': '1'}


class SerialExecutor(Executor):
    """Does the work at once, in this process."""

    def submit(self, fn: Callable, *args: Any, **kwargs: Any) -> Future:
        """A future that is done."""
        future: Future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@contextmanager
def open_executor(workers: int = 1, dask: Optional[str] = None) -> Iterator[Tuple[Executor, int]]:
    """An executor for `label_photos`, and how many workers it has beside this process.

    Parameters
    ----------
    workers : int
        Processes on this machine, each with one thread; 0 works in this process.
    dask : str, optional
        Address of a Dask scheduler, instead. Its workers need this package and the teachers' weights, and no
        other file: photos are sent to them. A worker that is lost is replaced by others.

    Raises
    ------
    PrepareError
        A negative number of workers; Dask is not installed or not reached.
    """
    if workers < 0:
        raise PrepareError(f'--workers {workers}: a number of processes, or 0 to use none')
    if dask is not None:
        with _dask_client(dask) as client:
            yield client.get_executor(), sum(client.nthreads().values())
    elif workers == 0:
        yield SerialExecutor(), 0
    else:
        # Not forked: MXNet's threads do not survive a fork.
        with environment(_ONE_THREAD):
            pool = ProcessPoolExecutor(workers, multiprocessing.get_context('spawn'), _depend_on_the_parent)
            try:
                yield pool, workers
            except BaseException:
                for process in list((pool._processes or {}).values()):
                    process.terminate()
                raise
            finally:
                pool.shutdown()


def _depend_on_the_parent() -> None:
    """Leave interrupts to the parent, and end with it, even if it is killed."""

    def follow() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=follow, daemon=True).start()


def _dask_client(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError:
        raise PrepareError("--dask needs Dask: pip install 'uniface-mx[dask]'") from None
    try:
        return Client(address, timeout=30)
    except (OSError, ValueError) as error:
        raise PrepareError(f'{address}: no Dask scheduler there ({error})') from None


def in_one_go(executor: Executor, function: Callable, *arguments: Any) -> Any:
    """`function(*arguments)`, done by a worker."""
    return next(in_order(executor, function, [arguments], 1))


def in_order(executor: Executor, function: Callable, tasks: Iterable[tuple], ahead: int) -> Iterator[Any]:
    """As `uniface_mx.data.loader.in_order`; a worker process that was killed is a `PrepareError`."""
    try:
        yield from in_order_ahead(executor, function, tasks, ahead)
    except BrokenProcessPool:
        raise PrepareError(
            'a worker process was killed, perhaps for want of memory; run the same command again, '
            'with fewer workers if need be: it goes on where it was'
        ) from None
