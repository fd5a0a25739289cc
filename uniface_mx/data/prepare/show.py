"""Pictures of records, with what is in them."""

from __future__ import annotations

from typing import Sequence

import cv2
import numpy as np

from uniface_mx.data.prepare import PrepareError
from uniface_mx.data.prepare.duplicates import record_name
from uniface_mx.data.records import Record, RecordReader
from uniface_mx.data.rows import BOX, HAS_EMBEDDING, HAS_LANDMARKS, IGNORE, LANDMARKS, in_pixels
from uniface_mx.image import GREEN, mark_face

# RGB: a face without an embedding, an ignored face.
BLUE, RED = (40, 90, 255), (230, 0, 0)
CAPTION = 16


def drawing(record: Record, side: int) -> np.ndarray:
    """A record's photo in a square of `side` pixels, with boxes, points and key.

    Boxes are green with an embedding, blue without, red if ignored.
    """
    image = record.decode()
    scale = side / max(image.shape[:2])
    width, height = (max(1, round(n * scale)) for n in (record.width, record.height))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    image = cv2.resize(image, (width, height), interpolation=method)
    for row in in_pixels(record.objects, width, height):
        color = RED if row[IGNORE] else GREEN if row[HAS_EMBEDDING] else BLUE
        mark_face(image, row[BOX], row[LANDMARKS].reshape(5, 2) if row[HAS_LANDMARKS] else None, color)
    canvas = np.zeros((side + CAPTION, side, 3), np.uint8)
    canvas[:height, :width] = image
    text, at = (record.person or record_name(record))[-side // 6 :], (2, side + CAPTION - 5)
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.35, (255, 255, 255))
    return canvas


def sheet(name: str, numbers: Sequence[int], side: int = 180, columns: int = 8) -> np.ndarray:
    """Drawings of records side by side.

    Parameters
    ----------
    name : str
        Record set.
    numbers : sequence of int
        Which records.
    side : int
        Pixels of a square.
    columns : int

    Raises
    ------
    PrepareError
        There is no such record.
    """
    reader = RecordReader(name)
    wrong = [n for n in numbers if not 0 <= n < len(reader)]
    if wrong or not len(numbers):
        raise PrepareError(f'{reader.path} has {len(reader)} records: nothing to show of {wrong or "none"}')
    tiles = [drawing(reader[n], side) for n in numbers]
    columns = min(columns, len(tiles))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    rows = [np.concatenate(tiles[i : i + columns], axis=1) for i in range(0, len(tiles), columns)]
    return np.concatenate(rows)
