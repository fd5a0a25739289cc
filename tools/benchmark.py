"""Measure the speed of the project's parts: `benchmark.py data --records NAME ...`."""

from __future__ import annotations

import argparse
import sys
from typing import Any, Callable, Dict

from uniface_mx.cli.program import at_least, program
from uniface_mx.data import benchmark as data
from uniface_mx.evaluation import benchmark as evaluation
from uniface_mx.evaluation.options import COUNT, WHOLE
from uniface_mx.provenance import machine, write_json
from uniface_mx.train import benchmark as training

# Options of several benchmarks.
MODEL = '--model', dict(required=True, metavar='PREFIX', help='an exported model')
PHOTOS = '--photos', dict(required=True, nargs='+', metavar='DIR', help='taken from by turns')
SEED = '--seed', dict(type=WHOLE, default=0, help='of the choice (%(default)s)')
RESULTS = '--results', dict(metavar='DIR', help='write result files below DIR; experiments/results by custom')


def add_options(parser: argparse.ArgumentParser) -> None:
    """A command each benchmark."""
    commands = parser.add_subparsers(dest='benchmark', required=True)

    def command(name: str, text: str, measure: Callable[..., Dict[str, Any]], *shared: tuple) -> Callable:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(measure=measure)
        added.add_argument('--out', metavar='FILE', help='write the figures there as JSON')
        for flag, settings in shared:
            added.add_argument(flag, **settings)
        return added.add_argument

    measure = with_options(data.benchmark)
    add = command('data', 'reading, decoding, augmentation, beside ImageDetRecordIter', measure)
    add('--records', required=True, nargs='+', metavar='NAME', help='record sets with faces')
    add('--backgrounds', nargs='*', default=[], metavar='NAME', help='record sets without faces')
    add('--size', type=COUNT, default=300, help='side of a canvas (%(default)s)')
    add('--batch', type=COUNT, default=32, help='canvases in a batch (%(default)s)')
    add('--workers', type=COUNT, default=2, help='threads (%(default)s)')
    add('--seconds', type=at_least(0.01, float), default=3, help='for each pipeline (%(default)s)')

    text = 'models on all backends, beside MTCNN and an embedding network'
    add = command('speed', text, evaluation.speed, RESULTS)
    add('--models', nargs='*', default=[], metavar='PREFIX', help='exported models')
    text = "all that the models were exported for; also 'mxnet-unfused'"
    add('--backends', nargs='+', default=[], metavar='NAME', help=text)
    add('--device', default='cpu', help='of the models (%(default)s)')
    add('--batches', type=COUNT, default=[1, 32], nargs='+', metavar='N', help='(1 32)')
    numbers = [0, 1, 2, 4, 8, 16]
    add('--faces', type=WHOLE, default=numbers, nargs='+', help='in a photo (0 1 2 4 8 16)')
    sizes = evaluation.SIZES
    add('--sizes', nargs='+', choices=sizes, default=sizes, help='of the photos (both)')
    add('--portraits', metavar='DIR', help='photos of one face each (LFW)')
    text = 'pairs of teachers to run beside (%(default)s; dlib_library is dlib itself); none leaves them out'
    add('--teachers', nargs='*', default=['mtcnn_pypi+dlib'], metavar='DETECTOR+EMBEDDING', help=text)
    add('--rounds', type=COUNT, default=3, help='of which the median counts (%(default)s)')
    add('--name', help="of the folder of results, for one model (the model's)")

    text = 'memory after many photos of mixed sizes'
    add = command('memory', text, evaluation.memory, MODEL, PHOTOS, SEED, RESULTS)
    add('--backend', default='mxnet')
    add('--count', type=COUNT, default=5000, help='photos in all (%(default)s)')
    add('--every', type=COUNT, default=500, help='photos between two rows (%(default)s)')
    add('--batch', type=COUNT, default=8, help='(%(default)s)')

    text = 'one backend beside another: what int8 costs'
    add = command('agreement', text, evaluation.agreement, MODEL, PHOTOS, SEED, RESULTS)
    add('--backends', nargs=2, metavar='NAME', default=['mxnet', 'mxnet-int8'], help='(both)')
    add('--count', type=COUNT, default=200, help='photos in all (%(default)s)')
    add('--score', type=float, metavar='S', help='leave out faces of a lower score')

    measure = with_options(training.benchmark)
    add = command('training', 'time and memory of training steps, by operator', measure)
    add('--config', default='lite_a', help='whose settings (%(default)s)')
    text = 'change a value of it'
    add('--set', action='append', default=[], dest='settings', metavar='KEY=VALUE', help=text)
    add('--steps', type=COUNT, default=10, help='steps to measure (%(default)s)')
    add('--cells', type=WHOLE, default=0, help='mosaics of so many photos only; 1 for whole photos')
    add('--operators', type=WHOLE, default=0, dest='ranked', help='show so many operators of a profiled step')


def with_options(measure: Callable[..., Dict[str, Any]]) -> Callable[[argparse.Namespace], Dict[str, Any]]:
    """A function that takes its own arguments, as one that takes a program's options."""
    others = {'benchmark', 'out', 'run', 'error', 'measure'}
    return lambda options: measure(
        **{key: value for key, value in vars(options).items() if key not in others}
    )


def run(arguments: argparse.Namespace) -> None:
    """Run one benchmark, which prints its figures, and store them where that was asked for."""
    figures = dict(arguments.measure(arguments), machine=machine())
    if arguments.out:
        write_json(arguments.out, figures)


main = program('benchmark', __doc__, run, add_options)

if __name__ == '__main__':
    sys.exit(main())
