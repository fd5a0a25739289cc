"""The paper's ablation: train models A to D under equal conditions by Eq. (3) alone, as the paper does, export, evaluate,
and report them; and what the contrast beside it and more people are worth.

Run it again to go on where it stopped; what is done is passed over.
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
from typing import Iterator, List, Optional, Sequence

from uniface_mx.cli.program import at_least, run
from uniface_mx.errors import UnifaceError
from uniface_mx.files import written_aside
from uniface_mx.models.manifest import manifest_path
from uniface_mx.paths import resource
from uniface_mx.runtime import cores

ROOT = Path(__file__).resolve().parent.parent
# Configurations and seeds. The two models whose difference is the paper's largest come twice, so that the
# spread between seeds stands beside the spread between models.
RUNS = (
    ('lite_a_mimic', 0),
    ('lite_d_mimic', 0),
    ('lite_b_mimic', 0),
    ('lite_c_mimic', 0),
    ('lite_a_mimic', 1),
    ('lite_d_mimic', 1),
    # With the contrast: the pair, and A's second seed beside half of the people.
    ('lite_a', 0),
    ('lite_d', 0),
    ('lite_a', 1),
    ('lite_a_half', 0),
)


def run_name(config: str, seed: int) -> str:
    """Of a run's folder, and of its results."""
    return f'ablation_{config}_{seed}'


def settings(arguments: argparse.Namespace, seed: int) -> List[str]:
    """What every run's configuration is changed by; they differ in the seed alone."""
    values = [
        f'data.root={arguments.records}',
        f'training.iterations={arguments.iterations}',
        f'training.seed={seed}',
    ]
    return values + arguments.set


def commands(arguments: argparse.Namespace, config: str, seed: int) -> Iterator[List[str]]:
    """Train, export, evaluate: what has been done is passed over, here or by the command itself."""
    name = run_name(config, seed)
    folder, results = Path(arguments.out) / name, Path(arguments.results) / name
    train = [str(ROOT / 'tools' / 'train.py'), '--config', config, '--out', str(folder), '--resume']
    for value in settings(arguments, seed):
        train += ['--set', value]
    yield train
    results.mkdir(parents=True, exist_ok=True)
    with written_aside(results / 'metrics.jsonl') as aside:
        shutil.copyfile(str(folder / 'metrics.jsonl'), str(aside))
    model, weights = exported(arguments, config, seed), folder / 'last.params'
    manifest = manifest_path(model)
    if not manifest.is_file() or manifest.stat().st_mtime < weights.stat().st_mtime:
        yield [str(ROOT / 'tools' / 'export.py'), '--run', str(folder), '--checkpoint', 'last'] + [
            '--out', str(model.parent), '--name', name, '--split',
        ]  # fmt: skip
    yield evaluation(arguments, config, seed, arguments.settings)


def exported(arguments: argparse.Namespace, config: str, seed: int) -> Path:
    """Prefix of a run's exported model."""
    name = run_name(config, seed)
    return Path(arguments.out) / name / 'model' / name


def evaluation(arguments: argparse.Namespace, config: str, seed: int, wanted: str) -> List[str]:
    """The command that evaluates a run's model by a file of settings, but for what has a result."""
    results = Path(arguments.results) / run_name(config, seed)
    return [str(ROOT / 'tools' / 'evaluate.py'), 'all', '--model', str(exported(arguments, config, seed))] + [
        '--settings', wanted, '--out', str(results),
    ]  # fmt: skip


def run_one(arguments: argparse.Namespace, config: str, seed: int, stop: Event) -> int:
    """All of a run's commands, their output in a file beside its folder; the first bad status, or 0."""
    name = run_name(config, seed)
    log = Path(arguments.out) / (name + '.log')
    log.parent.mkdir(parents=True, exist_ok=True)
    threads = dict(os.environ, OMP_NUM_THREADS=str(max(1, cores() // arguments.parallel)))
    for command in commands(arguments, config, seed):
        if stop.is_set():
            return 1
        print(f'{name}: {" ".join(command)} (output in {log})', flush=True)
        with open(str(log), 'a') as output:
            status = subprocess.call([sys.executable] + command, stdout=output, stderr=output, env=threads)
        if status:
            stop.set()
            print(f'{name}: stopped with status {status}; see {log}', file=sys.stderr)
            return status
    return 0


def run_series(arguments: argparse.Namespace) -> int:
    """Everything, `parallel` runs at a time, then their speeds one after another, and the report; the first bad
    status, or 0.
    """
    for wanted in (arguments.settings, arguments.speed):
        if not Path(wanted).is_file():
            raise UnifaceError(f'{wanted}: no such file of evaluations')
    stop = Event()
    with ThreadPoolExecutor(arguments.parallel) as pool:
        running = [pool.submit(run_one, arguments, *one, stop) for one in RUNS]
        try:
            statuses = [future.result() for future in running]
        except KeyboardInterrupt:
            stop.set()
            raise
    if any(statuses):
        return next(filter(None, statuses))
    last = [evaluation(arguments, *one, arguments.speed) for one in RUNS]
    last.append(
        [str(ROOT / 'tools' / 'report.py'), '--results', arguments.results, '--out', arguments.report]
    )
    return next(filter(None, (subprocess.call([sys.executable] + command) for command in last)), 0)


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(prog='ablation', description=__doc__)
    parser.add_argument(
        '--records', required=True, metavar='DIR', help="folder of docs/data.md's record sets"
    )
    parser.add_argument('--out', default='runs', metavar='DIR', help='folder for the runs (%(default)s)')
    parser.add_argument('--results', default='experiments/results', metavar='DIR', help='(%(default)s)')
    parser.add_argument('--report', default='experiments/RESULTS.md', metavar='FILE', help='(%(default)s)')
    evaluations = resource('experiments') / 'evaluation'
    parser.add_argument(
        '--settings', default=str(evaluations / 'ablation.yaml'), metavar='FILE', help='(%(default)s)'
    )
    parser.add_argument(
        '--speed',
        default=str(evaluations / 'speed.yaml'),
        metavar='FILE',
        help='after all runs (%(default)s)',
    )
    parser.add_argument('--iterations', type=at_least(1), default=3600, help='of each run (%(default)s)')
    parser.add_argument(
        '--parallel',
        type=at_least(1),
        default=1,
        metavar='N',
        help='runs side by side, which share the cores (%(default)s)',
    )
    parser.add_argument('--set', action='append', default=[], metavar='KEY=VALUE', help='for all runs alike')
    arguments = parser.parse_args(argv)
    return run('ablation', lambda: run_series(arguments))


if __name__ == '__main__':
    sys.exit(main())
