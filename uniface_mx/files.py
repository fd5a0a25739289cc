"""Files that are there whole, or as they were before."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Iterator, Union


@contextmanager
def written_aside(path: Union[str, os.PathLike]) -> Iterator[Path]:
    """A path in the same folder to write to, whose file takes the place of `path` at the end of the `with` block;
    after an error it is gone, and what was at `path` stays.
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
    """A folder within `folder`, which is made where it is missing, to write files to. At the end of the `with` block
    all of them take their places in `folder`; after an error they are gone, and `folder` is as it was.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(suffix='.part', dir=str(folder)) as aside:
        yield Path(aside)
        for path in sorted(Path(aside).iterdir()):
            os.replace(str(path), str(folder / path.name))


def file_hash(*paths: Union[str, os.PathLike]) -> str:
    """sha256 of a file, or of several one after the other, hexadecimal."""
    digest = hashlib.sha256()
    for path in paths:
        with open(path, 'rb') as file:
            for block in iter(lambda: file.read(1 << 20), b''):
                digest.update(block)
    return digest.hexdigest()
