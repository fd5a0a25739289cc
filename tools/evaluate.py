"""Evaluate a model or the teachers by the paper's protocols and more: what each writes is in docs/evaluation.md.

Each writes a result file, and what belongs to it, into the folder given by --out. `all` runs those that a
file lists, and passes over what it has done; `compare` tells which of two LFW results is better; `publish`
puts a model's figures into its manifest.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

from uniface_mx.cli.program import DONE, PARTLY, run
from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation import COMMANDS, EVALUATIONS, load, options
from uniface_mx.evaluation.series import is_done, read_settings


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read a command line; contradictions end the program with the usage."""
    parser = argparse.ArgumentParser(prog='evaluate', description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True)
    every = 'several of these for one model, each passed over if it is done', add_all, run_all
    named = {
        name: (module.HELP, module.add_options, module.run)
        for name, module in ((name, load(name)) for name in COMMANDS)
    }
    for name, (text, add_options, work) in dict(named, all=every).items():
        command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        if name in ('all', *EVALUATIONS):
            command.add_argument(
                '--out', required=True, metavar='DIR', help='by custom experiments/results/NAME'
            )
        add_options(command)
        command.set_defaults(run=work)
    arguments = parser.parse_args(
        words, argparse.Namespace(command_line=list(words), check=lambda options: None)
    )
    wrong = arguments.check(arguments)
    return parser.error(wrong) if wrong else arguments


def add_all(command: argparse.ArgumentParser) -> None:
    """Options of :func:`run_all`."""
    options.add_model(command)
    options.add_backend(command)
    text = 'which, with their options: docs/evaluation.md'
    command.add_argument('--settings', required=True, metavar='FILE', help=text)


def run_all(arguments: argparse.Namespace) -> int:
    """Run what the settings list and no result file holds; failures are told, and counted in the end."""
    backend = ['--backend', arguments.backend, '--device', arguments.device]
    backend += [] if arguments.progress else ['--no-progress']
    commands = []
    for name, words in read_settings(arguments.settings):
        words = [name, '--model', arguments.model, '--out', arguments.out, *words]
        takes_backend = hasattr(parse(words), 'backend')
        commands.append(parse(words + backend) if takes_backend else parse(words))
    failed = 0
    for command in commands:
        title = ' '.join(command.command_line)
        if is_done(Path(arguments.out), arguments.model, command.command_line):
            print(f'done before: {title}')
            continue
        print(title, flush=True)
        try:
            command.run(command)
        except (UnifaceError, OSError) as error:
            failed += 1
            print(f'evaluate: {error}', file=sys.stderr)
    if failed:
        print(f'evaluate: {failed} of {len(commands)} evaluations failed', file=sys.stderr)
    return PARTLY if failed else DONE


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the program."""
    arguments = parse(sys.argv[1:] if argv is None else argv)
    return run('evaluate', lambda: arguments.run(arguments))


if __name__ == '__main__':
    sys.exit(main())
