"""Record sets from record sets: merge and split."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from typing import Any, Callable, Dict, Iterable, Sequence

from uniface_mx.data.prepare import PrepareError
from uniface_mx.data.prepare.duplicates import DUPLICATE, GUARDED, Duplicates, Guard, record_name
from uniface_mx.data.records import RecordMeta, RecordReader, RecordWriter, require_teachers


def merge(
    names: Sequence[str],
    out: str,
    duplicates: bool = False,
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
    duplicates : bool
        Keep photos that occur twice.
    guards : sequence of str
        Record sets of evaluation sets, whose photos are left out.
    progress : callable
        Wraps the sequence of records.

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
    seen = None if duplicates else Duplicates()
    with RecordWriter(out, list(sources.values()), teachers) as writer:
        for record in progress(record for reader in readers for record in reader):
            reason, other = GUARDED, guard and guard.find(record)
            if other is None:
                reason, other = DUPLICATE, seen and seen.find(record)
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
    name : str
    shares : dict
        PART to its share; shares add up to 1.
    salt : str
        Another one gives another split.
    progress : callable
        Wraps the sequence of records.

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
