"""The trunk's units by name and by place; a pretrained Inception-v3 as its file holds it, brought into their terms."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Sequence, Tuple

import mxnet as mx
import numpy as np

from uniface_mx.errors import UnifaceError
from uniface_mx.nn.inception import MAX_POOL, STAGES, STEM, InceptionTrunk, Unit
from uniface_mx.nn.normalize import CHANNEL_MEAN, CHANNEL_STD

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
                    place = block_number, branch_number, number, position, letter, units, split
                    found.append(Place(name, *place))
                    number += 1
    return found


def trunk_shapes() -> Dict[str, Tuple[int, ...]]:
    """Shape of every parameter of the full-width trunk, by its name without the trunk's prefix."""
    symbol = mx.sym.Group(list(InceptionTrunk(prefix=PREFIX)(mx.sym.var('data'))))
    arguments, _, statistics = symbol.infer_shape(data=(1, 3, 299, 299))
    names = symbol.list_arguments() + symbol.list_auxiliary_states()
    shapes = zip(names, arguments + statistics)
    return {name[len(PREFIX) :]: shape for name, shape in shapes if name != 'data'}


class Scaling(NamedTuple):
    """A network was trained on (pixel - mean) / std, pixels RGB 0..255, channel by channel."""

    mean: Tuple[float, float, float]
    std: Tuple[float, float, float]


SCALINGS = {
    'imagenet': Scaling(CHANNEL_MEAN, CHANNEL_STD),
    'symmetric': Scaling((127.5,) * 3, (127.5,) * 3),
    'unit': Scaling((0.0,) * 3, (255.0,) * 3),
}


class Dense(NamedTuple):
    """A layer of a classifier: names of its tensors, and ``'relu'``, ``'linear'`` or ``'softmax'``."""

    weight: str
    bias: str
    activation: str


class Source(NamedTuple):
    """What a file holds, under the file's own names.

    Parameters
    ----------
    tensors : dict
        Arrays by the file's names; convolutions (out, in, height, width), dense layers (out, in).
    names : dict
        The file's name of each of the trunk's parameters. A batch norm without gamma has none.
    classifier : tuple of Dense
        What follows the mean over the last map's cells; empty where the file has no classifier.
    scaling : str
        Key of `SCALINGS`.
    count_include_pad : bool
        See `InceptionTrunk`.
    labels : tuple of str
        Names of the classes where they are known.
    """

    kind: str
    tensors: Dict[str, np.ndarray]
    names: Dict[str, str]
    classifier: Tuple[Dense, ...]
    scaling: str
    count_include_pad: bool
    labels: Tuple[str, ...] = ()

    @property
    def classifier_names(self) -> List[str]:
        """Tensors of the classifier."""
        return [name for layer in self.classifier for name in (layer.weight, layer.bias)]

    @property
    def unused(self) -> List[str]:
        """Tensors that go neither into the trunk nor into the classifier."""
        used = set(self.names.values()) | set(self.classifier_names)
        return sorted(name for name in self.tensors if name not in used)


def tensor_names(units: Dict[str, str], theirs: Sequence[str]) -> Dict[str, str]:
    """A file's name of each of the trunk's parameters, from its names of units and, in order, of `TENSORS`."""
    return {
        f'{unit}_{ours}': f'{path}.{tensor}'
        for unit, path in units.items()
        for ours, tensor in zip(TENSORS, theirs)
    }


def classifier_of(tensors: Dict[str, np.ndarray], weight: str, bias: str) -> Tuple[Dense, ...]:
    """A classifier of one layer, where a file has its tensors."""
    return (Dense(weight, bias, 'softmax'),) if {weight, bias} <= set(tensors) else ()


def _problems(source: Source, shapes: Dict[str, Tuple[int, ...]]) -> List[str]:
    found = []
    for name, shape in shapes.items():
        theirs = source.names.get(name)
        if theirs is None:
            if not name.endswith('_gamma'):
                found.append(f'nothing for {name}')
        elif theirs not in source.tensors:
            found.append(f'{theirs} is missing (for {name})')
        elif source.tensors[theirs].shape != shape:
            found.append(f'{theirs} has shape {source.tensors[theirs].shape}, {name} wants {shape}')
        elif not np.isfinite(source.tensors[theirs]).all():
            found.append(f'{theirs} holds numbers that are not finite')
        elif name.endswith('_running_var') and source.tensors[theirs].min() < 0:
            found.append(f'{theirs} holds negative variances')
    return found


def convert(source: Source) -> Dict[str, np.ndarray]:
    """The trunk's parameters, float32, by names without prefix, for the graph's own scaling of the pixels.

    With another scaling, z' = a z + b channel by channel in terms of the graph's z. The first convolution has
    no padding, so a goes into its weights exactly, and what it makes of b into the running mean behind it.

    Raises
    ------
    UnifaceError
        A tensor is missing, has another shape, or holds numbers that cannot be weights: all are listed, up to
        five.
    """
    shapes = trunk_shapes()
    problems = _problems(source, shapes)
    if problems:
        more = f', and {len(problems) - 5} more' if len(problems) > 5 else ''
        raise UnifaceError(f'no Inception-v3 of full width: {"; ".join(problems[:5])}{more}')
    arrays = {
        name: np.asarray(
            source.tensors[source.names[name]] if name in source.names else np.ones(shape), np.float64
        )
        for name, shape in shapes.items()
    }
    own, theirs = SCALINGS['imagenet'], SCALINGS[source.scaling]
    factor = np.divide(own.std, theirs.std)
    shift = np.subtract(own.mean, theirs.mean) / theirs.std
    weight, mean = 'conv_1a_conv_weight', 'conv_1a_bn_running_mean'
    arrays[mean] = arrays[mean] - np.einsum('ochw,c->o', arrays[weight], shift)
    arrays[weight] = arrays[weight] * factor[:, None, None]
    return {name: array.astype(np.float32) for name, array in arrays.items()}
