"""Prepare record sets of photos whose faces teachers have labelled, and look after them."""

from __future__ import annotations

import argparse
import os
import random
import sys
from typing import Callable, Iterable, Optional

from tqdm import tqdm

from uniface_mx.cli.program import at_least, program, within
from uniface_mx.config.reader import load_config
from uniface_mx.config.schema import ModelConfig
from uniface_mx.data.prepare import inspection
from uniface_mx.data.prepare.alter import write_altered
from uniface_mx.data.prepare.cache import Cache
from uniface_mx.data.prepare.executor import open_executor
from uniface_mx.data.prepare.label import LabelRules
from uniface_mx.data.prepare.make import NEGATIVES, make, shard_range
from uniface_mx.data.prepare.sets import merge, split
from uniface_mx.data.prepare.worker import Job
from uniface_mx.data.records import RecordMeta, RecordReader, record_path
from uniface_mx.data.sources import SOURCES, open_source
from uniface_mx.image import write_image
from uniface_mx.models import get_model
from uniface_mx.nn.anchors import ASPECT_RATIOS

# MTCNN's last threshold lies low: what it is unsure of is to be ignored, and not background.
TEACHERS = ('mtcnn_pypi?thresholds=[0.6,0.7,0.6]', 'dlib')


def _make(args: argparse.Namespace) -> None:
    source = open_source(args.source)
    rules = LabelRules(args.accept, args.agree, args.min_face)
    stored = {name: getattr(args, name) for name in ('mirror', 'size', 'quality', 'min_side', 'max_pixels')}
    job = Job(tuple(args.teacher), source.complete, source.teacher_box, rules, **stored)
    shard, shards = args.shard
    first, last = shard_range(
        len(source) if args.limit is None else min(args.limit, len(source)), shard, shards
    )
    progress = bar(source.name, last - first)
    asked = dict(people=args.people, limit=args.limit, max_bad=args.max_bad, shard=shard, shards=shards)
    try:
        with open_executor(args.workers, args.dask) as (executor, workers):
            cache = Cache(args.cache)
            summary = make(
                source, args.out, job, executor, cache, workers=workers, progress=progress, **asked
            )
    except KeyboardInterrupt:
        print('\nthe same command goes on where it was', file=sys.stderr)
        raise
    print(f'{source.name}: {summary.photos} photos, {summary.new_answers} new answers of teachers')
    for text, number in sorted(summary.counts.items()):
        print(f'  {number:8} {text}')
    for reason, names in sorted(summary.skipped.items()):
        print(f'  {len(names):8} left out: {reason}, as {"; ".join(names[:3])}')
    for path, meta in summary.written.items():
        print_meta(path, meta)


def _merge(args: argparse.Namespace) -> None:
    names = [str(record_path(name, '')) for name in args.names]
    print_meta(args.out, merge(names, args.out, args.guard, bar('merge')))
    rest = [name + NEGATIVES for name in names if record_path(name + NEGATIVES, '.json').exists()]
    if rest:
        out = f'{record_path(args.out, "")}{NEGATIVES}'
        print_meta(out, merge(rest, out, args.guard, bar('merge negatives')))


def _split(args: argparse.Namespace) -> None:
    for part, meta in split(args.name, dict(args.parts), args.salt, bar('split')).items():
        print_meta(f'{record_path(args.name, "")}-{part}', meta)


def _check(args: argparse.Namespace) -> int:
    sound = True
    for name in args.names:
        problems = sorted(inspection.check(name, args.guard, bar('check')).items())
        found = ', '.join(f'{len(texts)} {kind}' for kind, texts in problems)
        print(f'{name}: {found or "sound"}')
        for kind, texts in problems:
            for text in texts[: args.show]:
                print(f'  {kind}: {text}')
        sound = sound and not problems
    return 0 if sound else 1


