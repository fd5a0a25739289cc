"""The files of an exported model: what they are called, and the graphs in them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Dict, Mapping, Tuple, Union

import mxnet as mx
import numpy as np

EPOCH = 0
INT8 = 'int8'


def graph_arrays(symbol: mx.sym.Symbol, arrays: Mapping[str, mx.nd.NDArray]) -> Dict[str, mx.nd.NDArray]:
    """The arrays that a graph needs, out of all of a model's."""
    wanted = ['arg:' + name for name in symbol.list_arguments()] + [
        'aux:' + name for name in symbol.list_auxiliary_states()
    ]
    return {name: arrays[name] for name in wanted if name in arrays}


def part_prefix(prefix: Union[str, os.PathLike], part: str, kind: str = '') -> Path:
    """``DIR/NAME`` for the whole graph, ``DIR/NAME-PART`` for a half; ``-int8`` behind it for that kind."""
    prefix = Path(prefix)
    return prefix.with_name('-'.join(filter(None, (prefix.name, part, kind))))


def weights_path(prefix: Union[str, os.PathLike], part: str = '', kind: str = '') -> Path:
    """The file with a graph's weights: the halves have those of the whole, but for other kinds of numbers."""
    path = part_prefix(prefix, part if kind else '', kind)
    return path.with_name(f'{path.name}-{EPOCH:04d}.params')


def load_graph(
    prefix: Union[str, os.PathLike], part: str = '', kind: str = ''
) -> Tuple[mx.sym.Symbol, Dict[str, mx.nd.NDArray], Dict[str, mx.nd.NDArray]]:
    """An exported graph with its arguments and statistics."""
    symbol = mx.sym.load(f'{part_prefix(prefix, part, kind)}-symbol.json')
    groups: Dict[str, Dict[str, mx.nd.NDArray]] = {'arg': {}, 'aux': {}}
    for name, array in graph_arrays(symbol, mx.nd.load(str(weights_path(prefix, part, kind)))).items():
        group, name = name.split(':', 1)
        groups[group][name] = array
    return symbol, groups['arg'], groups['aux']


def run_symbol(
    prefix: Union[str, os.PathLike], inputs: Mapping[str, np.ndarray], part: str = '', kind: str = ''
) -> Tuple[np.ndarray, ...]:
    """Outputs of an exported graph for one set of inputs, by MXNet's symbolic executor alone."""
    symbol, arguments, statistics = load_graph(prefix, part, kind)
    executor = symbol.simple_bind(
        mx.cpu(), grad_req='null', **{name: array.shape for name, array in inputs.items()}
    )
    executor.copy_params_from(arguments, statistics)
    return tuple(output.asnumpy() for output in executor.forward(is_train=False, **inputs))
