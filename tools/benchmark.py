"""Measure the speed of the project's parts: `benchmark.py data --records NAME ...`."""

from __future__ import annotations

import argparse
import sys
from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence, Tuple

from uniface_mx.cli.program import at_least, run
from uniface_mx.data import benchmark as data
from uniface_mx.evaluation import agreement, memory, speed
from uniface_mx.provenance import write_json
from uniface_mx.train import benchmark as training

Option = Tuple[str, Dict[str, Any]]


class Benchmark(NamedTuple):
    """A function that measures, prints a table and returns what --out stores; its arguments, which are options."""

    measure: Callable[..., Dict[str, Any]]
    text: str
    options: Sequence[Option]


def option(name: str, help: Optional[str] = None, **settings: Any) -> Option:
    """An option as `add_argument` takes it."""
    return name, dict(settings, help=help)


def count(name: str, default: int, help: str, least: int = 1, **settings: Any) -> Option:
    """An option that is a whole number from `least` on."""
    return option(name, help, type=at_least(least), default=default, **settings)


def counts(name: str, default: Sequence[int], help: str, least: int = 1) -> Option:
    """An option that is one or more whole numbers."""
    return option(name, help, type=at_least(least), default=list(default), nargs='+', metavar='N')


def results(name: str) -> Option:
    """The option of a folder for result files."""
    return option('--results', f'write DIR/NAME/{name}; experiments/results by custom', metavar='DIR')


MODEL = option('--model', 'an exported model', required=True, metavar='PREFIX')
PHOTOS = option('--photos', 'taken from by turns', nargs='+', required=True, metavar='DIR')
SEED = count('--seed', 0, 'of the choice (%(default)s)', least=0)
PAIRS = (
    'pairs of teachers to run beside (%(default)s; mtcnn+dlib_library is MTCNN in MXNet and dlib as pip brings it); '
    'none leaves them out'
)
BENCHMARKS = {
    'data': Benchmark(
        data.benchmark,
        'reading, decoding, augmentation, beside ImageDetRecordIter',
        [
            option('--records', 'record sets with faces', nargs='+', required=True, metavar='NAME'),
            option('--backgrounds', 'record sets without faces', nargs='*', default=[], metavar='NAME'),
            count('--size', 300, 'side of a canvas (%(default)s)'),
            count('--batch', 32, 'canvases in a batch (%(default)s)'),
            count('--workers', 2, 'threads (%(default)s)'),
            option(
                '--seconds',
                'for each measurement of a pipeline (%(default)s)',
                type=at_least(0.01, float),
                default=3,
            ),
        ],
    ),
    'speed': Benchmark(
        speed.benchmark,
        'models on all backends, beside MTCNN and an embedding network',
        [
            option('--models', 'exported models', nargs='*', default=[], metavar='PREFIX'),
            option(
                '--backends',
                "all that the models were exported for; also 'mxnet-unfused'",
                nargs='+',
                default=[],
                metavar='NAME',
            ),
            option('--device', 'of the models (%(default)s)', default='cpu'),
            counts('--batches', (1, 32), '(1 32)'),
            counts('--faces', (0, 1, 2, 4, 8, 16), 'in a photo (0 1 2 4 8 16)', least=0),
            option('--sizes', 'of the photos (both)', nargs='+', choices=speed.SIZES, default=speed.SIZES),
            option('--portraits', 'photos of one face each (LFW)', metavar='DIR'),
            option('--teachers', PAIRS, nargs='*', default=['mtcnn_pypi+dlib'], metavar='DETECTOR+EMBEDDING'),
            count('--rounds', 3, 'of which the median counts (%(default)s)'),
            results('speed.json for each'),
        ],
    ),
    'memory': Benchmark(
        memory.benchmark,
        'memory after many photos of mixed sizes',
        [
            MODEL,
            option('--backend', default='mxnet'),
            PHOTOS,
            count('--count', 5000, 'photos in all (%(default)s)'),
            count('--every', 500, 'photos between two rows (%(default)s)'),
            count('--batch', 8, '(%(default)s)'),
            SEED,
            results('memory.json'),
        ],
    ),
    'agreement': Benchmark(
        agreement.benchmark,
        'one backend beside another: what int8 costs',
        [
            MODEL,
            option('--backends', '(both)', nargs=2, default=['mxnet', 'mxnet-int8'], metavar='NAME'),
            PHOTOS,
            count('--count', 200, 'photos in all (%(default)s)'),
            SEED,
            option('--score', 'leave out faces of a lower score', type=float, metavar='S'),
            results('agreement.json'),
        ],
    ),
    'training': Benchmark(
        training.benchmark,
        'time and memory of training steps, by operator',
        [
            option('--config', 'whose settings (%(default)s)', default='lite_a'),
            option(
                '--set',
                'change a value of it',
                action='append',
                default=[],
                dest='settings',
                metavar='KEY=VALUE',
            ),
            count('--steps', 10, 'steps to measure (%(default)s)'),
            count('--cells', 0, 'mosaics of so many photos only; 1 for whole photos', least=0),
            count('--operators', 0, 'show so many operators of a profiled step', least=0, dest='ranked'),
        ],
    ),
}


def measure(name: str, out: Optional[str], **arguments: Any) -> None:
    """Run one benchmark, and store its figures where that was asked for."""
    figures = BENCHMARKS[name].measure(**arguments)
    if out:
        write_json(out, figures)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the program."""
    parser = argparse.ArgumentParser(prog='benchmark', description=__doc__)
    subjects = parser.add_subparsers(dest='name', metavar=f'{{{",".join(BENCHMARKS)}}}', required=True)
    for name, benchmark in BENCHMARKS.items():
        subject = subjects.add_parser(name, help=benchmark.text, description=benchmark.text)
        for flag, settings in benchmark.options:
            subject.add_argument(flag, **settings)
        subject.add_argument('--out', metavar='FILE', help='write the figures there as JSON')
    arguments = parser.parse_args(argv)
    return run('benchmark', lambda: measure(**vars(arguments)))


if __name__ == '__main__':
    sys.exit(main())
