"""What a model costs: parameters and multiply-adds, counted from the nodes of its graphs."""

from __future__ import annotations

import json
from typing import Dict, List, NamedTuple, Tuple

import numpy as np

from uniface_mx.models.files import FACES, TRUNK
from uniface_mx.models.uniface import Graph, Uniface, inference_graphs

Shape = Tuple[int, ...]


class Cost(NamedTuple):
    """What a graph holds and what one run of it takes."""

    parameters: int
    multiply_adds: int


def model_cost(net: Uniface) -> Tuple[Cost, Cost]:
    """What a model's trunk costs for an image, and its recognition for a face."""
    graphs = inference_graphs(net)
    return count(graphs[TRUNK]), count(graphs[FACES])


def count(graph: Graph) -> Cost:
    """Learned parameters, and multiply-adds of (de)convolutions and fully-connected layers.

    Batch-norm statistics and constants (the anchors) are not counted as parameters.
    """
    symbol, inputs = graph
    internals, attributes = symbol.get_internals(), symbol.attr_dict()
    shapes = dict(zip(internals.list_outputs(), internals.infer_shape(**inputs)[1]))
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


def _multiply_adds(node: dict, nodes: List[dict], shapes: Dict[str, Shape]) -> int:
    if node['op'] not in ('Convolution', 'Deconvolution', 'FullyConnected'):
        return 0
    data, weight = (nodes[entry[0]]['name'] for entry in node['inputs'][:2])
    own = node['name'] + '_output'
    # A deconvolution multiplies its kernel with every cell that it reads, the others with every cell that they write.
    known = (own,) if node['op'] != 'Deconvolution' else (data, data + '_output', data + '_output0')
    cells = next(shapes[name] for name in known if name in shapes)
    return cells[0] * np.prod(cells[2:], dtype=int) * np.prod(shapes[weight])
