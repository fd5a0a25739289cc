"""Parameters and multiply-adds of a symbolic graph, counted from its nodes."""

from __future__ import annotations

import json
from typing import Dict, NamedTuple, Sequence, Tuple

import mxnet as mx
import numpy as np


class Cost(NamedTuple):
    """What a graph holds and what one run of it takes."""

    parameters: int
    multiply_adds: int


def _shapes(symbol: mx.sym.Symbol, inputs: Dict[str, Tuple[int, ...]]) -> Dict[str, Tuple[int, ...]]:
    internals = symbol.get_internals()
    _, outputs, _ = internals.infer_shape(**inputs)
    return dict(zip(internals.list_outputs(), outputs))


def count(symbol: mx.sym.Symbol, inputs: Dict[str, Tuple[int, ...]]) -> Cost:
    """Count learned parameters, and multiply-adds of (de)convolutions and fully-connected layers.

    Parameters
    ----------
    symbol : mxnet.symbol.Symbol
    inputs : dict
        Shape of every input that is not a parameter.

    Returns
    -------
    Cost
        Batch-norm statistics and constants (the anchors) are not counted as parameters.
    """
    shapes, attributes = _shapes(symbol, inputs), symbol.attr_dict()
    learned = [
        name
        for name in symbol.list_arguments()
        if name not in inputs and attributes.get(name, {}).get('__lr_mult__') != '0.0'
    ]
    nodes = json.loads(symbol.tojson())['nodes']
    return Cost(
        int(sum(np.prod(shapes[name]) for name in learned)),
        int(sum(_multiply_adds(node, nodes, shapes) for node in nodes)),
    )


def _multiply_adds(node: dict, nodes: Sequence[dict], shapes: Dict[str, Tuple[int, ...]]) -> int:
    if node['op'] not in ('Convolution', 'Deconvolution', 'FullyConnected'):
        return 0
    data, weight = (nodes[entry[0]] for entry in node['inputs'][:2])
    per_position = np.prod(shapes[weight['name']])
    if node['op'] == 'FullyConnected':
        return shapes[node['name'] + '_output'][0] * per_position
    # A deconvolution multiplies its kernel with every cell that it reads, a convolution with every cell that
    # it writes.
    source = shapes[node['name'] + '_output'] if node['op'] == 'Convolution' else _output_shape(data, shapes)
    return source[0] * source[2] * source[3] * per_position


def _output_shape(node: dict, shapes: Dict[str, Tuple[int, ...]]) -> Tuple[int, ...]:
    return next(
        shapes[name]
        for name in (node['name'], node['name'] + '_output', node['name'] + '_output0')
        if name in shapes
    )
