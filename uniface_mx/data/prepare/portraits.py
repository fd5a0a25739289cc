"""Photos made of record sets' portraits, for the teachers to label as any others: what morphs and alterations share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable, Iterable, List, NamedTuple, Optional, Tuple, Union

import numpy as np

from uniface_mx.data.prepare.errors import PrepareError
from uniface_mx.data.records import BOX, HAS_LANDMARKS, IGNORE, LANDMARKS, Record, RecordReader
from uniface_mx.image import write_image

LIST = 'made.tsv'


class Portrait(NamedTuple):
    """A record's only face: its photo (H, W, 3) RGB uint8, box ``xyxy`` and landmarks (5, 2) in the photo's
    pixels.
    """

    image: np.ndarray
    box: np.ndarray
    landmarks: np.ndarray


class Found(NamedTuple):
    """Where a record with one face stands, and its landmarks (5, 2) in shares of the photo's longer side."""

    reader: RecordReader
    number: int
    landmarks: np.ndarray

    def read(self) -> Record:
        """The record."""
        return self.reader[self.number]


# What is to be drawn: the columns that tell of it, and the photo's pixels when they are asked for.
Made = Tuple[Tuple[str, ...], Callable[[], np.ndarray]]
# From a generator of random numbers to a photo, or to None where there is to be none.
Make = Callable[[np.random.Generator], Optional[Made]]


def find_portraits(names: Iterable[str], least: int) -> List[Found]:
    """The records of sets that show one face, with landmarks.

    Raises
    ------
    PrepareError
        There are fewer than `least`.
    """
    readers = [RecordReader(name) for name in names]
    found = [
        Found(reader, number, landmarks)
        for reader in readers
        for number, landmarks in enumerate(map(_landmarks, reader))
        if landmarks is not None
    ]
    if len(found) < least:
        raise PrepareError(
            '{}: at least {} of the records must show one face with landmarks'.format(
                ', '.join(str(reader.path) for reader in readers), least
            )
        )
    return found


def portrait(record: Record) -> Portrait:
    """A record's photo and only face."""
    size = np.array([record.width, record.height], np.float64)
    row = record.objects[0]
    return Portrait(record.decode(), row[BOX] * np.tile(size, 2), row[LANDMARKS].reshape(5, 2) * size)


def write_photos(
    out: Union[str, os.PathLike],
    count: int,
    seed: int,
    make: Make,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> int:
    """Write photos, ``SEED_000000.jpg`` and so on, into a folder, and a line of each, its name and columns, into
    ``made.tsv`` there; what this tells of is kept.

    Parameters
    ----------
    out : path
    count, seed : int
        Photo i follows from the seed and i.
    make : callable
        Such as `morphs` and `alterations` give.
    progress : callable
        Wraps the numbers of the photos.

    Returns
    -------
    int
        How many of these photos there are.

    Raises
    ------
    PrepareError
        One is there that was made of something else.
    """
    folder, there = Path(out), 0
    folder.mkdir(parents=True, exist_ok=True)
    with open(str(folder / LIST), 'a+', encoding='utf-8', buffering=1) as file:
        file.seek(0)
        listed = {line.split('\t')[0]: line for line in file}
        for number in progress(range(count)):
            made = make(np.random.default_rng((seed, number)))
            if made is None:
                continue
            columns, draw = made
            path = folder / f'{seed}_{number:06d}.jpg'
            line = '\t'.join((path.name, *columns)) + '\n'
            known = listed.get(path.name)
            if known not in (None, line):
                raise PrepareError(f'{path}: was made of something else; choose another folder for --out')
            if known is None or not path.is_file():
                write_image(path, draw())
            if known is None:
                file.write(line)
            there += 1
    return there


def _landmarks(record: Record) -> Optional[np.ndarray]:
    if len(record.objects) != 1 or not record.objects[0, HAS_LANDMARKS] or record.objects[0, IGNORE]:
        return None
    size = np.array([record.width, record.height]) / max(record.width, record.height)
    return record.objects[0, LANDMARKS].reshape(5, 2) * size
