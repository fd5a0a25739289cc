"""Measure the speed of the project's parts: `benchmark.py data --records NAME ...`."""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import Optional, Sequence

from uniface_mx.cli.program import run
from uniface_mx.provenance import write_json

# A module has add_arguments(parser), and run(args), which prints a table and returns what --out stores.
SUBJECTS = {
    'data': ('uniface_mx.data.benchmark', 'reading, decoding, augmentation, beside ImageDetRecordIter'),
    'speed': ('uniface_mx.evaluation.speed', 'models on all backends, beside MTCNN and an embedding network'),
    'memory': ('uniface_mx.evaluation.memory', 'memory after many photos of mixed sizes'),
    'agreement': ('uniface_mx.evaluation.agreement', 'one backend beside another: what int8 costs'),
    'training': ('uniface_mx.train.benchmark', 'time and memory of training steps, by operator'),
}


def measure(args: argparse.Namespace) -> None:
    """Run one benchmark, and store its figures where that was asked for."""
    figures = importlib.import_module(SUBJECTS[args.subject][0]).run(args)
    if args.out:
        write_json(args.out, figures)


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(prog='benchmark', description=__doc__)
    subjects = parser.add_subparsers(dest='subject', required=True)
    for name, (module, text) in SUBJECTS.items():
        subject = subjects.add_parser(name, help=text, description=text)
        importlib.import_module(module).add_arguments(subject)
        subject.add_argument('--out', metavar='FILE', help='write the figures there as JSON')
    args = parser.parse_args(argv)
    return run('benchmark', lambda: measure(args))


if __name__ == '__main__':
    sys.exit(main())
