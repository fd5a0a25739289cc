"""Export: symbol and params for any MXNet front end, ONNX, and the manifest that says how to use them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple, Union

import mxnet as mx
import numpy as np

from uniface_mx.deploy.int8 import Calibration, quantize, without_deconvolutions
from uniface_mx.deploy.onnx import OPSET, export_onnx, run_onnx
from uniface_mx.errors import UnifaceError
from uniface_mx.files import files_aside, written_aside
from uniface_mx.models.exported import INT8, graph_arrays, part_prefix, run_symbol, weights_path
from uniface_mx.models.manifest import write_manifest
from uniface_mx.models.uniface import Uniface
from uniface_mx.models.weights import named_arrays, save_arrays
from uniface_mx.nn.attention import EMBEDDING_DIM, FACE_ROW
from uniface_mx.provenance import git_revision, versions

SCORE_THRESHOLD = 0.5


class Graph(NamedTuple):
    """A symbolic graph and the shapes of its inputs for one image or face."""

    symbol: mx.sym.Symbol
    inputs: Dict[str, Tuple[int, ...]]


def _named(symbol: mx.sym.Symbol, name: str) -> mx.sym.Symbol:
    return mx.sym.identity(symbol, name=name)


def inference_graphs(net: Uniface) -> Dict[str, Graph]:
    """The graphs of a model: the whole under ``''``, and its halves ``trunk`` and ``faces``.

    The whole takes ``data`` (N, 3, 300, 300) to ``detections`` (N, K, 15) and ``embeddings`` (N, K, 128). The
    trunk gives ``detections`` and ``features`` (F_r); the faces' graph takes ``features`` and ``faces`` (R,
    15), a row an image number, a box and five landmarks in input pixels, to ``embeddings`` (R, 128).
    """
    image = {'data': (1, 3, net.size, net.size)}
    with mx.name.NameManager():
        detections, embeddings = net(mx.sym.var('data'))
        whole = mx.sym.Group([_named(detections, 'detections'), _named(embeddings, 'embeddings')])
    with mx.name.NameManager():
        detections, features = net.detector(mx.sym.var('data'))
        trunk = mx.sym.Group([_named(detections, 'detections'), _named(features, 'features')])
    with mx.name.NameManager():
        faces = _named(net.embedder(mx.sym.var('features'), mx.sym.var('faces')), 'embeddings')
    features_shape = trunk.infer_shape(**image)[1][1]
    return {
        '': Graph(whole, image),
        'trunk': Graph(trunk, image),
        'faces': Graph(faces, {'features': features_shape, 'faces': (1, FACE_ROW)}),
    }


def _relative_difference(expected, actual) -> float:
    return max(
        float(np.max(np.abs(a - b) / np.maximum(np.abs(a), 1), initial=0)) for a, b in zip(expected, actual)
    )


def _check(net: Uniface, prefix: Path, parts, onnx: bool) -> Dict[str, float]:
    """Largest difference of each written graph from Gluon, relative to the value or to 1."""
    random = np.random.RandomState(0)
    data = random.uniform(0, 255, (2, 3, net.size, net.size)).astype(np.float32)
    gluon = mx.nd.array(data)
    detections, features = net.detector(gluon)
    image = mx.nd.array(np.repeat(np.arange(2), net.max_faces)).reshape((-1, 1))
    faces = mx.nd.concat(image, detections[:, :, 1:].reshape((-1, FACE_ROW - 1)), dim=1)
    cases = {
        '': ({'data': data}, net(gluon)),
        'trunk': ({'data': data}, (detections, features)),
        'faces': (
            {'features': features.asnumpy(), 'faces': faces.asnumpy()},
            (net.embedder(features, faces),),
        ),
    }
    differences = {}
    for part in parts:
        inputs, expected = cases[part]
        expected = [array.asnumpy() for array in expected]
        path = part_prefix(prefix, part)
        differences[path.name + ', symbol'] = _relative_difference(expected, run_symbol(prefix, inputs, part))
        if onnx:
            file = path.with_name(path.name + '.onnx')
            differences[path.name + ', ONNX Runtime'] = _relative_difference(expected, run_onnx(file, inputs))
    return differences


def _export_int8(net: Uniface, prefix: Path, calibration: Calibration) -> Dict[str, Any]:
    """Write both halves in int8; the manifest's entry: where the ranges come from, and the mean cosine of embeddings
    with float32's on a few of the same faces.
    """

    def features(canvases):
        return net.detector(mx.nd.array(canvases))[1].asnumpy()

    canvases, faces = next(calibration.batches())
    expected_features = features(canvases)
    with without_deconvolutions(net, expected_features.shape[-1]):
        trunk, trunk_arrays = inference_graphs(net)['trunk'].symbol, named_arrays(net)
    cases = {
        'trunk': (trunk, trunk_arrays, ({'data': canvases} for canvases, _ in calibration.batches())),
        'faces': (
            inference_graphs(net)['faces'].symbol,
            named_arrays(net),
            ({'features': features(canvases), 'faces': faces} for canvases, faces in calibration.batches()),
        ),
    }
    for part, (symbol, arrays, batches) in cases.items():
        path = part_prefix(prefix, part, INT8)
        symbol, own = quantize(symbol, graph_arrays(symbol, arrays), batches)
        write_symbol(path, symbol)
        save_arrays(weights_path(prefix, part, INT8), own)
    _, found_features = run_symbol(prefix, {'data': canvases}, 'trunk', INT8)
    (found,) = run_symbol(prefix, {'features': found_features, 'faces': faces}, 'faces', INT8)
    expected = net.embedder(mx.nd.array(expected_features), mx.nd.array(faces)).asnumpy()
    return dict(calibration.about, cosine=float(np.sum(expected * found, axis=1).mean()))


def _interface(graph: Graph) -> dict:
    outputs = graph.symbol.infer_shape(**graph.inputs)[1]
    names = [name[: -len('_output')] for name in graph.symbol.list_outputs()]

    def rows(shapes):
        return [
            {'name': name, 'shape': ['N'] + list(shape[1:]), 'dtype': 'float32'} for name, shape in shapes
        ]

    return {'inputs': rows(graph.inputs.items()), 'outputs': rows(zip(names, outputs))}


def export_model(
    net: Uniface,
    name: str,
    out: Union[str, os.PathLike],
    split: bool = False,
    onnx: bool = False,
    mean_embedding: Optional[np.ndarray] = None,
    details: Optional[Mapping] = None,
    calibration: Optional[Calibration] = None,
) -> Dict[str, float]:
    """Write a model's graphs, weights and manifest, and check what was written against Gluon.

    Parameters
    ----------
    net : Uniface
        With weights.
    name : str
        Files are called ``NAME-symbol.json``, ``NAME-0000.params``, ``NAME.json``; with `split` also
        ``NAME-trunk-symbol.json`` and ``NAME-faces-symbol.json``, halves with the same weights; with `onnx`
        each graph as ``.onnx``, too.
    out : path
        Folder; made where it is missing.
    mean_embedding : numpy.ndarray, optional
        (128,) mean of the teacher's embeddings of the training set. It is subtracted from the last layer's
        bias, so that embeddings of strangers are near 0 in cosine.
    details : mapping, optional
        More entries of the manifest: model, training, thresholds, licence.
    calibration : Calibration, optional
        With photos of `int8.read_calibration` both halves are also written in int8: ``NAME-trunk-int8-*`` and
        ``NAME-faces-int8-*``.

    Returns
    -------
    dict
        Largest difference of each written graph from Gluon, relative to the value or to 1, whichever is
        larger.

    Raises
    ------
    UnifaceError
        `name` is none, a file cannot be written, or ONNX is asked for and not installed; what `out` held before
        is as it was.
    """
    if Path(name).name != name or name == '..':
        raise UnifaceError(f'{name!r}: is no name of files; name the folder by out')
    graphs = {part: graph for part, graph in inference_graphs(net).items() if split or not part}
    bias = net.recognition.embedding.bias
    raw_bias = bias.data().copy()
    if mean_embedding is not None:
        bias.set_data(raw_bias - mx.nd.array(mean_embedding))
    try:
        with files_aside(out) as aside:
            prefix = aside / name
            arrays = named_arrays(net)
            save_arrays(weights_path(prefix), graph_arrays(graphs[''].symbol, arrays))
            for part, graph in graphs.items():
                path = part_prefix(prefix, part)
                write_symbol(path, graph.symbol)
                if onnx:
                    own = graph_arrays(graph.symbol, arrays)
                    export_onnx(path.with_name(path.name + '.onnx'), graph.symbol, own, graph.inputs)
            differences = _check(net, prefix, graphs, onnx)
            int8 = None if calibration is None else _export_int8(net, prefix, calibration)
            files = sorted(path.name for path in aside.iterdir())
    finally:
        bias.set_data(raw_bias)
    manifest = {
        'name': name,
        'graphs': {part or 'whole': _interface(graph) for part, graph in graphs.items()},
        'input': {
            'size': net.size,
            'layout': 'NCHW',
            'channels': 'RGB',
            'range': [0, 255],
            'preparation': 'pad with 0 at the right or bottom to a square, resize to the input size',
        },
        'coordinates': 'pixels of the input, pixel i covers [i, i + 1); boxes x1 y1 x2 y2, right and bottom '
        'exclusive; landmarks x y of image-left eye, image-right eye, nose, image-left and image-right mouth '
        'corner',
        'max_faces': net.max_faces,
        'thresholds': {
            'graph_score': net.score_threshold,
            'graph_iou': net.iou_threshold,
            'score': SCORE_THRESHOLD,
            'verification': None,
            'identification': None,
        },
        'mean_embedding': None if mean_embedding is None else [float(value) for value in mean_embedding],
        'embedding': {'dimension': EMBEDDING_DIM, 'unit_length': True, 'centred': mean_embedding is not None},
        'versions': versions(),
        'revision': git_revision(),
        'files': files,
    }
    if onnx:
        manifest['onnx_opset'] = OPSET
    if int8:
        manifest['int8'] = int8
    write_manifest(Path(out) / name, _merged(manifest, details or {}))
    return differences


def _merged(base: dict, more: Mapping) -> dict:
    """`base` with `more` laid over it, dictionaries within merged."""
    merged = dict(base)
    for key, value in more.items():
        nested = isinstance(value, Mapping) and isinstance(base.get(key), Mapping)
        merged[key] = dict(base[key], **value) if nested else value
    return merged


def write_symbol(prefix: Union[str, os.PathLike], symbol: mx.sym.Symbol) -> None:
    """Write ``PREFIX-symbol.json``, aside and renamed."""
    with written_aside(f'{prefix}-symbol.json') as aside:
        # MXNet counts how often a graph with statistics was traced; a second time makes no other graph.
        aside.write_text(re.sub(r'(\[\d+, \d+, )[1-9]\d*\]', r'\g<1>1]', symbol.tojson()) + '\n')
