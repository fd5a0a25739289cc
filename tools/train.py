"""Train a model: `train.py --config experiments/lite_a.yaml --set data.root=/records --out runs/lite_a`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from uniface_mx.cli.program import DONE, program
from uniface_mx.config.reader import load_config, to_yaml

STOPPED = 3


def train(arguments: argparse.Namespace) -> int:
    """Train, or print the configuration; `STOPPED` where a signal came before the last iteration."""
    given = {'training.init': arguments.init, 'training.on_nan': arguments.on_nan}
    overrides = arguments.set + [f'{key}={value}' for key, value in given.items() if value is not None]
    config = load_config(arguments.config, overrides)
    if arguments.print_config:
        print(to_yaml(config), end='')
        return DONE
    # MXNet is loaded late: its import takes seconds, and starts a server where DMLC_ROLE says so.
    from uniface_mx.train.build import build_trainer

    out = arguments.out or Path('runs') / Path(arguments.config).stem
    trainer = build_trainer(config, out, arguments.resume)
    try:
        return DONE if trainer.run() else STOPPED
    finally:
        trainer.log.close()


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the program can be told."""
    add = parser.add_argument
    add('--config', required=True, metavar='FILE', help='a YAML file, or the name of one that ships')
    add('--set', action='append', default=[], metavar='KEY=VALUE', help='change a value of it')
    add('--out', metavar='DIR', help='folder of the run (runs/NAME of the configuration)')
    add('--resume', action='store_true', help='go on from the last checkpoint, if there is one')
    text = 'begin with a .params file, an exported prefix, or a name that ships'
    add('--init', metavar='WEIGHTS', help=text)
    add('--on-nan', choices=('stop', 'skip'), help='what to do when a loss is not finite')
    add('--print-config', action='store_true', help='print the resolved configuration, and leave')


main = program('train', __doc__, train, add_options)

if __name__ == '__main__':
    sys.exit(main())
