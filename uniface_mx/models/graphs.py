"""The symbolic graphs of a model, and what they cost: parameters and multiply-adds, counted from their nodes."""

from __future__ import annotations

import json
from typing import Dict, List, NamedTuple, Tuple

import mxnet as mx
import numpy as np

from uniface_mx.models.files import FACES, TRUNK, WHOLE
from uniface_mx.models.uniface import Uniface
from uniface_mx.nn.attention import FACE_ROW

Shape = Tuple[int, ...]


class Graph(NamedTuple):
    """A symbolic graph and the shapes of its inputs for one image or face."""

    symbol: mx.sym.Symbol
    inputs: Dict[str, Shape]


class Cost(NamedTuple):
    """What a graph holds and what one run of it takes."""

    parameters: int
    multiply_adds: int


def _group(**outputs: mx.sym.Symbol) -> mx.sym.Symbol:
    return mx.sym.Group([mx.sym.identity(symbol, name=name) for name, symbol in outputs.items()])


def inference_graphs(net: Uniface) -> Dict[str, Graph]:
    """The graphs of a model: the ``whole``, and its halves ``trunk`` and ``faces``.

    The whole takes ``data`` (N, 3, 300, 300) to ``detections`` (N, K, 15) and ``embeddings`` (N, K, 128). The
    trunk gives ``detections`` and ``features`` (F_r); the faces' graph takes ``features`` and ``faces`` (R,
    15), a row an image number, a box and five landmarks in input pixels, to ``embeddings`` (R, 128).
    """
    image = {'data': (1, 3, net.size, net.size)}
    with mx.name.NameManager():
        detections, embeddings = net(mx.sym.var('data'))
        whole = _group(detections=detections, embeddings=embeddings)
    with mx.name.NameManager():
        detections, features = net.detector(mx.sym.var('data'))
        trunk = _group(detections=detections, features=features)
    with mx.name.NameManager():
        faces = _group(embeddings=net.embedder(mx.sym.var('features'), mx.sym.var('faces')))
    features_shape = trunk.infer_shape(**image)[1][1]
    return {
        WHOLE: Graph(whole, image),
        TRUNK: Graph(trunk, image),
        FACES: Graph(faces, {'features': features_shape, 'faces': (1, FACE_ROW)}),
    }


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
