"""The paper's protocols and more: one module an evaluation, with its options, and what it prints and writes.

A module of `COMMANDS` has ``HELP``, ``add_options(parser)`` and ``run(arguments)``: `tools/evaluate.py` makes a command
of it. What several share is in `options`. `benchmark` is run by `tools/benchmark.py`.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

# Those that measure one subject and write a result file; a file of settings may list them.
EVALUATIONS = ('lfw', 'fddb', 'landmarks', 'detection', 'cosine', 'groups', 'cost', 'people')
# Those that work on results.
COMMANDS = (*EVALUATIONS, 'compare', 'publish')


def load(name: str) -> ModuleType:
    """The module of one of `COMMANDS`."""
    return import_module(f'{__name__}.{name}')
