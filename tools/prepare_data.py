"""Prepare record sets of photos whose faces teachers have labelled, and look after them."""

from __future__ import annotations

import argparse
import os
import random
import sys

from tqdm import tqdm

from uniface_mx.cli.program import at_least, run, within
from uniface_mx.config.reader import load_config
from uniface_mx.config.schema import Model
from uniface_mx.data.prepare import stats
from uniface_mx.data.prepare.alter import alterations
from uniface_mx.data.prepare.cache import Cache
from uniface_mx.data.prepare.check import check
from uniface_mx.data.prepare.executor import open_executor
from uniface_mx.data.prepare.label import Rules
from uniface_mx.data.prepare.look import Job
from uniface_mx.data.prepare.make import NEGATIVES, make, shard_range
from uniface_mx.data.prepare.morph import morphs
from uniface_mx.data.prepare.portraits import write_photos
from uniface_mx.data.prepare.sets import merge, split
from uniface_mx.data.prepare.show import sheet
from uniface_mx.data.records import RecordReader, record_path
from uniface_mx.data.sources import SOURCES, open_source
from uniface_mx.image import write_image
from uniface_mx.models import get_model
from uniface_mx.nn.anchors import ASPECT_RATIOS

# MTCNN's last threshold lies low: what it is unsure of is to be ignored, and not background.
TEACHERS = ('mtcnn_pypi?thresholds=[0.6,0.7,0.6]', 'dlib')


def label(args, source):
    """Label a source; the summary."""
    job = Job(
        tuple(args.teacher),
        source.complete,
        source.teacher_box,
        Rules(args.accept, args.agree, args.min_face),
        args.mirror,
        args.size,
        args.quality,
        args.min_side,
        args.max_pixels,
    )
    count = len(source) if args.limit is None else min(args.limit, len(source))
    first, last = shard_range(count, *args.shard)
    with open_executor(args.workers, args.dask) as (executor, workers):
        return make(
            source,
            args.out,
            job,
            executor,
            Cache(args.cache),
            workers=workers,
            people=args.people,
            shard=args.shard[0],
            shards=args.shard[1],
            limit=args.limit,
            max_bad=args.max_bad,
            progress=bar(source.name, args.interval, total=last - first),
        )


def run_make(args):
    source = open_source(args.source)
    try:
        summary = label(args, source)
    except KeyboardInterrupt:
        print('\nthe same command goes on where it was', file=sys.stderr)
        raise
    share = 100 * summary.teacher_seconds / max(summary.seconds, 1e-9)
    print(
        '%s: %d photos, %d new answers of teachers; %.1f s of processor time, %.0f %% of it theirs'
        % (source.name, summary.photos, summary.new_answers, summary.seconds, share)
    )
    for text, number in sorted(summary.counts.items()):
        print('  %8d %s' % (number, text))
    for reason, names in sorted(summary.skipped.items()):
        print('  %8d left out: %s, as %s' % (len(names), reason, '; '.join(names[:3])))
    for path, meta in summary.written.items():
        print_meta(path, meta)


def run_merge(args):
    print_meta(args.out, merge(args.names, args.out, args.duplicates, args.guard, bar('merge')))
    rest = [
        name + NEGATIVES
        for name in (str(record_path(n, '')) for n in args.names)
        if record_path(name + NEGATIVES, '.json').exists()
    ]
    if rest:
        out = str(record_path(args.out, '')) + NEGATIVES
        print_meta(out, merge(rest, out, args.duplicates, args.guard, bar('merge negatives')))


def run_split(args):
    for part, meta in split(args.name, dict(args.parts), args.salt, bar('split')).items():
        print_meta('{}-{}'.format(record_path(args.name, ''), part), meta)


