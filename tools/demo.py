"""Collect the demo's photos; set what a model found in them beside what the teachers said."""

from __future__ import annotations

import argparse
import sys

from uniface_mx.cli.photos import add_model, add_threshold, chosen_threshold
from uniface_mx.cli.program import DONE, PARTLY, program
from uniface_mx.data.records import RecordReader
from uniface_mx.deploy import demo
from uniface_mx.deploy.predictor import Predictor


def collect_photos(arguments: argparse.Namespace) -> None:
    """Put the photos into a folder."""
    print(f'photos from {demo.collect_photos(arguments.out)}')


def compare(arguments: argparse.Namespace) -> int:
    """Print what was found beside what was labelled; `PARTLY` where that is not the same."""
    records = [record for name in arguments.records for record in RecordReader(name)]
    found = demo.read_faces(arguments.faces)
    comparison = demo.compare(sorted(records, key=lambda record: record.key), found)
    print(demo.format_comparison(comparison))
    wrong = demo.shortcomings(comparison)
    if wrong:
        print(wrong, file=sys.stderr)
    return PARTLY if wrong else DONE


def people(arguments: argparse.Namespace) -> None:
    """Print who is who."""
    threshold = chosen_threshold(arguments, Predictor.load(arguments.model).identification_threshold)
    print(demo.format_people(demo.read_faces(arguments.faces), threshold))


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the program can be told."""
    commands = parser.add_subparsers(required=True, metavar='COMMAND')
    text = "collect photos: the real data's, or portraits in the public domain"
    command = commands.add_parser('photos', help=text)
    command.add_argument('--out', required=True, metavar='DIR')
    command.set_defaults(run=collect_photos)
    text = 'table of found and labelled faces; status 1 where one was missed, or seen where there is none'
    command = commands.add_parser('compare', help=text)
    text = 'what the teachers labelled'
    command.add_argument('--records', required=True, nargs='+', metavar='NAME', help=text)
    faces = {'required': True, 'metavar': 'FILE', 'help': 'faces.jsonl of detect --embeddings'}
    command.add_argument('--faces', **faces)
    command.set_defaults(run=compare)
    text = 'who is who: a table of similarities, and the pairs that are one person'
    command = commands.add_parser('people', help=text)
    command.add_argument('--faces', **faces)
    add_model(command, 'that found them')
    add_threshold(command)
    command.set_defaults(run=people)


main = program('demo', __doc__, add_options=add_options)

if __name__ == '__main__':
    sys.exit(main())
