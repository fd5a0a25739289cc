"""Photos with a face each, by which the ranges of an int8 graph are found."""

from __future__ import annotations

from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Any, Dict, Iterator, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from uniface_mx.data.records import Record, RecordError, RecordReader
from uniface_mx.data.rows import BOX, HAS_LANDMARKS, IGNORE, LANDMARKS
from uniface_mx.errors import UnifaceError
from uniface_mx.geometry import area, letterbox

BATCH = 8
PHOTOS = 64


class CalibrationError(UnifaceError):
    """Records that cannot tell which values occur in a network."""


class Calibration(NamedTuple):
    """Photos with a face each, and the manifest's entry on where they come from.

    `canvases` (P, 3, S, S) float32 are as the network takes them, `faces` (P, 14) a box and five landmarks in input
    pixels.
    """

    canvases: np.ndarray
    faces: np.ndarray
    about: Dict[str, Any]

    def batches(self) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
        """Canvases (8, 3, S, S), and faces (8, 15) as the faces' graph takes them."""
        for start in range(0, len(self.canvases), BATCH):
            faces = self.faces[start : start + BATCH]
            number = np.arange(BATCH, dtype=np.float32)[:, None]
            yield self.canvases[start : start + BATCH], np.concatenate([number, faces], axis=1)


def read_calibration(records: Sequence[str], size: int, photos: int = PHOTOS) -> Calibration:
    """Photos of record sets, by turns, and the largest face of each that has landmarks.

    Parameters
    ----------
    records : sequence of str
        Names of record sets.
    size : int
        Side of the network's input.
    photos : int
        At most so many; a multiple of 8 is taken.

    Raises
    ------
    CalibrationError
        No records are named, or they hold fewer than 8 photos with such a face.
    RecordError
        A record set is not there or not whole.
    """
    if not records:
        raise CalibrationError(
            'int8 needs photos that show which values occur: give --calibrate RECORDS, the name of a record '
            'set of tools/prepare_data.py'
        )
    readers = [RecordReader(name) for name in records]
    found = list(islice(_usable(readers, size), photos))
    count = len(found) // BATCH * BATCH
    if not count:
        raise CalibrationError(
            f'{", ".join(records)}: {len(found)} photos with a face that has landmarks; {BATCH} or more are needed to '
            'calibrate'
        )
    canvases, faces = (np.array(column, np.float32) for column in zip(*found[:count]))
    about = {'records': [Path(reader.name).name for reader in readers], 'photos': count}
    return Calibration(canvases, faces, about)


def _usable(readers: Sequence[RecordReader], size: int) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
    """Canvas and face of each photo that has one, a photo of each set by turns, in an order by chance."""
    orders = [np.random.RandomState(0).permutation(len(reader)).tolist() for reader in readers]
    turns = (zip(readers, turn) for turn in zip_longest(*orders))
    for reader, number in chain.from_iterable(turns):
        if number is None:
            continue
        try:
            record = reader[number]
            image = record.decode()
        except RecordError:
            continue
        face = _largest_face(record)
        if face is not None:
            canvas, scale = letterbox(image, size)
            yield canvas.transpose(2, 0, 1), face * scale


def _largest_face(record: Record) -> Optional[np.ndarray]:
    """Box and landmarks (14,) in pixels of the photo; None where no face has landmarks."""
    rows = record.objects[(record.objects[:, HAS_LANDMARKS] == 1) & (record.objects[:, IGNORE] == 0)]
    if not len(rows):
        return None
    pixels = np.concatenate([rows[:, BOX], rows[:, LANDMARKS]], axis=1)
    pixels = pixels * np.tile([record.width, record.height], 7)
    return pixels[np.argmax(area(pixels[:, :4]))]
