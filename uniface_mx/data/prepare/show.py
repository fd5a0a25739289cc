"""Pictures of records, with what is in them."""

from __future__ import annotations

from typing import Sequence

import cv2
import numpy as np

from uniface_mx.data.prepare.errors import PrepareError
from uniface_mx.data.records import BOX, HAS_EMBEDDING, HAS_LANDMARKS, IGNORE, LANDMARKS, Record, RecordReader

# RGB: a face with an embedding, a face without, an ignored face, points.
GREEN, BLUE, RED, YELLOW = (0, 200, 0), (40, 90, 255), (230, 0, 0), (255, 220, 0)
CAPTION = 16


def drawing(record: Record, side: int) -> np.ndarray:
    """A record's photo in a square of `side` pixels, with boxes, points and key.

    Boxes are green with an embedding, blue without, red if ignored.
    """
    image = record.decode()
    scale = side / max(image.shape[:2])
    width, height = (max(1, round(n * scale)) for n in (record.width, record.height))
    image = cv2.resize(
        image, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    for row in record.objects:
        color = RED if row[IGNORE] else GREEN if row[HAS_EMBEDDING] else BLUE
        left, top, right, bottom = (int(v) for v in np.round(row[BOX] * (width, height, width, height)))
        cv2.rectangle(image, (left, top), (right - 1, bottom - 1), color, 1)
        if row[HAS_LANDMARKS]:
            for x, y in row[LANDMARKS].reshape(5, 2) * (width, height):
                cv2.circle(image, (int(x), int(y)), 1, YELLOW, -1)
    canvas = np.zeros((side + CAPTION, side, 3), np.uint8)
    canvas[:height, :width] = image
    text = record.person or f'{record.source}/{record.key}'
    cv2.putText(
        canvas, text[-side // 6 :], (2, side + CAPTION - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.35, (255, 255, 255)
    )
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
    """
    reader = RecordReader(name)
    wrong = [n for n in numbers if not 0 <= n < len(reader)]
    if wrong or not len(numbers):
        raise PrepareError(f'{reader.path} has {len(reader)} records: nothing to show of {wrong or "none"}')
    tiles = [drawing(reader[n], side) for n in numbers]
    columns = min(columns, len(tiles))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    return np.concatenate(
        [np.concatenate(tiles[i : i + columns], axis=1) for i in range(0, len(tiles), columns)]
    )
