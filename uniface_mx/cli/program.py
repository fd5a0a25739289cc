"""How every program begins and ends: its options, its status, and one line on what kept it from its work."""

from __future__ import annotations

import argparse
import math
import os
import sys
from typing import Any, Callable, Optional, Sequence

from uniface_mx.errors import UnifaceError

# How a program ends: it did all, or found what it looked for; it left something out, or found nothing; it
# could not work; somebody stopped it.
DONE, PARTLY, TROUBLE, INTERRUPTED = 0, 1, 2, 130
STATUS = 'status: 0 for success; 1 where {}; 2 where it could not do its work'


def run(program: str, work: Callable[[], Optional[int]]) -> int:
    """A program's status, `DONE` where `work` returns nothing; what kept it from work is a line on stderr."""
    try:
        status = work() or DONE
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        print(f'{program}: interrupted', file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read has enough; at its end Python would try to write the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return TROUBLE
    except (UnifaceError, OSError) as error:
        print(f'{program}: {error}', file=sys.stderr)
        return TROUBLE


def program(
    name: str,
    text: str,
    work: Optional[Callable[[argparse.Namespace], Optional[int]]] = None,
    add_options: Optional[Callable[[argparse.ArgumentParser], None]] = None,
    partly: Optional[str] = None,
) -> Callable[[Optional[Sequence[str]]], int]:
    """A program's `main`: takes its arguments, by default those of the command line, and gives its status.

    Parameters
    ----------
    name, text : str
        Of the program, and what it does.
    work : callable, optional
        Takes the options, does the work, and returns a status or nothing. Left out where commands that
        `add_options` adds have such functions of their own, as their default of `run`. The options' `error`
        may be called with a text: it ends the program with the usage.
    add_options : callable, optional
        Adds options to a parser.
    partly : str, optional
        When the status is `PARTLY`, for the help.
    """

    def main(argv: Optional[Sequence[str]] = None) -> int:
        epilog = partly and STATUS.format(partly)
        parser = argparse.ArgumentParser(prog=name, description=text, epilog=epilog)
        parser.set_defaults(run=work, error=parser.error)
        if add_options:
            add_options(parser)
        arguments = parser.parse_args(argv)
        return run(name, lambda: arguments.run(arguments))

    return main


def at_least(low: float, kind: Callable = int) -> Callable[[str], Any]:
    """A type of options: numbers from ``low`` on."""
    return within(low, math.inf, kind)


def within(low: float, high: float, kind: Callable = int) -> Callable[[str], Any]:
    """A type of options: finite numbers from ``low`` to ``high``."""
    wanted = f'from {low} {"on" if high == math.inf else f"to {high}"}'

    def convert(text: str) -> Any:
        value = kind(text)
        if not low <= value <= high or value == math.inf:
            raise argparse.ArgumentTypeError(f'{text} is not a number {wanted}')
        return value

    convert.__name__ = kind.__name__
    return convert
