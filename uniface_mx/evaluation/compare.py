"""Which of two models is better: their LFW accuracies fold by fold."""

from __future__ import annotations

import argparse

from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation.results import read_result
from uniface_mx.evaluation.verification import compare_folds

HELP = 'two LFW results, fold by fold'


def add_options(command: argparse.ArgumentParser) -> None:
    """Options of :func:`run`."""
    command.add_argument('first', metavar='FIRST', help='a lfw.json')
    command.add_argument('second', metavar='SECOND', help='another, over the same pairs')


def run(arguments: argparse.Namespace) -> None:
    """Two LFW results fold by fold."""
    folds = []
    for path in (arguments.first, arguments.second):
        folds.append(read_result(path)['metrics'].get('folds'))
        if folds[-1] is None:
            raise UnifaceError(f'{path}: no result of lfw, it has no folds')
    found = compare_folds(*folds)
    print('fold by fold, points: ' + ' '.join(f'{100 * value:+.2f}' for value in found.folds))
    mean, std = f'mean {100 * found.mean:+.2f}', f'standard deviation {100 * found.std:.2f}'
    print(f'{mean}, {std}; paired t-test: t = {found.t:.2f}, p = {found.p:.2g}')
    better = {1: 'the first is better', -1: 'the second is better', 0: 'neither is better'}[found.answer]
    print(f'{better} by more than two standard deviations of the difference')
