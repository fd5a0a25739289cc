"""The paper's ablation: train models A to D under equal conditions, export, evaluate, and report them; and A
without the contrast, which the paper does not have.

Run it again to go on where it stopped; what is done is passed over.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Iterator, List, Optional, Sequence, Tuple

ROOT = Path(__file__).resolve().parent.parent
# Configurations and seeds. The two models whose difference is the paper's largest come twice, so that the
# spread between seeds stands beside the spread between models.
RUNS = (('lite_a', 0), ('lite_d', 0), ('lite_b', 0), ('lite_c', 0), ('lite_a', 1), ('lite_d', 1))
RUNS += (('lite_a_mimic', 0),)


def run_name(config: str, seed: int) -> str:
    """Of a run's folder, and of its results."""
    return 'ablation_{}_{}'.format(config, seed)


def settings(arguments: argparse.Namespace, seed: int) -> List[str]:
    """What every run's configuration is changed by; they differ in the seed alone."""
    values = [
        'data.root={}'.format(arguments.records),
        'training.iterations={}'.format(arguments.iterations),
        # Half of lite_a's, so that as many views make twice the steps.
        'training.batch_size=8',
        'training.seed={}'.format(seed),
    ]
    return values + (['training.kvstore=dist_sync'] if arguments.workers > 1 else []) + arguments.set


def commands(arguments: argparse.Namespace, config: str, seed: int) -> Iterator[List[str]]:
    """Train, export, evaluate: what has been done is passed over, here or by the command itself."""
    name = run_name(config, seed)
    run, results = Path(arguments.out) / name, Path(arguments.results) / name
    launcher = ['-m', 'uniface_mx.train.launch', '--workers', str(arguments.workers), '--', sys.executable]
    train = launcher if arguments.workers > 1 else []
    train = train + [str(ROOT / 'tools' / 'train.py'), '--config', config, '--out', str(run), '--resume']
    for value in settings(arguments, seed):
        train += ['--set', value]
    yield train
    results.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(str(run / 'metrics.jsonl'), str(results / 'metrics.jsonl'))
    model, manifest, weights = run / 'model', run / 'model' / (name + '.json'), run / 'last.params'
    if not manifest.is_file() or manifest.stat().st_mtime < weights.stat().st_mtime:
        yield [str(ROOT / 'tools' / 'export.py'), '--run', str(run), '--checkpoint', 'last'] + [
            '--out', str(model), '--name', name, '--split',
        ]  # fmt: skip
    yield [str(ROOT / 'tools' / 'evaluate.py'), 'all', '--model', str(model / name)] + [
        '--settings', arguments.settings, '--out', str(results),
    ]  # fmt: skip


def run_series(arguments: argparse.Namespace) -> int:
    """Everything in order; the status of the first command that fails, or 0."""
    for config, seed in RUNS:
        for command in commands(arguments, config, seed):
            print('{}: {}'.format(run_name(config, seed), ' '.join(command)), flush=True)
            status = subprocess.call([sys.executable] + command)
            if status:
                return status
    report = [str(ROOT / 'tools' / 'report.py'), '--results', arguments.results, '--out', arguments.report]
    return subprocess.call([sys.executable] + report)


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(prog='ablation', description=__doc__)
    parser.add_argument('--records', required=True, metavar='DIR', help="folder of docs/data.md's record sets")
    parser.add_argument('--out', default='runs', metavar='DIR', help='folder for the runs (%(default)s)')
    parser.add_argument(
        '--results', default=str(ROOT / 'experiments' / 'results'), metavar='DIR', help='(%(default)s)'
    )
    parser.add_argument(
        '--report', default=str(ROOT / 'experiments' / 'RESULTS.md'), metavar='FILE', help='(%(default)s)'
    )
    parser.add_argument(
        '--settings',
        default=str(ROOT / 'experiments' / 'evaluation' / 'all.yaml'),
        metavar='FILE',
        help='evaluations (%(default)s)',
    )
    parser.add_argument('--iterations', type=int, default=2000, help='of each run (%(default)s)')
    parser.add_argument('--workers', type=int, default=2, help='processes that train together (%(default)s)')
    parser.add_argument('--set', action='append', default=[], metavar='KEY=VALUE', help='for all runs alike')
    return run_series(parser.parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
