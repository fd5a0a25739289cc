"""Whether a record set is sound, and free of evaluation photos."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Callable, Dict, Iterable, List, Sequence

import numpy as np

from uniface_mx.data.prepare.duplicates import DUPLICATE, GUARDED, Duplicates, Guard, record_name
from uniface_mx.data.records import Record, RecordError, RecordReader
from uniface_mx.data.rows import (
    BOX,
    CLASS,
    EMBEDDING,
    HAS_EMBEDDING,
    HAS_LANDMARKS,
    IGNORE,
    LANDMARKS,
    count_faces,
    embeddings,
)

NORM_FACTOR = 1.5


def check(
    name: str, guards: Sequence[str] = (), progress: Callable[[Iterable], Iterable] = iter
) -> Dict[str, List[str]]:
    """Look for everything that can be wrong with a record set.

    Schema, sizes and sha256 of the files; decodability, geometry and flags of each record; embeddings that
    are not about as long as the others (`NORM_FACTOR` times the median, or less than its inverse); counts;
    pictures that occur twice; photos of evaluation sets.

    Parameters
    ----------
    name : str
        Record set.
    guards : sequence of str
        Record sets of evaluation sets.
    progress : callable
        Wraps the sequence of record numbers.

    Returns
    -------
    dict
        Kind of problem to what was found; empty for a sound set.

    Raises
    ------
    RecordError
        The set as a whole cannot be read.
    """
    reader = RecordReader(name, verify=True)
    guard = Guard(guards, reader.meta.teachers) if guards else None
    seen = Duplicates()
    problems: Dict[str, List[str]] = defaultdict(list)
    counts: Counter = Counter()
    norms: List[float] = []
    owners: List[str] = []
    for i in progress(range(len(reader))):
        try:
            record = reader[i]
        except RecordError as error:
            problems['unreadable'].append(str(error))
            continue
        title = f'record {i}, {record_name(record)}'
        problems['damaged'] += [f'{title}: {text}' for text in record_problems(record)]
        for kind, found in ((DUPLICATE, seen.find(record)), (GUARDED, guard and guard.find(record))):
            if found is not None:
                problems[kind].append(f'{title}: {found}')
        counts.update(count_faces(record.objects))
        norms += np.linalg.norm(embeddings(record.objects), axis=1).tolist()
        owners += [title] * (len(norms) - len(owners))
    problems['embedding of unlikely length'] += _unlikely(np.array(norms), owners)
    for name in ('faces', 'ignored', 'landmarks', 'embeddings'):
        stated = getattr(reader.meta, name)
        if counts[name] != stated:
            problems['count'].append(f'{name}: {counts[name]} where the .json says {stated}')
    return {kind: texts for kind, texts in problems.items() if texts}


def _unlikely(norms: np.ndarray, owners: Sequence[str]) -> List[str]:
    if not len(norms):
        return []
    median = np.median(norms)
    odd = np.flatnonzero(~((norms < NORM_FACTOR * median) & (norms * NORM_FACTOR > median)))
    return [f'{owners[i]}: {norms[i]:.3f}, median {median:.3f}' for i in odd]


def record_problems(record: Record) -> List[str]:
    """What is wrong with a record's image, geometry, flags and embeddings; empty if nothing is."""
    problems = []
    try:
        record.decode()
    except RecordError as error:
        problems.append(str(error))
    for i, row in enumerate(record.objects):
        problems += [f'face {i}: {text}' for text in _face_problems(row)]
    return problems


def _face_problems(row: np.ndarray) -> List[str]:
    if not np.isfinite(row).all():
        return ['a value is not finite']
    x1, y1, x2, y2 = row[BOX]
    has_embedding = row[HAS_EMBEDDING] == 1
    checks = (
        (row[CLASS] == 0, 'class is not 0'),
        (0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1, 'box outside the image or without area'),
        (np.isin(row[[HAS_LANDMARKS, HAS_EMBEDDING, IGNORE]], (0, 1)).all(), 'a flag is neither 0 nor 1'),
        (
            row[HAS_LANDMARKS] == 0 or ((row[LANDMARKS] >= 0) & (row[LANDMARKS] <= 1)).all(),
            'landmarks outside the image',
        ),
        (has_embedding == bool(np.any(row[EMBEDDING])), 'embedding and its flag disagree'),
        (row[IGNORE] == 0 or not (row[HAS_LANDMARKS] or has_embedding), 'an ignored face has labels'),
    )
    return [text for good, text in checks if not good]
