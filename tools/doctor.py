"""Tell whether and where MXNet can run on this machine, and what to type if it cannot."""

from __future__ import annotations

import argparse
import sys

from uniface_mx.cli.program import STATUS, program
from uniface_mx.doctor import examine


def build_parser() -> argparse.ArgumentParser:
    """What the program can be told."""
    parser = argparse.ArgumentParser(
        prog='doctor', description=__doc__, epilog=STATUS.format('something is wrong')
    )
    parser.set_defaults(run=lambda _: examine())
    return parser


main = program(build_parser)

if __name__ == '__main__':
    sys.exit(main())
