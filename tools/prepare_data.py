#!/usr/bin/env python
"""Prepare record sets of photos whose faces teachers have labelled, and look after them."""
from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tqdm import tqdm

from uniface_mx.data.prepare.cache import Cache
from uniface_mx.data.prepare.executor import open_executor
from uniface_mx.data.prepare.label import Rules
from uniface_mx.data.prepare.look import Job
from uniface_mx.data.prepare.make import make
from uniface_mx.data.sources import SOURCES, open_source
from uniface_mx.errors import UnifaceError

TEACHERS = ('mtcnn?thresholds=[0.6,0.7,0.6]', 'dlib')


def shard_argument(text):
    shard, _, shards = text.partition('/')
    try:
        return int(shard), int(shards)
    except ValueError:
        raise argparse.ArgumentTypeError('%r is not like 2/8' % text) from None


def run_make(args):
    source = open_source(args.source)
    job = Job(tuple(args.teacher), source.complete, source.teacher_box, Rules(args.accept, args.agree, args.min_face),
              args.mirror, args.size, args.quality, args.min_side, args.max_pixels)
    with open_executor(args.workers, args.dask) as executor:
        count = len(source) if args.limit is None else min(args.limit, len(source))
        bar = tqdm(total=count // args.shard[1], unit='photo', desc=source.name, mininterval=args.interval)

        def progress(outcomes):
            for outcome in outcomes:
                yield outcome
                bar.update()
            bar.close()

        summary = make(source, args.out, job, executor, Cache(args.cache), workers=args.workers, shard=args.shard[0],
                       shards=args.shard[1], limit=args.limit, max_bad=args.max_bad, progress=progress)
    print('%s: %d photos, %d new answers of teachers' % (args.out, summary.photos, summary.new_answers))
    for text, number in sorted(summary.counts.items()):
        print('  %-50s %8d' % (text, number))
    for reason, names in summary.skipped.items():
        print('  left out: %-40s %8d  %s' % (reason, len(names), ', '.join(names[:3])))


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True)
    command = commands.add_parser('make', help='label a source and write a record set',
                                  description='Label a source and write a record set. After a stop, the same command '
                                              'goes on where it was.')
    command.add_argument('--source', required=True, metavar='KIND:PATH', help='KIND: %s' % ', '.join(sorted(SOURCES)))
    command.add_argument('--out', required=True, metavar='NAME', help='writes NAME.rec and NAME-negatives.rec')
    command.add_argument('--teacher', nargs=2, default=TEACHERS, metavar=('LANDMARKS', 'EMBEDDINGS'),
                         help='NAME or NAME?OPTION=VALUE&... (%(default)s)')
    command.add_argument('--cache', metavar='FILE', default='teachers.cache', help='what teachers found (%(default)s)')
    command.add_argument('--shard', type=shard_argument, default=(1, 1), metavar='I/N', help='only part I of N')
    where = command.add_mutually_exclusive_group()
    where.add_argument('--workers', type=int, default=os.cpu_count() or 1, help='processes; 0: none but this one')
    where.add_argument('--dask', metavar='ADDRESS', help='of a Dask scheduler')
    command.add_argument('--limit', type=int, help='only the first photos of the source')
    command.add_argument('--max-bad', type=float, default=0.05, metavar='F',
                         help='stop if more than this part of the photos is bad (%(default)s)')
    command.add_argument('--size', type=int, default=400, help='longer side of stored photos (%(default)s)')
    command.add_argument('--quality', type=int, default=95, help='of JPEGs that must be encoded (%(default)s)')
    command.add_argument('--min-side', type=int, default=40, help='photos with a smaller side are skipped (%(default)s)')
    command.add_argument('--max-pixels', type=int, default=50_000_000, help='larger photos are skipped (%(default)s)')
    command.add_argument('--accept', type=float, default=Rules.accept,
                         help='score from which a face that only the teacher sees is one (%(default)s)')
    command.add_argument('--agree', type=float, default=Rules.agree,
                         help='overlap from which two boxes are one face (%(default)s)')
    command.add_argument('--min-face', type=float, default=Rules.min_face,
                         help='side in pixels from which the teachers are believed (%(default)s)')
    command.add_argument('--mirror', action='store_true', default=True, help='average each embedding with the mirrored '
                         "face's (default)")
    command.add_argument('--no-mirror', dest='mirror', action='store_false')
    command.add_argument('--interval', type=float, default=1, help='seconds between two looks of the progress bar')
    command.set_defaults(run=run_make)
    return parser.parse_args(argv)


def main(argv=None):
    args = parse(argv)
    try:
        args.run(args)
    except UnifaceError as error:
        print('prepare_data: %s' % error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('\nstopped; the same command goes on where it was', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
