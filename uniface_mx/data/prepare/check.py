"""Is a record set sound, and free of evaluation photos?"""

from __future__ import annotations

from collections import defaultdict
from typing import Callable, Dict, Iterable, List, Sequence

import numpy as np

from uniface_mx.data.prepare.duplicates import DUPLICATE, Duplicates, record_name
from uniface_mx.data.prepare.guard import GUARDED, Guard
from uniface_mx.data.records import (
    EMBEDDING,
    HAS_EMBEDDING,
    HAS_LANDMARKS,
    IGNORE,
    RecordError,
    RecordReader,
    record_problems,
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
    norms, owners, objects = [], [], [np.zeros((0, IGNORE + 1), np.float32)]
    for i in progress(range(len(reader))):
        try:
            record = reader[i]
        except RecordError as error:
            problems['unreadable'].append(str(error))
            continue
        title = 'record %d, %s' % (i, record_name(record))
        problems['damaged'] += [f'{title}: {text}' for text in record_problems(record)]
        first = seen.find(record)
        if first is not None:
            problems[DUPLICATE].append(f'{title}: {first}')
        other = guard.find(record) if guard else None
        if other is not None:
            problems[GUARDED].append(f'{title}: {other}')
        objects.append(record.objects[:, : IGNORE + 1])
        rows = record.objects[record.objects[:, HAS_EMBEDDING] == 1, EMBEDDING]
        norms += np.linalg.norm(rows, axis=1).tolist()
        owners += [title] * len(rows)
    problems['embedding of unlikely length'] += _unlikely(np.array(norms), owners)
    problems['count'] += _counts(reader, np.concatenate(objects))
    return {kind: texts for kind, texts in problems.items() if texts}


def _unlikely(norms: np.ndarray, owners: Sequence[str]) -> List[str]:
    if not len(norms):
        return []
    ratio = norms / np.median(norms)
    odd = np.flatnonzero(~((ratio < NORM_FACTOR) & (ratio > 1 / NORM_FACTOR)))
    return [f'{owners[i]}: {norms[i]:.3f}, median {np.median(norms):.3f}' for i in odd]


def _counts(reader: RecordReader, objects: np.ndarray) -> List[str]:
    found = {
        'faces': (objects[:, IGNORE] == 0).sum(),
        'ignored': (objects[:, IGNORE] == 1).sum(),
        'landmarks': objects[:, HAS_LANDMARKS].sum(),
        'embeddings': objects[:, HAS_EMBEDDING].sum(),
    }
    return [
        '%s: %d where the .json says %d' % (key, number, getattr(reader.meta, key))
        for key, number in found.items()
        if number != getattr(reader.meta, key)
    ]
