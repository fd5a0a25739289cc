"""Files that are there whole, or as they were before."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Iterator, Optional, TextIO, Union


@contextmanager
def written_aside(path: Union[str, os.PathLike]) -> Iterator[Path]:
    """A path in the same folder to write to, whose file takes the place of `path` at the `with` block's end.

    After an error it is gone, and what was at `path` stays.
    """
    path = Path(path)
    aside = path.with_name(f'{path.name}.{os.getpid()}.part')
    try:
        yield aside
        os.replace(str(aside), str(path))
    except BaseException as error:
        if isinstance(error, OSError) and error.filename == str(aside):
            error.filename = str(path)
        with suppress(FileNotFoundError):
            aside.unlink()
        raise


@contextmanager
def files_aside(folder: Union[str, os.PathLike]) -> Iterator[Path]:
    """A folder within `folder`, which is made where it is missing, to write files to.

    At the end of the `with` block all of them take their places in `folder`; after an error they are gone,
    and `folder` is as it was.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(suffix='.part', dir=str(folder)) as aside:
        yield Path(aside)
        for path in sorted(Path(aside).iterdir()):
            os.replace(str(path), str(folder / path.name))


@contextmanager
def lines_file(path: Optional[Path]) -> Iterator[Optional[TextIO]]:
    """A text file of lines, written aside; an interrupted run leaves the lines that it had. None for None."""
    if path is None:
        yield None
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    interrupt = None
    with written_aside(path) as aside, open(aside, 'w', encoding='utf-8') as file:
        try:
            yield file
        except KeyboardInterrupt as error:
            interrupt = error
    if interrupt:
        raise interrupt


def file_hash(*paths: Union[str, os.PathLike]) -> str:
    """sha256 of a file, or of several one after the other, hexadecimal."""
    digest = hashlib.sha256()
    for path in paths:
        with open(path, 'rb') as file:
            for block in iter(lambda: file.read(1 << 20), b''):
                digest.update(block)
    return digest.hexdigest()