def run_check(args):
    sound = True
    for name in args.names:
        problems = sorted(check(name, args.guard, bar('check')).items())
        print(
            '{}: {}'.format(
                name, ', '.join('%d %s' % (len(texts), kind) for kind, texts in problems) or 'sound'
            )
        )
        for kind, texts in problems:
            for text in texts[: args.show]:
                print(f'  {kind}: {text}')
        sound = sound and not problems
    return 0 if sound else 1


def run_stats(args):
    found = stats.measure(args.names, bar('stats'))
    model = load_config(args.config).model if args.config else Model()
    overlaps = stats.best_overlaps(found.boxes, get_model(model.name, **model.overrides()).anchors)
    print('\n'.join(stats.describe(found, overlaps)))
    if args.picture:
        stats.picture(found, args.picture, overlaps, model.overrides().get('aspect_ratios', ASPECT_RATIOS))


def run_show(args):
    reader = RecordReader(args.name)
    numbers = range(args.start, min(args.start + args.count, len(reader)))
    if args.seed is not None:
        numbers = sorted(random.Random(args.seed).sample(range(len(reader)), min(args.count, len(reader))))
    write_image(args.out, sheet(args.name, numbers, args.side, args.columns))
    for number in numbers:
        record = reader[number]
        size, faces = '%dx%d' % (record.width, record.height), len(record.objects)
        print(number, record.source, record.key, size, faces, 'faces', record.person or '-')


def run_morph(args):
    write_portraits(args, morphs)


def run_alter(args):
    write_portraits(args, alterations)


def write_portraits(args, kind):
    count = write_photos(args.out, args.count, args.seed, kind(args.names), bar(args.command))
    print('%s: %d photos; label them with make --source folder:%s' % (args.out, count, args.out))


def bar(title, interval=1.0, total=None):
    return lambda things: tqdm(
        things,
        desc=title,
        mininterval=interval,
        dynamic_ncols=True,
        total=len(things) if hasattr(things, '__len__') else total,
    )


def print_meta(name, meta):
    print(
        '%s: %d photos, %d faces to learn, %d ignored, %d landmarks, %d embeddings, %d persons named'
        % (name, meta.records, meta.faces, meta.ignored, meta.landmarks, meta.embeddings, len(meta.persons))
    )


def shard_argument(text):
    shard, _, shards = text.partition('/')
    try:
        return int(shard), int(shards)
    except ValueError:
        raise argparse.ArgumentTypeError(f'{text!r} is not like 2/8') from None


def part_argument(text):
    name, _, share = text.partition('=')
    try:
        return name, float(share)
    except ValueError:
        raise argparse.ArgumentTypeError(f'{text!r} is not like train=0.9') from None


SHARE = within(0, 1, float)
# Options of `make` that are one number: name, type, default, help.
MAKE_NUMBERS = (
    ('--max-bad', SHARE, 0.05, 'stop if more than this part of the photos is bad'),
    ('--size', at_least(32), Job.size, 'longer side of stored photos'),
    ('--quality', within(1, 100), Job.quality, 'of JPEGs that must be encoded'),
    ('--min-side', at_least(1), Job.min_side, 'photos with a shorter side are skipped'),
    ('--max-pixels', at_least(1), Job.max_pixels, 'larger photos are skipped'),
    ('--accept', SHARE, Rules.accept, 'score from which a face that only the teacher sees is one'),
    ('--agree', SHARE, Rules.agree, 'overlap from which two boxes are one face'),
    ('--min-face', at_least(0, float), Rules.min_face, 'side in pixels from which the teachers are believed'),
    ('--interval', at_least(0, float), 1.0, 'seconds between updates of the bar'),
)


def make_arguments(command):
    add = command.add_argument
    add('--source', required=True, metavar='KIND:PATH', help='KIND: {}'.format(', '.join(sorted(SOURCES))))
    text = f'writes NAME.rec, and NAME{NEGATIVES}.rec with photos that show no face'
    add('--out', required=True, metavar='NAME', help=text)
    text = 'NAME or NAME?OPTION=VALUE&... (%(default)s)'
    add('--teacher', nargs=2, default=TEACHERS, metavar=('LANDMARKS', 'EMBEDDINGS'), help=text)
    text = 'keeps what teachers found (%(default)s); not on a network file system'
    add('--cache', metavar='FILE', default='teachers.cache', help=text)
    add('--shard', type=shard_argument, default=(1, 1), metavar='I/N', help='only part I of N')
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


