"""Learn 32 records by heart, and say whether it worked: ``python -m uniface_mx.train.overfit --records
NAME``.

A mistake in targets, losses, gradients or the updates would leave one of the terms high. Every term has to
fall below 5 % of its start, every face to be found at an overlap of 0.5, and the mimic loss to lie below 5 %
of the variance of the embeddings.
"""

from __future__ import annotations

import argparse
import sys
from itertools import islice
from pathlib import Path
from typing import Any, Dict, Optional, Sequence

import numpy as np

from uniface_mx.cli.program import DONE, INTERRUPTED, PARTLY, STATUS, at_least, run
from uniface_mx.config.reader import load_config
from uniface_mx.data.records import EMBEDDING, HAS_EMBEDDING, IGNORE, RecordReader, RecordWriter
from uniface_mx.errors import UnifaceError
from uniface_mx.provenance import write_json
from uniface_mx.train.build import build_trainer
from uniface_mx.train.log import METRICS, read_rows

LIMIT = 0.05
TERMS = ('classification', 'box', 'landmarks', 'mimic')


def take(name: str, target: Path, count: int) -> float:
    """Copy the first records whose faces all have an embedding; the variance of those embeddings (summed over
    128).
    """
    reader = RecordReader(name)
    wanted = islice(
        (
            record
            for record in reader
            if len(record.objects)
            and (record.objects[:, HAS_EMBEDDING] > 0).all()
            and not record.objects[:, IGNORE].any()
        ),
        count,
    )
    with RecordWriter(target, reader.meta.sources, reader.meta.teachers) as writer:
        embeddings = []
        for record in wanted:
            writer.add(record)
            embeddings.append(record.objects[:, EMBEDDING])
    if not embeddings:
        raise UnifaceError(f'{name}: no record whose faces all have embeddings')
    return float(np.concatenate(embeddings).var(axis=0).sum())


def figures(run: Path, variance: float) -> Dict[str, Any]:
    """First and last terms of a run, and what its last validation found."""
    train, validation = read_rows(run / METRICS), read_rows(run / METRICS, 'validation')[-1]
    first, last = train[0], train[-1]
    found = {
        'parts': {name: last[name] / first[name] for name in TERMS},
        'recall': validation['recall'],
        'mimic_of_variance': last['mimic'] / variance,
        'variance': variance,
        'iterations': last['iteration'],
        'first': {name: first[name] for name in TERMS},
        'last': {name: last[name] for name in TERMS},
        'validation': validation,
    }
    found['passed'] = bool(
        max(found['parts'].values()) < LIMIT and found['recall'] == 1.0 and found['mimic_of_variance'] < LIMIT
    )
    return found


def overfit(args: argparse.Namespace) -> int:
    """Train and print what was learned; `PARTLY` if something was not, `INTERRUPTED` where a signal came before the
    last iteration.
    """
    learned = args.out / 'overfit_figures.json'
    if learned.exists():
        raise UnifaceError(f'{args.out}: holds a finished run; remove it, or choose another --out')
    config = load_config('overfit', [f'data.root={args.out}'] + args.set)
    variance = take(args.records, args.out / 'overfit', args.count)
    trainer = build_trainer(config, args.out, resume=True)
    try:
        if not trainer.run():
            return INTERRUPTED
    finally:
        trainer.log.close()
    found = figures(args.out, variance)
    write_json(learned, found)
    for name, part in found['parts'].items():
        print(f'{name:<16}{found["first"][name]:.4f} -> {found["last"][name]:.4f}  {part:.1%} of its start')
    print(
        'mimic loss {:.1%} of the variance {:.3f}; {:.1%} of the faces found'.format(
            found['mimic_of_variance'], variance, found['recall']
        )
    )
    print('passed' if found['passed'] else f'failed: the limit is {LIMIT:.0%}, and every face')
    return DONE if found['passed'] else PARTLY


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(
        prog='overfit', description=__doc__.split('\n')[0], epilog=STATUS.format('something was not learned')
    )
    parser.add_argument('--records', required=True, metavar='NAME', help='a record set with embeddings')
    parser.add_argument('--count', type=at_least(1), default=32)
    parser.add_argument('--out', type=Path, default=Path('runs/overfit'))
    parser.add_argument('--set', action='append', default=[], metavar='KEY=VALUE')
    args = parser.parse_args(argv)
    return run('overfit', lambda: overfit(args))


if __name__ == '__main__':
    sys.exit(main())