def _stats(args: argparse.Namespace) -> None:
    found = inspection.measure(args.names, bar('stats'))
    model = load_config(args.config).model if args.config else ModelConfig()
    overlaps = inspection.best_overlaps(found.boxes, get_model(model.name, **model.overrides()).anchors)
    print('\n'.join(inspection.describe(found, overlaps)))
    if args.picture:
        inspection.picture(
            found, args.picture, overlaps, model.overrides().get('aspect_ratios', ASPECT_RATIOS)
        )


def _show(args: argparse.Namespace) -> None:
    reader = RecordReader(args.name)
    numbers = range(min(args.count, len(reader)))
    if args.seed is not None:
        numbers = sorted(random.Random(args.seed).sample(range(len(reader)), len(numbers)))
    write_image(args.out, inspection.sheet(args.name, numbers))
    for number in numbers:
        record = reader[number]
        size = f'{record.width}x{record.height}'
        print(number, record.source, record.key, size, len(record.objects), 'faces', record.person or '-')


def _alter(args: argparse.Namespace) -> None:
    count = write_altered(args.names, args.out, args.count, args.seed, bar('alter'))
    print(f'{args.out}: {count} photos; label them with make --source folder:{args.out}')


def bar(title: str, total: Optional[int] = None) -> Callable[[Iterable], Iterable]:
    """What wraps a sequence so that a bar tells how far it is."""
    return lambda things: tqdm(things, desc=title, mininterval=1, dynamic_ncols=True, total=total)


def print_meta(name: str, meta: RecordMeta) -> None:
    """What is in a record set, in one line."""
    print(
        f'{name}: {meta.records} photos, {meta.faces} faces to learn, {meta.ignored} ignored, '
        f'{meta.landmarks} landmarks, {meta.embeddings} embeddings, {len(meta.persons)} persons named'
    )


def pair(separator: str, first: Callable, second: Callable, example: str) -> Callable[[str], tuple]:
    """A type of options: two values with something between, as in the example."""

    def convert(text: str) -> tuple:
        left, _, right = text.partition(separator)
        try:
            return first(left), second(right)
        except ValueError:
            raise argparse.ArgumentTypeError(f'{text!r} is not like {example}') from None

    return convert


SHARE = within(0, 1, float)
# Options of `make` that are one number: name, type, default, help.
MAKE_NUMBERS = (
    ('--max-bad', SHARE, 0.05, 'stop if more than this part of the photos is bad'),
    ('--size', at_least(32), Job.size, 'longer side of stored photos'),
    ('--quality', within(1, 100), Job.quality, 'of JPEGs that must be encoded'),
    ('--min-side', at_least(1), Job.min_side, 'photos with a shorter side are skipped'),
    ('--max-pixels', at_least(1), Job.max_pixels, 'larger photos are skipped'),
    ('--accept', SHARE, LabelRules.accept, 'score from which a face that only the teacher sees is one'),
    ('--agree', SHARE, LabelRules.agree, 'overlap from which two boxes are one face'),
    ('--min-face', at_least(0, float), LabelRules.min_face, 'side from which the teachers are believed'),
)


def _make_arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add('--source', required=True, metavar='KIND:PATH', help=f'KIND: {", ".join(sorted(SOURCES))}')
    text = f'writes NAME.rec, and NAME{NEGATIVES}.rec with photos that show no face'
    add('--out', required=True, metavar='NAME', help=text)
    text = 'NAME or NAME?OPTION=VALUE&... (%(default)s)'
    add('--teacher', nargs=2, default=TEACHERS, metavar=('LANDMARKS', 'EMBEDDINGS'), help=text)
    text = 'keeps what teachers found (%(default)s); not on a network file system'
    add('--cache', metavar='FILE', default='teachers.cache', help=text)
    add('--shard', type=pair('/', int, int, '2/8'), default=(1, 1), metavar='I/N', help='only part I of N')
    where = command.add_mutually_exclusive_group()
    text = 'processes of one thread each (%(default)s); 0: none but this one'
    where.add_argument('--workers', type=int, default=os.cpu_count() or 1, metavar='N', help=text)
    where.add_argument('--dask', metavar='ADDRESS', help='of a Dask scheduler, whose workers do the work')
    text = "prefix of the persons' names, the same for sources that know the same people"
    add('--people', default='', metavar='NAME', help=text)
    add('--limit', type=at_least(1), metavar='N', help='only the first photos of the source')
    text = "average each embedding with the mirrored face's (default)"
    add('--mirror', action='store_true', default=True, help=text)
    add('--no-mirror', dest='mirror', action='store_false')
    for name, kind, default, text in MAKE_NUMBERS:
        add(name, type=kind, default=default, metavar='N', help=text + ' (%(default)s)')


