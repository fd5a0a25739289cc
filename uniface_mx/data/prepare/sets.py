"""Record sets from record sets: merge and split."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence

from uniface_mx.data.prepare.duplicates import DUPLICATE, Duplicates, record_name
from uniface_mx.data.prepare.errors import PrepareError
from uniface_mx.data.prepare.guard import GUARDED, Guard
from uniface_mx.data.records import Record, RecordMeta, RecordReader, RecordWriter, require_teachers


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
            reason, other = _reason(record, guard, seen)
            if other is None:
                writer.add(record)
            else:
                sources[record.source]['skipped'].setdefault(reason, []).append(
                    f'{record_name(record)} = {other}'
                )
    return writer.meta


def _reason(record: Record, guard: Optional[Guard], seen: Optional[Duplicates]):
    other = guard.find(record) if guard else None
    if other is not None:
        return GUARDED, other
    return DUPLICATE, seen.find(record) if seen else None


def _join_sources(readers: Sequence[RecordReader]) -> Dict[str, Dict[str, Any]]:
    joined: Dict[str, Dict[str, Any]] = {}
    for reader in readers:
        for source in reader.meta.sources:
            known = joined.setdefault(source['name'], {**source, 'counts': {}, 'skipped': {}})
            for key in known:
                if key not in ('counts', 'skipped') and known[key] != source.get(key):
                    raise PrepareError(
                        "{}: its source '{}' differs from that of another set ({}): "
                        'they were not prepared alike'.format(reader.name, source['name'], key)
                    )
            for text, number in source.get('counts', {}).items():
                known['counts'][text] = known['counts'].get(text, 0) + number
            for reason, names in source.get('skipped', {}).items():
                known['skipped'][reason] = known['skipped'].get(reason, []) + names
    return joined


def split(
    name: str, parts: Dict[str, float], salt: str = '', progress: Callable[[Iterable], Iterable] = iter
) -> Dict[str, RecordMeta]:
    """Deal a record set's photos out to parts `NAME-PART`, a person's photos all to one.

    Where a photo goes follows from its person, or from its source and key, and from the salt: more photos or
    another order move none.

    Parameters
    ----------
    name : str
    parts : dict
        Part to its share; shares add up to 1.
    salt : str
        Another one gives another split.
    progress : callable
        Wraps the sequence of records.
    """
    if len(parts) < 2 or not abs(sum(parts.values()) - 1) <= 1e-6 or min(parts.values()) <= 0:
        raise PrepareError(
            f'parts {" ".join("{}={:g}".format(*part) for part in parts.items())}: two or more are needed, whose shares add up to 1'
        )
    reader = RecordReader(name)
    with ExitStack() as stack:
        writers = {
            part: stack.enter_context(
                RecordWriter(f'{reader.name}-{part}', reader.meta.sources, reader.meta.teachers)
            )
            for part in parts
        }
        for record in progress(reader):
            writers[_part(record.person or record_name(record), parts, salt)].add(record)
    return {part: writer.meta for part, writer in writers.items()}


def _part(owner: str, parts: Dict[str, float], salt: str) -> str:
    digest = hashlib.sha256((f'{salt}\n{owner}').encode()).digest()
    place = int.from_bytes(digest[:8], 'big') / 2**64
    names: List[str] = list(parts)
    for part in names[:-1]:
        place -= parts[part]
        if place < 0:
            return part
    return names[-1]
