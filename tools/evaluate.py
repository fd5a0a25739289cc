"""The paper's evaluations of a model, or of the teachers: LFW, FDDB, landmarks, detection, groups, cost.

Each writes a result file, and what belongs to it, into the folder given by --out. `all` runs those that a
file lists, and passes over what it has done; `compare` tells which of two LFW results is better; `publish`
puts a model's figures into its manifest.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from uniface_mx.cli.program import DONE, PARTLY, run
from uniface_mx.errors import UnifaceError


def add_out(command: argparse.ArgumentParser) -> None:
    command.add_argument('--out', required=True, metavar='DIR', help='by custom experiments/results/NAME')


def build_parser() -> argparse.ArgumentParser:
    from uniface_mx.evaluation import parts

    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True)
    for name, part in parts.PARTS.items():
        command = commands.add_parser(name, help=part.text, description=part.text, allow_abbrev=False)
        add_out(command)
        if part.subjects:
            parts.add_subject(command, part.score_threshold)
        part.add(command)
        command.set_defaults(run=part.run)
    text = 'several of these for one model, each passed over if it is done'
    command = commands.add_parser('all', help=text, description=text, allow_abbrev=False)
    add_out(command)
    parts.add_cost(command)
    parts.add_backend(command)
    command.add_argument(
        '--settings', required=True, metavar='FILE', help='which, with their options: docs/evaluation.md'
    )
    command.set_defaults(run=run_all)
    command = commands.add_parser('compare', help='two LFW results, fold by fold')
    parts.add_compare(command)
    command.set_defaults(run=parts.run_compare)
    text = "a model's threshold of one person, and its figures, from its results into its manifest"
    command = commands.add_parser('publish', help=text, description=text)
    command.add_argument('--model', required=True, metavar='PREFIX', help='of an exported model, as DIR/NAME')
    command.add_argument('--results', required=True, metavar='DIR', help='with lfw.json among them')
    command.add_argument('--licence', metavar='TEXT', help='what the model may be used for')
    command.set_defaults(run=run_publish)
    return parser


def parse(argv) -> argparse.Namespace:
    """Read the command line; contradictions end the program with the usage."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    arguments.command_line = list(argv)
    fddb = arguments.command == 'fddb'
    official = fddb and arguments.detections
    if hasattr(arguments, 'teacher') and bool(arguments.model) + arguments.teacher + bool(official) != 1:
        parser.error('give one of --model PREFIX, --teacher' + (' and --detections DIR' if fddb else ''))
    if fddb and arguments.crops and (arguments.annotations or arguments.images or arguments.detections):
        parser.error('--crops DIR goes with none of --annotations, --images and --detections')
    if fddb and not (arguments.crops or arguments.annotations and (arguments.images or official)):
        parser.error('give --crops DIR, or --annotations DIR with --images DIR or --detections DIR')
    return arguments


def run_all(arguments: argparse.Namespace) -> int:
    """Run what the settings list and no result file holds; failures are told, and counted in the end."""
    from uniface_mx.evaluation.series import is_done, read_settings

    commands = [
        parse(
            [name, '--model', arguments.model, '--out', arguments.out, *options]
            + backend_options(arguments, name)
        )
        for name, options in read_settings(arguments.settings)
    ]
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


def run_publish(arguments: argparse.Namespace) -> None:
    """Complete a model's manifest."""
    from uniface_mx.evaluation.publish import publish

    entries = publish(arguments.model, arguments.results, arguments.licence)
    print(
        '{}: one person from a similarity of {:.3f} on; figures of {}'.format(
            arguments.model, entries['thresholds']['verification'], ', '.join(entries['results'])
        )
    )


def backend_options(arguments: argparse.Namespace, name: str) -> list:
    """Options of `all` that are handed on to a part."""
    from uniface_mx.evaluation.parts import PARTS

    if not PARTS[name].subjects:
        return []
    options = ['--backend', arguments.backend, '--device', arguments.device]
    return options + ([] if arguments.progress else ['--no-progress'])


def main(argv=None) -> int:
    arguments = parse(sys.argv[1:] if argv is None else argv)
    return run('evaluate', lambda: arguments.run(arguments))


if __name__ == '__main__':
    sys.exit(main())
