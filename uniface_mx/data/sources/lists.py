"""Lists of annotations in text files, and the images that they name."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Sequence, Tuple

from uniface_mx.data.sources.base import PathLike, SourceError, SourceImage, annotated

# `FILE:LINE`, an image's path, and a row of numbers for each face.
Block = Tuple[str, str, List[List[float]]]


def relative_key(text: str, where: str) -> str:
    """A path from a list as a key; refuses one that leaves the root."""
    parts = [part for part in text.strip().replace('\\', '/').split('/') if part not in ('', '.')]
    if not parts or '..' in parts:
        raise SourceError(f'{where}: {text!r} is no path below the root')
    return '/'.join(parts)


def collect(root: Path, entries: Iterable[Tuple[str, str, Dict[str, Any]]]) -> Dict[str, SourceImage]:
    """Images by their keys, from (`FILE:LINE`, path below the root, what `annotated` takes) of each.

    Raises
    ------
    SourceError
        A path leaves the root, or stands twice.
    """
    images: Dict[str, SourceImage] = {}
    for where, text, faces in entries:
        key = relative_key(text, where)
        if key in images:
            raise SourceError(f'{where}: {key} is listed twice')
        images[key] = annotated(key, root / key, **faces)
    return images


def read_lines(path: PathLike) -> List[Tuple[str, str]]:
    """The lines of a text file that are not blank, each with `FILE:LINE`, for messages."""
    try:
        text = Path(path).read_text(encoding='utf-8-sig')
    except OSError as error:
        raise SourceError(f'{path}: {error.strerror or error}') from None
    except UnicodeDecodeError:
        raise SourceError(f'{path}: no text file in UTF-8') from None
    lines = enumerate(map(str.strip, text.split('\n')), 1)
    return [(f'{path}:{number}', line) for number, line in lines if line]


def parse_numbers(fields: Sequence[str], count: int, where: str, what: str) -> List[float]:
    """Exactly `count` finite numbers."""
    try:
        values = [float(field) for field in fields]
    except ValueError:
        values = []
    if len(values) != count or not all(map(math.isfinite, values)):
        found = ' '.join(fields)
        raise SourceError(f'{where}: expected {what} ({count} numbers), found {found!r}')
    return values


def counted_blocks(lines: Sequence[Tuple[str, str]], columns: int, what: str) -> Iterator[Block]:
    """(`FILE:LINE`, image, rows) of each block of a path, a number of faces, and a row of numbers for each.

    WIDER FACE writes a row of zeros after a number of 0: it is passed over.
    """
    at = 0
    while at < len(lines):
        where, image = lines[at]
        if at + 1 == len(lines) or not lines[at + 1][1].isdigit():
            raise SourceError(f'{where}: {image!r}: expected an image and then the number of its faces')
        count = int(lines[at + 1][1])
        faces = lines[at + 2 : at + 2 + count]
        rows = [parse_numbers(line.split(), columns, place, what) for place, line in faces]
        if len(rows) < count:
            raise SourceError(f'{where}: {image}: the file ends before its {count} faces')
        at += 2 + count
        if not count and at < len(lines) and not set(lines[at][1].split()) - {'0'}:
            at += 1
        yield where, image, rows
