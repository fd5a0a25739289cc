"""Start a distributed run's processes on this machine.

`launch.py --workers 2 -- python tools/train.py --config NAME`; the configuration needs
`training.kvstore: dist_sync`. The status is the workers'.
"""

from __future__ import annotations

import argparse
import sys

from uniface_mx.cli.program import program
from uniface_mx.train.launch import launch as start


def launch(arguments: argparse.Namespace) -> int:
    """Run the command in each worker; the first bad status, or 0."""
    command = arguments.command[1:] if arguments.command[:1] == ['--'] else arguments.command
    if not command or arguments.workers < 1 or arguments.servers < 1:
        arguments.error('give at least one worker, one server, and a command')
    return start(command, arguments.workers, arguments.servers)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the program can be told."""
    parser.add_argument('--workers', type=int, required=True, metavar='N')
    parser.add_argument('--servers', type=int, default=1, metavar='N', help='(%(default)s)')
    parser.add_argument('command', nargs=argparse.REMAINDER, help='what each worker runs, after --')


main = program('launch', __doc__, launch, add_options)

if __name__ == '__main__':
    sys.exit(main())
