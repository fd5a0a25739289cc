"""The paper's ablation: train models A to D under equal conditions, export, evaluate, and report them; and A
without the contrast, which the paper does not have, and A on half of the people.

The four are trained in two parts, as lite_a is, and evaluated after each. Run it again to go on where it stopped;
what is done is passed over.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

from uniface_mx.errors import UnifaceError
from uniface_mx.manifest import manifest_path
from uniface_mx.paths import resource
from uniface_mx.program import at_least
from uniface_mx.program import run as run_program
from uniface_mx.runtime import cores

ROOT = Path(__file__).resolve().parent.parent


class Run(NamedTuple):
    """Configurations of a training's parts, each going on from the one before, and its seed."""

    configs: Tuple[str, ...]
    seed: int

    @property
    def names(self) -> List[str]:
        """Of the model and the results after each part; the first is the run's folder's, too."""
        return ['ablation_{}_{}'.format(config, self.seed) for config in self.configs]


# The two models whose difference is the paper's largest come twice, so that the spread between seeds stands
# beside the spread between models.
RUNS = (
    Run(('lite_a', 'lite_a_end'), 0),
    Run(('lite_d', 'lite_d_end'), 0),
    Run(('lite_a_mimic',), 0),
    Run(('lite_a_half',), 0),
    Run(('lite_b', 'lite_b_end'), 0),
    Run(('lite_c', 'lite_c_end'), 0),
    Run(('lite_a', 'lite_a_end'), 1),
    Run(('lite_d', 'lite_d_end'), 1),
)


def settings(arguments: argparse.Namespace, iterations: int, seed: int) -> List[str]:
    """What a part's configuration is changed by."""
    values = [
        'data.root={}'.format(arguments.records),
        'training.iterations={}'.format(iterations),
        'training.seed={}'.format(seed),
    ]
    return values + arguments.set


def commands(arguments: argparse.Namespace, run: Run) -> Iterator[List[str]]:
    """Train, export, evaluate, part by part: what has been done is passed over, here or by the command itself."""
    folder = Path(arguments.out) / run.names[0]
    for config, iterations, name in zip(run.configs, arguments.iterations, run.names):
        model = exported(arguments, run, name)
        if not manifest_path(model).is_file():
            train = [str(ROOT / 'tools' / 'train.py'), '--config', config, '--out', str(folder), '--resume']
            for value in settings(arguments, iterations, run.seed):
                train += ['--set', value]
            yield train
            results = Path(arguments.results) / name
            results.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(folder / 'metrics.jsonl'), str(results / 'metrics.jsonl'))
            yield [str(ROOT / 'tools' / 'export.py'), '--run', str(folder), '--checkpoint', 'last'] + [
                '--out', str(model.parent), '--name', name, '--split',
            ]  # fmt: skip
        yield evaluation(arguments, run, name, arguments.settings)


def exported(arguments: argparse.Namespace, run: Run, name: str) -> Path:
    """Prefix of the model after a part of a run."""
    return Path(arguments.out) / run.names[0] / 'model' / name


def evaluation(arguments: argparse.Namespace, run: Run, name: str, wanted: str) -> List[str]:
    """The command that evaluates a model by a file of settings, but for what has a result."""
    return [str(ROOT / 'tools' / 'evaluate.py'), 'all', '--model', str(exported(arguments, run, name))] + [
        '--settings', wanted, '--out', str(Path(arguments.results) / name),
    ]  # fmt: skip


def run_one(arguments: argparse.Namespace, run: Run, stop: Event) -> int:
    """All of a run's commands, their output in a file beside its folder; the first bad status, or 0."""
    folder = run.names[0]
    log = Path(arguments.out) / (folder + '.log')
    log.parent.mkdir(parents=True, exist_ok=True)
    threads = dict(os.environ, OMP_NUM_THREADS=str(max(1, cores() // arguments.parallel)))
    for command in commands(arguments, run):
        if stop.is_set():
            return 1
        print('{}: {} (output in {})'.format(folder, ' '.join(command), log), flush=True)
        with open(str(log), 'a') as output:
            status = subprocess.call([sys.executable] + command, stdout=output, stderr=output, env=threads)
        if status:
            stop.set()
            print('{}: stopped with status {}; see {}'.format(folder, status, log), file=sys.stderr)
            return status
    return 0


def run_series(arguments: argparse.Namespace) -> int:
    """Everything, `parallel` runs at a time, then their speeds one after another, and the report; the first bad
    status, or 0."""
    for wanted in (arguments.settings, arguments.speed):
        if not Path(wanted).is_file():
            raise UnifaceError('{}: no such file of evaluations'.format(wanted))
    stop = Event()
    with ThreadPoolExecutor(arguments.parallel) as pool:
        running = [pool.submit(run_one, arguments, run, stop) for run in RUNS]
        try:
            statuses = [future.result() for future in running]
        except KeyboardInterrupt:
            stop.set()
            raise
    if any(statuses):
        return next(filter(None, statuses))
    last = [evaluation(arguments, run, run.names[-1], arguments.speed) for run in RUNS]
    last.append(
        [str(ROOT / 'tools' / 'report.py'), '--results', arguments.results, '--out', arguments.report]
    )
    return next(filter(None, (subprocess.call([sys.executable] + command) for command in last)), 0)


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(prog='ablation', description=__doc__)
    parser.add_argument('--records', required=True, metavar='DIR', help="folder of docs/data.md's record sets")
    parser.add_argument('--out', default='runs', metavar='DIR', help='folder for the runs (%(default)s)')
    parser.add_argument('--results', default='experiments/results', metavar='DIR', help='(%(default)s)')
    parser.add_argument('--report', default='experiments/RESULTS.md', metavar='FILE', help='(%(default)s)')
    evaluations = resource('experiments') / 'evaluation'
    parser.add_argument(
        '--settings', default=str(evaluations / 'ablation.yaml'), metavar='FILE', help='(%(default)s)'
    )
    parser.add_argument(
        '--speed', default=str(evaluations / 'speed.yaml'), metavar='FILE', help='after all runs (%(default)s)'
    )
    text = 'to which iterations the two parts are trained (3600 10800)'
    parser.add_argument('--iterations', type=at_least(1), nargs=2, default=(3600, 10800), metavar='N', help=text)
    parser.add_argument(
        '--parallel', type=at_least(1), default=1, metavar='N', help='runs side by side, which share the cores (%(default)s)'
    )
    parser.add_argument('--set', action='append', default=[], metavar='KEY=VALUE', help='for all runs alike')
    arguments = parser.parse_args(argv)
    return run_program('ablation', lambda: run_series(arguments))


if __name__ == '__main__':
    sys.exit(main())
