"""What the evaluations on loose photos share: reading in batches, room around tight crops, which face is
meant.
"""

from __future__ import annotations

from typing import Iterable, Iterator, List, Optional, Sequence, Tuple, TypeVar

import numpy as np

from uniface_mx.evaluation.subject import FoundFace
from uniface_mx.image import ImageError, read_image

BATCH = 32
Item = TypeVar('Item')


def pad(image: np.ndarray, margin: float) -> Tuple[np.ndarray, int]:
    """Put an image into the middle of a black canvas, ``margin`` times its longer side wider on each side.

    Faces that were cut out tightly fill their picture, which a detector of faces in photos does not expect.

    Returns
    -------
    (array, int)
        The canvas, and the x and y by which the content has moved.
    """
    room = int(round(margin * max(image.shape[:2])))
    return np.pad(image, ((room, room), (room, room), (0, 0))), room


def batches(items: Iterable[Item], size: int = BATCH) -> Iterator[List[Item]]:
    """Consecutive lists of ``size`` items, the last one shorter."""
    batch: List[Item] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def readable(items: Iterable[Item], path, skipped: List[str]) -> Iterator[Tuple[Item, np.ndarray]]:
    """Items with their photo, ``path(item)`` telling where it is; what cannot be read goes to ``skipped``."""
    for item in items:
        try:
            image = read_image(path(item))
        except ImageError as error:
            skipped.append(str(error))
            continue
        yield item, image


def face_at(faces: Sequence[FoundFace], point: np.ndarray) -> Optional[FoundFace]:
    """The face whose box holds ``point`` (2,), the nearest by box centre if several do; None if none does."""

    def distance(face: FoundFace) -> float:
        box = np.asarray(face.box, np.float64)
        return float(np.sum(((box[:2] + box[2:]) / 2 - point) ** 2))

    holding = [
        face
        for face in faces
        if np.all(np.asarray(face.box)[:2] <= point) and np.all(point < np.asarray(face.box)[2:])
    ]
    return min(holding, key=distance, default=None)
