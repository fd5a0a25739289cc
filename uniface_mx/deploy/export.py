"""Export: symbol and params for any MXNet front end, ONNX, int8, and the manifest that says how to use them."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, Mapping, Optional, Tuple

import mxnet as mx
import numpy as np

from uniface_mx.data.calibration import Calibration
from uniface_mx.deploy.backends import MxnetBackend, OnnxBackend
from uniface_mx.deploy.int8 import quantize_model
from uniface_mx.errors import UnifaceError
from uniface_mx.files import files_aside, written_aside
from uniface_mx.models.files import FACES, TRUNK, WHOLE, ModelFiles, PathLike, graph_arrays, named_arrays
from uniface_mx.models.uniface import Graph, Uniface, inference_graphs
from uniface_mx.nn.attention import EMBEDDING_DIM, FACE_ROW
from uniface_mx.provenance import git_revision, versions

if TYPE_CHECKING:
    from mxnet.onnx.mx2onnx._export_onnx import MXNetGraph

SCORE_THRESHOLD = 0.5
# Of ONNX's operators, and of its files.
OPSET, IR_VERSION = 13, 8


def export_model(
    net: Uniface,
    name: str,
    out: PathLike,
    split: bool = False,
    onnx: bool = False,
    mean_embedding: Optional[np.ndarray] = None,
    details: Optional[Mapping[str, Any]] = None,
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
        With photos of `read_calibration` both halves are also written in int8: ``NAME-trunk-int8-*`` and
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
    graphs = {part: graph for part, graph in inference_graphs(net).items() if split or part == WHOLE}
    manifest = _manifest(net, name, graphs, mean_embedding)
    with _centred(net, mean_embedding), files_aside(out) as aside:
        files, arrays = ModelFiles(aside / name), named_arrays(net)
        files.write_weights(graphs[WHOLE].symbol, arrays)
        for part, graph in graphs.items():
            files.write_symbol(graph.symbol, part)
            if onnx:
                manifest['onnx_opset'] = OPSET
                own = graph_arrays(graph.symbol, arrays)
                export_onnx(files.onnx_path(part), graph.symbol, own, graph.inputs)
        differences = _check(net, files, graphs, onnx)
        if calibration is not None:
            manifest['int8'] = quantize_model(net, files, calibration)
        manifest['files'] = sorted(path.name for path in aside.iterdir())
        files.write_manifest(_merged(manifest, details or {}))
    return differences


@contextmanager
def _centred(net: Uniface, mean: Optional[np.ndarray]) -> Iterator[None]:
    """The network with a mean embedding subtracted from what it gives, while the context lasts."""
    bias = net.recognition.embedding.bias
    raw = bias.data().copy()
    if mean is not None:
        bias.set_data(raw - mx.nd.array(mean))
    try:
        yield
    finally:
        bias.set_data(raw)


def _check(net: Uniface, files: ModelFiles, parts: Iterable[str], onnx: bool) -> Dict[str, float]:
    """Largest difference of each written graph from Gluon, relative to the value or to 1."""
    random = np.random.RandomState(0)
    data = random.uniform(0, 255, (2, 3, net.size, net.size)).astype(np.float32)
    gluon = mx.nd.array(data)
    detections, features = net.detector(gluon)
    image = mx.nd.array(np.repeat(np.arange(2), net.max_faces)).reshape((-1, 1))
    faces = mx.nd.concat(image, detections[:, :, 1:].reshape((-1, FACE_ROW - 1)), dim=1)
    cases = {
        WHOLE: ({'data': data}, net(gluon)),
        TRUNK: ({'data': data}, (detections, features)),
        FACES: ({'features': features.asnumpy(), 'faces': faces.asnumpy()}, (net.embedder(features, faces),)),
    }
    backends = {'symbol': MxnetBackend(files)}
    if onnx:
        backends['ONNX Runtime'] = OnnxBackend(files)
    differences = {}
    for part, (what, backend) in product(parts, backends.items()):
        inputs, expected = cases[part]
        found = map(backend.to_numpy, backend.run(part, inputs))
        differences[f'{files.part_prefix(part).name}, {what}'] = max(
            float(np.max(np.abs(a - b) / np.maximum(np.abs(a), 1), initial=0))
            for a, b in zip((array.asnumpy() for array in expected), found)
        )
    return differences


def _manifest(
    net: Uniface, name: str, graphs: Mapping[str, Graph], mean: Optional[np.ndarray]
) -> Dict[str, Any]:
    """What a manifest says of a model whatever its weights; which files there are comes later."""
    return {
        'name': name,
        'graphs': {part: _interface(graph) for part, graph in graphs.items()},
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
        'mean_embedding': None if mean is None else [float(value) for value in mean],
        'embedding': {'dimension': EMBEDDING_DIM, 'unit_length': True, 'centred': mean is not None},
        'versions': versions(),
        'revision': git_revision(),
    }


def _interface(graph: Graph) -> Dict[str, Any]:
    """A graph's inputs and outputs, N being the number of images or faces."""
    outputs = graph.symbol.infer_shape(**graph.inputs)[1]
    names = [name[: -len('_output')] for name in graph.symbol.list_outputs()]
    return {
        side: [{'name': name, 'shape': ['N', *shape[1:]], 'dtype': 'float32'} for name, shape in shapes]
        for side, shapes in (('inputs', graph.inputs.items()), ('outputs', zip(names, outputs)))
    }


