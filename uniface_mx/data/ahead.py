"""Work that others do ahead of who waits for it."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Executor
from typing import Any, Callable, Iterable, Iterator


def in_order(executor: Executor, function: Callable, tasks: Iterable[tuple], ahead: int) -> Iterator[Any]:
    """`function(*task)` for each task, in the tasks' order, with at most `ahead` of them under way.

    Closing the iterator cancels those that have not begun.
    """
    pending: deque = deque()
    try:
        for task in tasks:
            pending.append(executor.submit(function, *task))
            if len(pending) >= ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
