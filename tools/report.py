"""Collect result files into experiments/RESULTS.md and its figures."""

from __future__ import annotations

import argparse
import sys

from uniface_mx.cli.program import program
from uniface_mx.report.page import write_report


def report(arguments: argparse.Namespace) -> None:
    """Write the page."""
    print(f'wrote {write_report(arguments.results, arguments.out)}')


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the program can be told."""
    parser.add_argument('--results', default='experiments/results', metavar='DIR', help='(%(default)s)')
    parser.add_argument('--out', default='experiments/RESULTS.md', metavar='FILE', help='(%(default)s)')


main = program('report', __doc__, report, add_options)

if __name__ == '__main__':
    sys.exit(main())
