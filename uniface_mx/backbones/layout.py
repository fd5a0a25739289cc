"""The trunk's convolution units, by name and by place, and their tensors."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Tuple

import mxnet as mx

from uniface_mx.nn.inception import MAX_POOL, STAGES, STEM, InceptionTrunk, Unit

PREFIX = 'trunk_'
BLOCKS = tuple(block for stage in STAGES for block in stage)
# Of each unit, in the order in which every file's names of them are given.
TENSORS = ('conv_weight', 'bn_gamma', 'bn_beta', 'bn_running_mean', 'bn_running_var')


class Place(NamedTuple):
    """Where a convolution unit of a mixed block stands.

    `block` and `branch` are numbers and `number` counts the block's units; `step` is the position in the
    branch, pools included; `letter` is 'a' or 'b' for the two units of a split, else empty; `units` is how
    many steps of the branch are convolutions, and `split` whether its last one is two of them.
    """

    name: str
    block: int
    branch: int
    number: int
    step: int
    letter: str
    units: int
    split: bool


def unit_name(block: str, branch: str, step: int, letter: str = '') -> str:
    """The trunk's name of a unit of a mixed block."""
    return f'{block}_{branch}_{step}{letter}'


def stem_units() -> List[str]:
    """Names of the stem's units, in order."""
    return [name for name, step in STEM if step != MAX_POOL]


def places() -> List[Place]:
    """All units of the mixed blocks, in order."""
    found = []
    for block_number, (block, branches) in enumerate(BLOCKS):
        number = 0
        for branch_number, (branch, *steps) in enumerate(branches):
            units = sum(not isinstance(step, str) for step in steps)
            split = not isinstance(steps[-1], (str, Unit))
            for position, step in enumerate(steps):
                if isinstance(step, str):
                    continue
                for letter in ('',) if isinstance(step, Unit) else 'ab':
                    name = unit_name(block, branch, position, letter)
                    found.append(
                        Place(name, block_number, branch_number, number, position, letter, units, split)
                    )
                    number += 1
    return found


def trunk_shapes() -> Dict[str, Tuple[int, ...]]:
    """Shape of every parameter of the full-width trunk, by its name without the trunk's prefix."""
    symbol = mx.sym.Group(list(InceptionTrunk(prefix=PREFIX)(mx.sym.var('data'))))
    arguments, _, statistics = symbol.infer_shape(data=(1, 3, 299, 299))
    names = symbol.list_arguments() + symbol.list_auxiliary_states()
    return {
        name[len(PREFIX) :]: shape for name, shape in zip(names, arguments + statistics) if name != 'data'
    }
