"""The paper's ablation: train models A to D under equal conditions, export, evaluate, and report them.

They learn by Eq. (3) alone, as in the paper; further runs tell what the contrast beside it and more people are worth.
Run it again to go on where it stopped; what is done is passed over. What it does stands in
experiments/ablation_runs.yaml.
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
from typing import Any, Dict, Iterator, List, Mapping, Sequence

import yaml

from uniface_mx.cli.program import at_least, program
from uniface_mx.errors import UnifaceError
from uniface_mx.files import written_aside
from uniface_mx.paths import resource
from uniface_mx.runtime import cores

TOOLS = Path(__file__).resolve().parent


def read_plan() -> Dict[str, List[Dict[str, Any]]]:
    """What ``experiments/ablation_runs.yaml`` says: its runs, each with a name."""
    plan = yaml.safe_load((resource('experiments') / 'ablation_runs.yaml').read_text(encoding='utf-8'))
    runs = [dict(one, name=f'ablation_{one["config"]}_{one["seed"]}') for one in plan['runs']]
    return dict(plan, runs=runs)


def commands(steps: Sequence[Mapping[str, str]], values: Mapping[str, Any]) -> Iterator[List[str]]:
    """Command lines of those steps of a run that are not done; ``values`` are filled in."""
    for step in steps:
        name, *words = step['do'].split()
        made, source = (Path(step.get(key, '').format_map(values)) for key in ('makes', 'of'))
        if made.is_file() and made.stat().st_mtime >= source.stat().st_mtime:
            continue
        own = [word for value in values['set'] for word in ('--set', value)] if name == 'train' else []
        yield [sys.executable, str(TOOLS / f'{name}.py'), *(word.format_map(values) for word in words), *own]


def run_one(steps: Sequence[Mapping[str, str]], values: Mapping[str, Any], stop: Event) -> int:
    """A run's steps, their output in a file beside its folder; the first bad status, or 0."""
    name, results = values['name'], Path(values['results']) / values['name'] / 'metrics.jsonl'
    log, rows = Path(values['out']) / f'{name}.log', Path(values['out']) / name / 'metrics.jsonl'
    log.parent.mkdir(parents=True, exist_ok=True)
    threads = dict(os.environ, OMP_NUM_THREADS=str(max(1, cores() // values['parallel'])))
    for command in commands(steps, values):
        if stop.is_set():
            return 1
        print(f'{name}: {" ".join(command[1:])} (output in {log})', flush=True)
        with open(log, 'a') as output:
            status = subprocess.call(command, stdout=output, stderr=output, env=threads)
        if status:
            stop.set()
            print(f'{name}: stopped with status {status}; see {log}', file=sys.stderr)
            return status
        results.parent.mkdir(parents=True, exist_ok=True)
        with written_aside(results) as aside:
            shutil.copyfile(rows, aside)
    return 0


def run_series(arguments: argparse.Namespace) -> int:
    """Everything, `parallel` runs at a time, then their speeds and the report; the first bad status, or 0."""
    if not Path(arguments.settings).is_file():
        raise UnifaceError(f'{arguments.settings}: no such file of evaluations')
    plan, stop = read_plan(), Event()
    runs = [dict(vars(arguments), **one) for one in plan['runs']]
    with ThreadPoolExecutor(arguments.parallel) as pool:
        running = [pool.submit(run_one, plan['each'], one, stop) for one in runs]
        try:
            statuses = [future.result() for future in running]
        except KeyboardInterrupt:
            stop.set()
            raise
    if any(statuses):
        return next(filter(None, statuses))
    last = [command for one in runs for command in commands(plan['then'], one)]
    words = '--results', arguments.results, '--out', arguments.report
    report = [sys.executable, str(TOOLS / 'report.py'), *words]
    return next(filter(None, map(subprocess.call, [*last, report])), 0)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the program can be told."""
    add = parser.add_argument
    add('--records', required=True, metavar='DIR', help="folder of docs/data.md's record sets")
    add('--out', default='runs', metavar='DIR', help='folder for the runs (%(default)s)')
    add('--results', default='experiments/results', metavar='DIR', help='(%(default)s)')
    add('--report', default='experiments/RESULTS.md', metavar='FILE', help='(%(default)s)')
    evaluations = resource('experiments') / 'evaluation' / 'ablation.yaml'
    add('--settings', default=str(evaluations), metavar='FILE', help='(%(default)s)')
    add('--iterations', type=at_least(1), default=3600, help='of each run (%(default)s)')
    text = 'runs side by side, which share the cores (%(default)s)'
    add('--parallel', type=at_least(1), default=1, metavar='N', help=text)
    add('--set', action='append', default=[], metavar='KEY=VALUE', help='for all runs alike')


main = program('ablation', __doc__, run_series, add_options)

if __name__ == '__main__':
    sys.exit(main())
