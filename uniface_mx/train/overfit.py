"""Learn a few records by heart, and judge whether it worked, for `tools/overfit.py`, which says by what."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any, Dict, Optional, Sequence

import numpy as np

from uniface_mx.config.reader import load_config
from uniface_mx.data.records import RecordReader, RecordWriter
from uniface_mx.data.rows import EMBEDDING, HAS_EMBEDDING, IGNORE
from uniface_mx.errors import UnifaceError
from uniface_mx.provenance import write_json
from uniface_mx.train.build import build_trainer
from uniface_mx.train.log import METRICS, read_rows

LIMIT = 0.05
TERMS = ('classification', 'box', 'landmarks', 'mimic')


def take(name: str, target: Path, count: int) -> float:
    """Copy the first records whose faces all have embeddings; the variance of these, summed over 128."""

    def whole(faces: np.ndarray) -> bool:
        return len(faces) > 0 and (faces[:, HAS_EMBEDDING] > 0).all() and not faces[:, IGNORE].any()

    reader = RecordReader(name)
    wanted = list(islice((record for record in reader if whole(record.objects)), count))
    if not wanted:
        raise UnifaceError(f'{name}: no record whose faces all have embeddings')
    with RecordWriter(target, reader.meta.sources, reader.meta.teachers) as writer:
        for record in wanted:
            writer.add(record)
    return float(np.concatenate([record.objects[:, EMBEDDING] for record in wanted]).var(axis=0).sum())


def figures(run: Path, variance: float) -> Dict[str, Any]:
    """First and last terms of a run, and what its last validation found."""
    train, validation = read_rows(run / METRICS), read_rows(run / METRICS, 'validation')[-1]
    first, last = train[0], train[-1]
    parts, of_variance = {name: last[name] / first[name] for name in TERMS}, last['mimic'] / variance
    return {
        'parts': parts,
        'recall': validation['recall'],
        'mimic_of_variance': of_variance,
        'variance': variance,
        'iterations': last['iteration'],
        'first': {name: first[name] for name in TERMS},
        'last': {name: last[name] for name in TERMS},
        'validation': validation,
        'passed': max(*parts.values(), of_variance) < LIMIT and validation['recall'] == 1.0,
    }


def overfit(records: str, out: Path, count: int, overrides: Sequence[str]) -> Optional[Dict[str, Any]]:
    """Train by ``experiments/overfit.yaml``, and write what was learned into the run's folder.

    Parameters
    ----------
    records : str
        A record set with embeddings, whose first `count` records are learned.
    out : Path
        Folder of the run.
    overrides : sequence of str
        ``KEY=VALUE`` of the configuration.

    Returns
    -------
    dict or None
        As `figures` has them; None where a signal came before the last iteration.

    Raises
    ------
    UnifaceError
        The folder holds a finished run, or the records have no embeddings.
    """
    learned = out / 'overfit_figures.json'
    if learned.exists():
        raise UnifaceError(f'{out}: holds a finished run; remove it, or choose another --out')
    config = load_config('overfit', [f'data.root={out}', *overrides])
    variance = take(records, out / 'overfit', count)
    trainer = build_trainer(config, out, resume=True)
    try:
        if not trainer.run():
            return None
    finally:
        trainer.log.close()
    found = figures(out, variance)
    write_json(learned, found)
    return found
