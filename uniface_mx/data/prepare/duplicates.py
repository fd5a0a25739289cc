"""The same picture twice: as it is, at another size, or at another quality."""

from __future__ import annotations

from collections import defaultdict
from typing import Dict, List, Optional, Tuple

import numpy as np

from uniface_mx.data.records import BOX, EMBEDDING, HAS_EMBEDDING, Record

DUPLICATE = 'duplicate'
HASH_BITS = 4
STRICT_HASH_BITS = 2
EMBEDDING_DISTANCE = 0.25
ASPECT_RATIO = 1.05
_BANDS = ((0, 13), (13, 13), (26, 13), (39, 13), (52, 12))


class Duplicates:
    """Finds records that show a picture that an earlier record shows.

    Two records show the same picture if their perceptual hashes differ in at most `HASH_BITS` of 64 bits, the
    ratios of their sides by at most `ASPECT_RATIO`, and their largest faces' embeddings by at most
    `EMBEDDING_DISTANCE`. Where one of the two has no embedding, at most `STRICT_HASH_BITS` bits may differ.

    Hashes that differ in four bits agree in one of five bands at least: only those are compared.
    """

    def __init__(self):
        self._bands: List[Dict[int, List[int]]] = [defaultdict(list) for _ in _BANDS]
        self._known: List[Tuple[int, float, Optional[np.ndarray], str]] = []

    def find(self, record: Record, remember: bool = True) -> Optional[str]:
        """The name of the earlier record with this picture; if there is none, the record is remembered."""
        mine = (
            record.picture,
            record.width / record.height,
            main_embedding(record.objects),
            record_name(record),
        )
        slots = [
            band[(record.picture >> shift) & ((1 << bits) - 1)]
            for band, (shift, bits) in zip(self._bands, _BANDS)
        ]
        for number in sorted(set().union(*slots)):
            if _same(mine, self._known[number]):
                return self._known[number][3]
        if remember:
            for slot in slots:
                slot.append(len(self._known))
            self._known.append(mine)
        return None


def record_name(record: Record) -> str:
    """`SOURCE/KEY`."""
    return f'{record.source}/{record.key}'


def main_embedding(objects: np.ndarray) -> Optional[np.ndarray]:
    """The embedding (128,) of the largest face that has one."""
    faces = objects[objects[:, HAS_EMBEDDING] == 1]
    if not len(faces):
        return None
    sides = faces[:, BOX][:, 2:] - faces[:, BOX][:, :2]
    return faces[np.argmax(sides[:, 0] * sides[:, 1]), EMBEDDING].copy()


def _same(a, b) -> bool:
    bits = bin(a[0] ^ b[0]).count('1')
    if bits > HASH_BITS or max(a[1], b[1]) > ASPECT_RATIO * min(a[1], b[1]):
        return False
    if a[2] is None or b[2] is None:
        return bits <= STRICT_HASH_BITS
    return float(np.linalg.norm(a[2] - b[2])) <= EMBEDDING_DISTANCE
