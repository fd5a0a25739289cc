"""Files that are there whole, or as they were before."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Iterator, Union


@contextmanager
def written_aside(path: Union[str, os.PathLike]) -> Iterator[Path]:
    """A path in the same folder to write to, whose file takes the place of `path` at the end of the `with` block;
    after an error it is gone, and what was at `path` stays."""
    path = Path(path)
    aside = path.with_name('{}.{}.part'.format(path.name, os.getpid()))
    try:
        yield aside
        os.replace(str(aside), str(path))
    except BaseException:
        with suppress(FileNotFoundError):
            aside.unlink()
        raise
