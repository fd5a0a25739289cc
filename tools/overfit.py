"""Learn 32 records by heart, and say whether it worked.

A mistake in targets, losses, gradients or the updates would leave one of the terms high. Every term has to
fall below 5 % of its start, every face to be found at an overlap of 0.5, and the mimic loss to lie below 5 %
of the variance of the embeddings.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from uniface_mx.cli.program import DONE, INTERRUPTED, PARTLY, at_least, program


def overfit(arguments: argparse.Namespace) -> int:
    """Train and print what was learned; `PARTLY` if something was not."""
    from uniface_mx.train import overfit as heart  # late: MXNet's import takes seconds

    found = heart.overfit(arguments.records, arguments.out, arguments.count, arguments.set)
    if found is None:
        return INTERRUPTED
    for name, part in found['parts'].items():
        print(f'{name:<16}{found["first"][name]:.4f} -> {found["last"][name]:.4f}  {part:.1%} of its start')
    of_variance = f'{found["mimic_of_variance"]:.1%} of the variance {found["variance"]:.3f}'
    print(f'mimic loss {of_variance}; {found["recall"]:.1%} of the faces found')
    print('passed' if found['passed'] else f'failed: the limit is {heart.LIMIT:.0%}, and every face')
    return DONE if found['passed'] else PARTLY


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the program can be told."""
    parser.add_argument('--records', required=True, metavar='NAME', help='a record set with embeddings')
    parser.add_argument('--count', type=at_least(1), default=32, metavar='N', help='(%(default)s)')
    parser.add_argument('--out', type=Path, default=Path('runs/overfit'), metavar='DIR', help='(%(default)s)')
    parser.add_argument('--set', action='append', default=[], metavar='KEY=VALUE', help='of the settings')


main = program('overfit', __doc__, overfit, add_options, partly='something was not learned')

if __name__ == '__main__':
    sys.exit(main())