def _add_guard(command: argparse.ArgumentParser, text: str) -> None:
    text = 'record sets of evaluation sets, whose photos ' + text
    command.add_argument('--guard', nargs='+', default=(), metavar='NAME', help=text)


def _merge_arguments(command: argparse.ArgumentParser) -> None:
    text = 'record sets; the negatives beside them are merged too'
    command.add_argument('names', nargs='+', metavar='NAME', help=text)
    command.add_argument('--out', required=True, metavar='NAME')
    _add_guard(command, 'are left out')


def _split_arguments(command: argparse.ArgumentParser) -> None:
    add, text = command.add_argument, 'writes NAME-PART.rec, ...'
    add('name', metavar='NAME')
    add(
        '--parts',
        nargs='+',
        type=pair('=', str, float, 'train=0.9'),
        required=True,
        metavar='PART=SHARE',
        help=text,
    )
    add('--salt', default='', help='another one gives another split')


def _check_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument('names', nargs='+', metavar='NAME')
    _add_guard(command, 'must not occur')
    text = 'problems listed of each kind (%(default)s)'
    command.add_argument('--show', type=at_least(0), default=10, metavar='N', help=text)


def _stats_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument('names', nargs='+', metavar='NAME')
    text = 'whose anchors to match; the default anchors if not given'
    command.add_argument('--config', metavar='FILE', help=text)
    command.add_argument('--picture', metavar='FILE', help='draw the distributions')


def _show_arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add('name', metavar='NAME')
    add('--out', required=True, metavar='FILE', help='.png or .jpg')
    add('--count', type=at_least(1), default=40, metavar='N')
    add('--seed', type=at_least(0), metavar='N', help='show records drawn by lot, not the first ones')


def _alter_arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add('names', nargs='+', metavar='NAME', help='record sets of photos with one face')
    add('--out', required=True, metavar='DIR', help='folder of photos')
    add('--count', type=at_least(1), default=10000, metavar='N', help='(%(default)s)')
    add('--seed', type=at_least(0), default=0, metavar='N', help='(%(default)s)')


# Name, what adds its arguments, what it does, and how it is described.
COMMANDS = (
    ('make', _make_arguments, _make, 'label a source; after a stop the same command goes on where it was'),
    ('merge', _merge_arguments, _merge, 'join record sets, without duplicates'),
    ('split', _split_arguments, _split, 'deal a record set out to parts, by person'),
    ('check', _check_arguments, _check, 'look for everything that can be wrong with record sets'),
    ('stats', _stats_arguments, _stats, 'numbers and distributions of the faces in record sets'),
    ('alter', _alter_arguments, _alter, 'photos turned, lit and spoilt strongly, to label as any others'),
    ('show', _show_arguments, _show, 'draw records with what is in them'),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the commands."""
    commands = parser.add_subparsers(dest='command', required=True)
    for name, arguments, work, text in COMMANDS:
        command = commands.add_parser(name, help=text, description=text)
        arguments(command)
        command.set_defaults(run=work)


main = program('prepare_data', __doc__, add_options=add_options)

if __name__ == '__main__':
    sys.exit(main())
