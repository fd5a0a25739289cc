"""Collect result files into experiments/RESULTS.md and its figures."""
from __future__ import annotations

import argparse
import sys

from uniface_mx.errors import UnifaceError


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--results', default='experiments/results', metavar='DIR', help='(%(default)s)')
    parser.add_argument('--out', default='experiments/RESULTS.md', metavar='FILE', help='(%(default)s)')
    arguments = parser.parse_args(argv)
    try:
        from uniface_mx.evaluation.report import write_report

        print('wrote {}'.format(write_report(arguments.results, arguments.out)))
    except UnifaceError as error:
        print('error: {}'.format(error), file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