def add_guard(command, text):
    text = 'record sets of evaluation sets, whose photos ' + text
    command.add_argument('--guard', nargs='+', default=(), metavar='NAME', help=text)


def merge_arguments(command):
    text = 'record sets; the negatives beside them are merged too'
    command.add_argument('names', nargs='+', metavar='NAME', help=text)
    command.add_argument('--out', required=True, metavar='NAME')
    add_guard(command, 'are left out')
    command.add_argument('--duplicates', action='store_true', help='keep photos that occur twice')


def split_arguments(command):
    command.add_argument('name', metavar='NAME')
    text = 'writes NAME-PART.rec, ...'
    command.add_argument(
        '--parts', nargs='+', type=part_argument, required=True, metavar='PART=SHARE', help=text
    )
    command.add_argument('--salt', default='', help='another one gives another split')


def check_arguments(command):
    command.add_argument('names', nargs='+', metavar='NAME')
    add_guard(command, 'must not occur')
    text = 'problems listed of each kind (%(default)s)'
    command.add_argument('--show', type=at_least(0), default=10, metavar='N', help=text)


def stats_arguments(command):
    command.add_argument('names', nargs='+', metavar='NAME')
    text = 'whose anchors to match; the default anchors if not given'
    command.add_argument('--config', metavar='FILE', help=text)
    command.add_argument('--picture', metavar='FILE', help='draw the distributions')


def show_arguments(command):
    command.add_argument('name', metavar='NAME')
    command.add_argument('--out', required=True, metavar='FILE', help='.png or .jpg')
    command.add_argument('--start', type=at_least(0), default=0, metavar='N')
    command.add_argument('--count', type=at_least(1), default=40, metavar='N')
    command.add_argument('--seed', type=at_least(0), metavar='N', help='show records drawn by lot')
    command.add_argument(
        '--side', type=at_least(16), default=180, help='of a picture, in pixels (%(default)s)'
    )
    command.add_argument('--columns', type=at_least(1), default=8)


def portrait_arguments(command):
    command.add_argument('names', nargs='+', metavar='NAME', help='record sets of photos with one face')
    command.add_argument('--out', required=True, metavar='DIR', help='folder of photos')
    command.add_argument('--count', type=at_least(1), default=10000, metavar='N', help='(%(default)s)')
    command.add_argument('--seed', type=at_least(0), default=0, metavar='N', help='(%(default)s)')


COMMANDS = {
    'make': (make_arguments, run_make, 'label a source; after a stop the same command goes on where it was'),
    'merge': (merge_arguments, run_merge, 'join record sets, without duplicates'),
    'split': (split_arguments, run_split, 'deal a record set out to parts, by person'),
    'check': (check_arguments, run_check, 'look for everything that can be wrong with record sets'),
    'stats': (stats_arguments, run_stats, 'numbers and distributions of the faces in record sets'),
    'morph': (
        portrait_arguments,
        run_morph,
        "photos of faces between two people's, to be labelled as any others",
    ),
    'alter': (
        portrait_arguments,
        run_alter,
        'photos turned, lit and spoilt strongly, to be labelled as any others',
    ),
    'show': (show_arguments, run_show, 'draw records with what is in them'),
}


def parse(argv):
    parser = argparse.ArgumentParser(prog='prepare_data', description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True)
    for name, (arguments, work, text) in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        arguments(command)
        command.set_defaults(run=work)
    return parser.parse_args(argv)


def main(argv=None):
    args = parse(argv)
    return run('prepare_data', lambda: args.run(args))


if __name__ == '__main__':
    sys.exit(main())
