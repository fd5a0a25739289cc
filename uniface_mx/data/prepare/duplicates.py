"""The same photo twice in one set, or in a set to evaluate with: as it is, resized, stored anew, cut."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Dict, Iterable, List, NamedTuple, Optional

import numpy as np

from uniface_mx.data.records import Record, RecordReader, require_teachers
from uniface_mx.data.rows import BOX, EMBEDDING, EMBEDDING_DIM, HAS_EMBEDDING, embeddings
from uniface_mx.geometry import area

# Why a photo is left out.
DUPLICATE, GUARDED = 'duplicate', 'in an evaluation set'
HASH_BITS = 4
STRICT_HASH_BITS = 2
EMBEDDING_DISTANCE = 0.25
ASPECT_RATIO = 1.05
# Two crops of one photo are closer than that, two photos of one person hardly ever.
SAME_PHOTO = 0.2
_BANDS = ((0, 13), (13, 13), (26, 13), (39, 13), (52, 12))


class Duplicates:
    """Finds records that show a picture that an earlier record shows.

    Two records show the same picture if their perceptual hashes differ in at most `HASH_BITS` of 64 bits, the
    ratios of their sides by at most `ASPECT_RATIO`, and their largest faces' embeddings by at most
    `EMBEDDING_DISTANCE`. Where one of the two has no embedding, at most `STRICT_HASH_BITS` bits may differ.

    Hashes that differ in four bits agree in one of five bands at least: only those are compared.
    """

    def __init__(self) -> None:
        self._bands: List[Dict[int, List[int]]] = [defaultdict(list) for _ in _BANDS]
        self._known: List[_Picture] = []

    def find(self, record: Record, remember: bool = True) -> Optional[str]:
        """The name of the earlier record with this picture; if there is none, the record is remembered."""
        bits, ratio = record.picture, record.width / record.height
        mine = _Picture(bits, ratio, main_embedding(record.objects), record_name(record))
        slots = [
            band[(bits >> shift) & ((1 << width) - 1)] for band, (shift, width) in zip(self._bands, _BANDS)
        ]
        for number in sorted(set().union(*slots)):
            if _same(mine, self._known[number]):
                return self._known[number].name
        if remember:
            for slot in slots:
                slot.append(len(self._known))
            self._known.append(mine)
        return None


class _Picture(NamedTuple):
    """How a record looks: its perceptual hash, width over height, and its main face's embedding."""

    bits: int
    ratio: float
    embedding: Optional[np.ndarray]
    name: str


def record_name(record: Record) -> str:
    """`SOURCE/KEY`."""
    return f'{record.source}/{record.key}'


def main_embedding(objects: np.ndarray) -> Optional[np.ndarray]:
    """The embedding (128,) of the largest face that has one."""
    faces = objects[objects[:, HAS_EMBEDDING] == 1]
    return faces[np.argmax(area(faces[:, BOX])), EMBEDDING].copy() if len(faces) else None


def _same(a: _Picture, b: _Picture) -> bool:
    bits = bin(a.bits ^ b.bits).count('1')
    if bits > HASH_BITS or max(a.ratio, b.ratio) > ASPECT_RATIO * min(a.ratio, b.ratio):
        return False
    if a.embedding is None or b.embedding is None:
        return bits <= STRICT_HASH_BITS
    return float(np.linalg.norm(a.embedding - b.embedding)) <= EMBEDDING_DISTANCE


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

    def __init__(self, names: Iterable[str], teachers: Dict[str, Any]) -> None:
        self._pictures = Duplicates()
        self._owners: List[str] = []
        known = [np.zeros((0, EMBEDDING_DIM), np.float32)]
        for name in names:
            reader = RecordReader(name)
            require_teachers(reader.meta, teachers, name)
            for record in reader:
                self._pictures.find(record)
                known.append(embeddings(record.objects))
                self._owners += [record_name(record)] * len(known[-1])
            reader.close()
        self._faces = np.concatenate(known)
        self._lengths = (self._faces**2).sum(axis=1)

    def find(self, record: Record) -> Optional[str]:
        """Which guarded photo a record shows, and why it is thought so; or None."""
        picture = self._pictures.find(record, remember=False)
        if picture is not None:
            return f'{picture} (same picture)'
        faces = embeddings(record.objects)
        if not len(faces) or not len(self._faces):
            return None
        squares = (faces**2).sum(axis=1)[:, None] + self._lengths - 2 * faces @ self._faces.T
        owner = np.argmin(squares) % len(self._owners)
        distance = float(np.sqrt(max(squares.min(), 0)))
        return f'{self._owners[owner]} (faces at {distance:.3f})' if distance <= SAME_PHOTO else None
