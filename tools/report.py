"""Collect result files into experiments/RESULTS.md and its figures."""

from __future__ import annotations

import argparse
import sys
from typing import Optional, Sequence

from uniface_mx.cli.program import run
from uniface_mx.report.page import write_report


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the program."""
    parser = argparse.ArgumentParser(prog='report', description=__doc__)
    parser.add_argument('--results', default='experiments/results', metavar='DIR', help='(%(default)s)')
    parser.add_argument('--out', default='experiments/RESULTS.md', metavar='FILE', help='(%(default)s)')
    arguments = parser.parse_args(argv)
    return run('report', lambda: print(f'wrote {write_report(arguments.results, arguments.out)}'))


if __name__ == '__main__':
    sys.exit(main())
