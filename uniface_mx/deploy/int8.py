"""Int8 graphs of a model, for CPUs: MXNet's own quantization of oneDNN's fused layers."""

from __future__ import annotations

import json
from contextlib import contextmanager
from itertools import chain
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Sequence, Tuple

import mxnet as mx
import numpy as np
from mxnet.contrib import quantization
from mxnet.gluon import nn

from uniface_mx.data.calibration import Calibration
from uniface_mx.deploy.backends import Int8Backend
from uniface_mx.models.files import FACES, INT8, TRUNK, Arrays, ModelFiles, graph_arrays, named_arrays
from uniface_mx.models.uniface import Uniface, inference_graphs
from uniface_mx.nn.conv import as_convolutions
from uniface_mx.nn.pathways import TopDown

FUSION = 'MKLDNN_QUANTIZE'
# Operators that only move values, and move bytes as well.
MOVES = ('Reshape', 'slice', '_slice_assign')


def quantize_model(net: Uniface, files: ModelFiles, calibration: Calibration) -> Dict[str, Any]:
    """Write both halves of a model in int8.

    Returns
    -------
    dict
        The manifest's entry: where the ranges come from, and the mean cosine of embeddings with float32's on a few of
        the same faces.
    """

    def features(canvases: np.ndarray) -> np.ndarray:
        return net.detector(mx.nd.array(canvases))[1].asnumpy()

    canvases, faces = next(calibration.batches())
    inputs = {'features': features(canvases), 'faces': faces}
    expected = net.embedder(*map(mx.nd.array, inputs.values())).asnumpy()
    with without_deconvolutions(net, inputs['features'].shape[-1]):
        trunk, trunk_arrays = inference_graphs(net)[TRUNK].symbol, named_arrays(net)
    cases = {
        TRUNK: (trunk, trunk_arrays, ({'data': canvases} for canvases, _ in calibration.batches())),
        FACES: (
            inference_graphs(net)[FACES].symbol,
            named_arrays(net),
            ({'features': features(canvases), 'faces': faces} for canvases, faces in calibration.batches()),
        ),
    }
    for part, (symbol, arrays, batches) in cases.items():
        symbol, own = quantize(symbol, graph_arrays(symbol, arrays), batches)
        files.write_symbol(symbol, part, INT8)
        files.write_weights(symbol, own, part, INT8)
    backend = Int8Backend(files)
    _, found = backend.run(TRUNK, {'data': canvases})
    (found,) = backend.run(FACES, {'features': found, 'faces': faces})
    return dict(calibration.about, cosine=float(np.sum(expected * found.asnumpy(), axis=1).mean()))


@contextmanager
def without_deconvolutions(net: Uniface, side: int) -> Iterator[None]:
    """The network with convolutions in the place of its deconvolutions, while the context lasts.

    Parameters
    ----------
    net : Uniface
        With weights.
    side : int
        Of its recognition map F_r.
    """
    pathway = net.network.recognition_map
    if not isinstance(pathway, TopDown):
        yield
        return
    units = pathway.deconv
    pathway.deconv = nn.HybridSequential(prefix='')
    for number, unit in enumerate(units):
        pathway.deconv.add(as_convolutions(unit, side >> (len(units) - 1 - number)))
    try:
        yield
    finally:
        pathway.deconv = units


def quantize(
    symbol: mx.sym.Symbol, arrays: Mapping[str, mx.nd.NDArray], batches: Iterable[Mapping[str, np.ndarray]]
) -> Tuple[mx.sym.Symbol, Arrays]:
    """A graph in int8, and its arrays under their stock names.

    Ranges of values are the least and the largest that occur. oneDNN quantizes the weights, each output
    channel by itself, when the graph first runs: arrays stay float32.

    Parameters
    ----------
    symbol : mxnet.symbol.Symbol
    arrays : mapping
        Its parameters under their stock names, ``arg:`` and ``aux:``.
    batches : iterable of mapping
        Inputs by name, all of the same shapes.
    """
    arguments, statistics = (
        {name[4:]: array for name, array in arrays.items() if name.startswith(kind)}
        for kind in ('arg:', 'aux:')
    )
    fused = symbol.get_backend_symbol(FUSION)
    quantized, _, _, collector = quantization.quantize_graph(
        fused,
        arguments,
        statistics,
        calib_mode='naive',
        quantized_dtype='auto',
        quantize_mode='smart',
        quantize_granularity='channel-wise',
        logger=None,
    )
    batches = iter(batches)
    first = next(batches)
    inputs = {name: mx.nd.zeros(array.shape) for name, array in first.items()}
    executor = fused.bind(mx.cpu(), dict(arguments, **inputs), grad_req='null', aux_states=statistics)
    executor.set_monitor_callback(collector.collect, monitor_all=True)
    for batch in chain([first], batches):
        for output in executor.forward(is_train=False, **batch):
            output.wait_to_read()
    quantized, arguments, statistics = quantization.calib_graph(
        quantized, arguments, statistics, collector, calib_mode='naive', quantized_dtype='auto', logger=None
    )
    quantized = move_bytes(quantized.get_backend_symbol(FUSION))
    kept = set(quantized.list_arguments())
    named = {'arg:' + name: array for name, array in arguments.items() if name in kept}
    return quantized, dict(named, **{'aux:' + name: array for name, array in statistics.items()})


def move_bytes(symbol: mx.sym.Symbol) -> mx.sym.Symbol:
    """A quantized graph in which values that are only moved about are turned into float32 afterwards.

    MXNet quantizes the operators of its list, and puts a conversion to float32 before any other: the
    interleaving of `PhaseDeconvolution`'s outputs would move four times the bytes, and be quantized again.
    """
    graph = json.loads(symbol.tojson())
    nodes: List[dict] = []
    # By a node's former number: the 8-bit entry that stands for its output, and the entries of its range.
    raw: Dict[int, List[list]] = {}
    # By a former entry: the entry now.
    now: Dict[Tuple[int, int], list] = {}

    def emit(node: dict, inputs: List[list]) -> int:
        nodes.append(dict(node, inputs=inputs))
        return len(nodes) - 1

    def floating(entry: Sequence[int]) -> list:
        number, output = entry[0], entry[1]
        if (number, output) not in now:
            node = graph['nodes'][number]
            if node['op'] != '_contrib_dequantize':
                node = {'op': '_contrib_dequantize', 'name': node['name'] + '_dequantize'}
            now[number, output] = [emit(node, raw[number]), 0, 0]
        return now[number, output]

    for number, node in enumerate(graph['nodes']):
        sources = [raw.get(entry[0]) for entry in node['inputs']]
        if node['op'] == '_contrib_dequantize':
            raw[number] = [now[entry[0], entry[1]] for entry in node['inputs']]
        elif node['op'] in MOVES and all(sources) and all(source[1:] == sources[0][1:] for source in sources):
            entry = [emit(node, [source[0] for source in sources]), 0, 0]
            raw[number] = [entry] + sources[0][1:]
        elif node['op'] == '_contrib_quantize_v2' and sources[0]:
            for output, entry in enumerate(sources[0]):
                now[number, output] = entry
        else:
            place = emit(node, [floating(entry) for entry in node['inputs']])
            for output in range(graph['node_row_ptr'][number + 1] - graph['node_row_ptr'][number]):
                now[number, output] = [place, output, 0]
    graph['heads'] = [floating(entry) for entry in graph['heads']]
    graph['nodes'] = nodes
    graph['arg_nodes'] = [number for number, node in enumerate(nodes) if node['op'] == 'null']
    del graph['node_row_ptr']
    return mx.sym.load_json(json.dumps(graph))
