"""Collect the demo's photos; set what a model found in them beside what the teachers said."""

from __future__ import annotations

import argparse
import sys
from typing import Optional, Sequence

from uniface_mx.cli.options import add_threshold, chosen_threshold
from uniface_mx.cli.program import run


def run_photos(arguments: argparse.Namespace) -> int:
    from uniface_mx.deploy.demo import collect_photos

    print(f'photos from {collect_photos(arguments.out)}')
    return 0


def run_compare(arguments: argparse.Namespace) -> int:
    from uniface_mx.data.records import RecordReader
    from uniface_mx.deploy.demo import compare, format_comparison, read_faces, shortcomings

    records = [record for name in arguments.records for record in RecordReader(name)]
    comparison = compare(sorted(records, key=lambda record: record.key), read_faces(arguments.faces))
    print(format_comparison(comparison))
    wrong = shortcomings(comparison)
    if wrong:
        print(wrong, file=sys.stderr)
    return 1 if wrong else 0


def run_people(arguments: argparse.Namespace) -> int:
    from uniface_mx.deploy.demo import format_people, read_faces
    from uniface_mx.deploy.predictor import Predictor

    threshold = chosen_threshold(arguments, Predictor.load(arguments.model).identification_threshold)
    print(format_people(read_faces(arguments.faces), threshold))
    return 0


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(prog='demo', description=__doc__)
    commands = parser.add_subparsers(dest='command', metavar='COMMAND')
    commands.required = True
    command = commands.add_parser(
        'photos', help="collect photos: the real data's, or portraits in the public domain"
    )
    command.add_argument('--out', required=True, metavar='DIR')
    command.set_defaults(run=run_photos)
    command = commands.add_parser(
        'compare',
        help='table of found and labelled faces; status 1 where one was missed, or seen where there is none',
    )
    command.add_argument(
        '--records', required=True, nargs='+', metavar='NAME', help='what the teachers labelled'
    )
    command.add_argument('--faces', required=True, metavar='FILE', help='faces.jsonl of detect --embeddings')
    command.set_defaults(run=run_compare)
    command = commands.add_parser(
        'people', help='who is who: a table of similarities, and the pairs that are one person'
    )
    command.add_argument('--faces', required=True, metavar='FILE', help='faces.jsonl of detect --embeddings')
    command.add_argument(
        '--model', default='uniface_a_lite', metavar='PREFIX', help='that found them (%(default)s)'
    )
    add_threshold(command)
    command.set_defaults(run=run_people)
    arguments = parser.parse_args(argv)
    return run('demo', lambda: arguments.run(arguments))


if __name__ == '__main__':
    sys.exit(main())
