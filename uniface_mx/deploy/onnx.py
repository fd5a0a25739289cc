"""A symbolic graph as ONNX."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Dict, Iterator, Mapping, Sequence, Tuple

import mxnet as mx
import numpy as np

from uniface_mx.errors import UnifaceError
from uniface_mx.files import written_aside
from uniface_mx.models.files import PathLike

if TYPE_CHECKING:
    import onnxruntime
    from mxnet.onnx.mx2onnx._export_onnx import MXNetGraph

OPSET = 13
IR_VERSION = 8


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


def onnx_session(path: PathLike, provider: Any = 'CPUExecutionProvider') -> onnxruntime.InferenceSession:
    """An ONNX file in ONNX Runtime, by one of its providers; raises its own errors, and ImportError without it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=[provider])


def run_onnx(path: PathLike, inputs: Mapping[str, np.ndarray]) -> Sequence[np.ndarray]:
    """Outputs of an ONNX file for one set of inputs, on the CPU by ONNX Runtime."""
    try:
        return onnx_session(path).run(None, dict(inputs))
    except ImportError:
        raise UnifaceError("ONNX Runtime is needed: pip install 'onnxruntime<1.21'") from None
