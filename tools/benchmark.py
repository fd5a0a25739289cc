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


def count(name: str, default: Any, help: str, least: int = 1, **settings: Any) -> Option:
    """An option of whole numbers from `least` on."""
    return option(name, help, type=at_least(least), default=default, **settings)


def names(name: str, help: str, **settings: Any) -> Option:
    """An option of several names."""
    return option(
        name, help, nargs=settings.pop('nargs', '+'), metavar=settings.pop('metavar', 'NAME'), **settings
    )


def results(name: str) -> Option:
    """The option of a folder for result files."""
    return option('--results', f'write DIR/NAME/{name}.json; experiments/results by custom', metavar='DIR')


MODEL = option('--model', 'an exported model', required=True, metavar='PREFIX')
PHOTOS = names('--photos', 'taken from by turns', required=True, metavar='DIR')
SEED = count('--seed', 0, 'of the choice (%(default)s)', least=0)
DATA = (
    names('--records', 'record sets with faces', required=True),
    names('--backgrounds', 'record sets without faces', nargs='*', default=[]),
    count('--size', 300, 'side of a canvas (%(default)s)'),
    count('--batch', 32, 'canvases in a batch (%(default)s)'),
    count('--workers', 2, 'threads (%(default)s)'),
    option('--seconds', 'for each pipeline (%(default)s)', type=at_least(0.01, float), default=3),
)
SPEED = (
    names('--models', 'exported models', nargs='*', default=[], metavar='PREFIX'),
    names('--backends', "all that the models were exported for; also 'mxnet-unfused'", default=[]),
    option('--device', 'of the models (%(default)s)', default='cpu'),
    count('--batches', [1, 32], '(1 32)', nargs='+', metavar='N'),
    count('--faces', [0, 1, 2, 4, 8, 16], 'in a photo (0 1 2 4 8 16)', least=0, nargs='+'),
    option('--sizes', 'of the photos (both)', nargs='+', choices=speed.SIZES, default=speed.SIZES),
    option('--portraits', 'photos of one face each (LFW)', metavar='DIR'),
    names(
        '--teachers',
        'pairs of teachers to run beside (%(default)s; mtcnn_pypi+dlib_library is dlib as pip brings it); none '
        'leaves them out',
        nargs='*',
        default=['mtcnn_pypi+dlib'],
        metavar='DETECTOR+EMBEDDING',
    ),
    count('--rounds', 3, 'of which the median counts (%(default)s)'),
    results('speed'),
    option('--name', "of the folder of results, for one model (the model's)"),
)
MEMORY = (
    MODEL,
    option('--backend', default='mxnet'),
    PHOTOS,
    count('--count', 5000, 'photos in all (%(default)s)'),
    count('--every', 500, 'photos between two rows (%(default)s)'),
    count('--batch', 8, '(%(default)s)'),
    SEED,
    results('memory'),
)
AGREEMENT = (
    MODEL,
    names('--backends', '(both)', nargs=2, default=['mxnet', 'mxnet-int8']),
    PHOTOS,
    count('--count', 200, 'photos in all (%(default)s)'),
    SEED,
    option('--score', 'leave out faces of a lower score', type=float, metavar='S'),
    results('agreement'),
)
CHANGES = dict(action='append', default=[], dest='settings', metavar='KEY=VALUE')
TRAINING = (
    option('--config', 'whose settings (%(default)s)', default='lite_a'),
    option('--set', 'change a value of it', **CHANGES),
    count('--steps', 10, 'steps to measure (%(default)s)'),
    count('--cells', 0, 'mosaics of so many photos only; 1 for whole photos', least=0),
    count('--operators', 0, 'show so many operators of a profiled step', least=0, dest='ranked'),
)
BENCHMARKS = {
    'data': Benchmark(data.benchmark, 'reading, decoding, augmentation, beside ImageDetRecordIter', DATA),
    'speed': Benchmark(
        speed.benchmark, 'models on all backends, beside MTCNN and an embedding network', SPEED
    ),
    'memory': Benchmark(memory.benchmark, 'memory after many photos of mixed sizes', MEMORY),
    'agreement': Benchmark(agreement.benchmark, 'one backend beside another: what int8 costs', AGREEMENT),
    'training': Benchmark(training.benchmark, 'time and memory of training steps, by operator', TRAINING),
}


def measure(benchmark: str, out: Optional[str], **arguments: Any) -> None:
    """Run one benchmark, and store its figures where that was asked for."""
    figures = BENCHMARKS[benchmark].measure(**arguments)
    if out:
        write_json(out, figures)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the program."""
    parser = argparse.ArgumentParser(prog='benchmark', description=__doc__)
    subjects = parser.add_subparsers(dest='benchmark', metavar=f'{{{",".join(BENCHMARKS)}}}', required=True)
    for name, benchmark in BENCHMARKS.items():
        subject = subjects.add_parser(name, help=benchmark.text, description=benchmark.text)
        for flag, settings in benchmark.options:
            subject.add_argument(flag, **settings)
        subject.add_argument('--out', metavar='FILE', help='write the figures there as JSON')
    arguments = parser.parse_args(argv)
    return run('benchmark', lambda: measure(**vars(arguments)))


if __name__ == '__main__':
    sys.exit(main())
