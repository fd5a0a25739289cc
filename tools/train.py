"""Train a model: `train.py --config experiments/lite_a.yaml --set data.root=/records --out runs/lite_a`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import List, Optional, Sequence

from uniface_mx.cli.program import DONE, run
from uniface_mx.config.reader import load_config, to_yaml

STOPPED = 3


def _overrides(args: argparse.Namespace) -> List[str]:
    given = (('training.init', args.init), ('training.on_nan', args.on_nan))
    return args.set + [f'{key}={value}' for key, value in given if value is not None]


def train(args: argparse.Namespace) -> int:
    """Train, or print the configuration; `STOPPED` where a signal came before the last iteration."""
    config = load_config(args.config, _overrides(args))
    if args.print_config:
        print(to_yaml(config), end='')
        return DONE
    # MXNet is loaded late: its import takes seconds, and starts a server where DMLC_ROLE says so.
    from uniface_mx.train.build import build_trainer

    trainer = build_trainer(config, args.out or Path('runs') / Path(args.config).stem, args.resume)
    try:
        return DONE if trainer.run() else STOPPED
    finally:
        trainer.log.close()


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(prog='train', description=__doc__)
    parser.add_argument(
        '--config', required=True, metavar='FILE', help='a YAML file, or the name of one that ships'
    )
    parser.add_argument(
        '--set', action='append', default=[], metavar='KEY=VALUE', help='change a value of it'
    )
    parser.add_argument('--out', metavar='DIR', help='folder of the run (runs/NAME of the configuration)')
    parser.add_argument(
        '--resume', action='store_true', help='go on from the last checkpoint, if there is one'
    )
    parser.add_argument(
        '--init',
        metavar='WEIGHTS',
        help='begin with a .params file, an exported prefix, or a name that ships',
    )
    parser.add_argument('--on-nan', choices=('stop', 'skip'), help='what to do when a loss is not finite')
    parser.add_argument(
        '--print-config', action='store_true', help='print the resolved configuration, and leave'
    )
    args = parser.parse_args(argv)
    return run('train', lambda: train(args))


if __name__ == '__main__':
    sys.exit(main())
