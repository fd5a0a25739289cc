"""Record sets from record sets, merged and split, and the same photo twice: as it is, resized, stored anew, cut."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from contextlib import ExitStack
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence

import numpy as np

from uniface_mx.data.prepare import PrepareError
from uniface_mx.data.records import Record, RecordMeta, RecordReader, RecordWriter, require_teachers
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


def merge(
    names: Sequence[str],
    out: str,
    guards: Sequence[str] = (),
    progress: Callable[[Iterable], Iterable] = iter,
) -> RecordMeta:
    """Join record sets, in the given order, into one. All shards of a source give what one run gives.

    Parameters
    ----------
    names : sequence of str
        Record sets, labelled by one embedding teacher.
    out : str
        Record set to write.
    guards : sequence of str
        Record sets of evaluation sets, whose photos are left out.

    Raises
    ------
    RecordError
        A set is damaged, or labelled by another teacher.
    PrepareError
        Two different sources have the same name.
    """
    readers = [RecordReader(name) for name in names]
    labelled = [reader for reader in readers if reader.meta.embeddings] or readers
    teachers = labelled[0].meta.teachers
    for reader in readers:
        require_teachers(reader.meta, teachers, reader.name)
    sources = _join_sources(readers)
    guard = Guard(guards, teachers) if guards else None
    seen = Duplicates()
    with RecordWriter(out, list(sources.values()), teachers) as writer:
        for record in progress(record for reader in readers for record in reader):
            reason, other = GUARDED, guard and guard.find(record)
            if other is None:
                reason, other = DUPLICATE, seen.find(record)
            if other is None:
                writer.add(record)
            else:
                skipped = sources[record.source]['skipped'].setdefault(reason, [])
                skipped.append(f'{record_name(record)} = {other}')
    return writer.meta


def _join_sources(readers: Sequence[RecordReader]) -> Dict[str, Dict[str, Any]]:
    joined: Dict[str, Dict[str, Any]] = {}
    for reader in readers:
        for source in reader.meta.sources:
            known = joined.setdefault(source['name'], {**source, 'counts': {}, 'skipped': {}})
            for key in known:
                if key not in ('counts', 'skipped') and known[key] != source.get(key):
                    raise PrepareError(
                        f"{reader.name}: its source '{source['name']}' differs from that of another set "
                        f'({key}): they were not prepared alike'
                    )
            for text, number in source.get('counts', {}).items():
                known['counts'][text] = known['counts'].get(text, 0) + number
            for reason, names in source.get('skipped', {}).items():
                known['skipped'][reason] = known['skipped'].get(reason, []) + names
    return joined


def split(
    name: str, shares: Dict[str, float], salt: str = '', progress: Callable[[Iterable], Iterable] = iter
) -> Dict[str, RecordMeta]:
    """Deal a record set's photos out to sets `NAME-PART`, a person's photos all to one.

    Where a photo goes follows from its person, or from its source and key, and from the salt: more photos or
    another order move none.

    Parameters
    ----------
    shares : dict
        PART to its share; shares add up to 1.
    salt : str
        Another one gives another split.

    Raises
    ------
    PrepareError
        Fewer than two parts, or shares that do not add up to 1.
    """
    if len(shares) < 2 or not abs(sum(shares.values()) - 1) <= 1e-6 or min(shares.values()) <= 0:
        asked = ' '.join(f'{part}={share:g}' for part, share in shares.items())
        raise PrepareError(f'parts {asked}: two or more are needed, whose shares add up to 1')
    reader = RecordReader(name)
    with ExitStack() as stack:
        writers = {}
        for part in shares:
            writer = RecordWriter(f'{reader.name}-{part}', reader.meta.sources, reader.meta.teachers)
            writers[part] = stack.enter_context(writer)
        for record in progress(reader):
            writers[_dealt(record.person or record_name(record), shares, salt)].add(record)
    return {part: writer.meta for part, writer in writers.items()}


def _dealt(owner: str, shares: Dict[str, float], salt: str) -> str:
    """The part to which the photos of a person, or a photo, go."""
    digest = hashlib.sha256(f'{salt}\n{owner}'.encode()).digest()
    place = int.from_bytes(digest[:8], 'big') / 2**64
    *first, last = shares
    for part in first:
        place -= shares[part]
        if place < 0:
            return part
    return last
