"""Photos that also occur in an evaluation set, and must not be trained on."""

from __future__ import annotations

from typing import Iterable, Optional

import numpy as np

from uniface_mx.data.prepare.duplicates import Duplicates, record_name
from uniface_mx.data.records import (
    EMBEDDING,
    EMBEDDING_DIM,
    HAS_EMBEDDING,
    Record,
    RecordReader,
    require_teachers,
)

GUARDED = 'in an evaluation set'
# Two crops of one photo are closer than that, two photos of one person hardly ever.
SAME_PHOTO = 0.2


class Guard:
    """Finds records whose photo occurs in evaluation sets: as a picture, or cut and scaled otherwise.

    The same picture is what `Duplicates` says. A photo in another crop shows in its faces: a teacher's
    embeddings of the same face in the same photo are closer than `SAME_PHOTO`.

    Parameters
    ----------
    names : iterable of str
        Record sets of the evaluation sets, labelled by the teacher that labelled what is to be checked.
    teachers : dict
        `RecordMeta.teachers` of what is to be checked.

    Raises
    ------
    RecordError
        A set is damaged, or labelled by another teacher.
    """

    def __init__(self, names: Iterable[str], teachers: dict):
        self._pictures = Duplicates()
        embeddings, self._owners = [], []
        for name in names:
            reader = RecordReader(name)
            require_teachers(reader.meta, teachers, name)
            for record in reader:
                self._pictures.find(record)
                faces = _embeddings(record)
                embeddings.append(faces)
                self._owners += [record_name(record)] * len(faces)
            reader.close()
        self._faces = np.concatenate(embeddings) if embeddings else np.zeros((0, EMBEDDING_DIM), np.float32)
        self._lengths = (self._faces**2).sum(axis=1)

    def find(self, record: Record) -> Optional[str]:
        """Which guarded photo a record shows, and why it is thought so; or None."""
        picture = self._pictures.find(record, remember=False)
        if picture is not None:
            return f'{picture} (same picture)'
        faces = _embeddings(record)
        if not len(faces) or not len(self._faces):
            return None
        squares = (faces**2).sum(axis=1)[:, None] + self._lengths - 2 * faces @ self._faces.T
        _, owner = np.unravel_index(np.argmin(squares), squares.shape)
        distance = float(np.sqrt(max(squares.min(), 0)))
        return f'{self._owners[owner]} (faces at {distance:.3f})' if distance <= SAME_PHOTO else None


def _embeddings(record: Record) -> np.ndarray:
    return record.objects[record.objects[:, HAS_EMBEDDING] == 1, EMBEDDING]
