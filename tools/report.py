"""Collect result files into experiments/RESULTS.md and its figures."""

from __future__ import annotations

import argparse
import sys

from uniface_mx.cli.program import run


def report(arguments: argparse.Namespace) -> None:
    from uniface_mx.report.page import write_report

    print(f'wrote {write_report(arguments.results, arguments.out)}')


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--results', default='experiments/results', metavar='DIR', help='(%(default)s)')
    parser.add_argument('--out', default='experiments/RESULTS.md', metavar='FILE', help='(%(default)s)')
    arguments = parser.parse_args(argv)
    return run('report', lambda: report(arguments))


if __name__ == '__main__':
    sys.exit(main())