def _merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> Dict[str, Any]:
    """`base` with `more` laid over it, dictionaries within merged."""
    merged = dict(base)
    for key, value in more.items():
        nested = isinstance(value, Mapping) and isinstance(base.get(key), Mapping)
        merged[key] = dict(base[key], **value) if nested else value
    return merged


@contextmanager
def _mended_converter() -> Iterator[MXNetGraph]:
    """MXNet's converter without two of its habits, while the context lasts.

    It checks its graph against the newest opset that onnx knows, whatever it wrote; and it takes weights
    through Python lists, which costs a minute for a model of full size.
    """
    import onnx
    from mxnet.onnx.mx2onnx._export_onnx import MXNetGraph

    def convert_variable(node: Dict[str, Any], **kwargs: Any) -> Tuple[list, tuple]:
        if kwargs['is_input']:
            return convert_slowly(node, **kwargs)
        value = kwargs['weights'][node['name']]
        kwargs['initializer'].append(onnx.numpy_helper.from_array(value, node['name']))
        kind = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
        return [onnx.helper.make_tensor_value_info(node['name'], kind, value.shape)], (value.dtype,)

    converters, context = MXNetGraph.registry_[12], onnx.checker.DEFAULT_CONTEXT
    convert_slowly, newest = converters['null'], dict(context.opset_imports)
    converters['null'], context.opset_imports = convert_variable, {'': OPSET}
    try:
        yield MXNetGraph()
    finally:
        converters['null'], context.opset_imports = convert_slowly, newest


def export_onnx(
    path: PathLike,
    symbol: mx.sym.Symbol,
    arrays: Dict[str, mx.nd.NDArray],
    inputs: Dict[str, Tuple[int, ...]],
) -> None:
    """Write a graph as ONNX, opset 13, with a free first axis of every input.

    Initializers are left out of the graph's inputs: ONNX Runtime fuses only what nobody can feed.

    Parameters
    ----------
    path : path
    symbol : mxnet.symbol.Symbol
    arrays : dict
        Parameters under their stock ``arg:`` and ``aux:`` names.
    inputs : dict
        Shapes of the inputs, in the order of the graph.

    Raises
    ------
    UnifaceError
        onnx is not installed.
    """
    try:
        import onnx
    except ImportError:
        raise UnifaceError('ONNX export needs the package onnx: pip install onnx==1.16.2') from None
    parameters = {name.split(':', 1)[1]: array for name, array in arrays.items()}
    shapes = list(inputs.values())
    with _mended_converter() as converter:
        graph = converter.create_onnx_graph_proto(
            symbol,
            parameters,
            shapes,
            [onnx.TensorProto.FLOAT] * len(shapes),
            opset_version=OPSET,
            dynamic=True,
            dynamic_input_shapes=[(f'{name}_batch',) + shape[1:] for name, shape in inputs.items()],
        )
    initializers = {entry.name for entry in graph.initializer}
    fed = [entry for entry in graph.input if entry.name not in initializers]
    used = {name for node in graph.node for name in node.input}
    kept = [entry for entry in graph.initializer if entry.name in used]
    for field, entries in ((graph.input, fed), (graph.initializer, kept)):
        del field[:]
        field.extend(entries)
    for number, node in enumerate(graph.node):
        node.name = f'{number}_{node.name}'
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', OPSET)])
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model)
    with written_aside(path) as aside:
        aside.write_bytes(model.SerializeToString())
