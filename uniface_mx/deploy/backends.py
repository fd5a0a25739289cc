"""What runs an exported model's graphs: MXNet's symbolic executor or ONNX Runtime, on a CPU or a GPU.

A backend has a ``name``, the ``device`` that it really runs on, how to ``export`` what it needs,
``has(part)`` and ``run(part, inputs)``; parts are the graphs of `uniface_mx.models.uniface.inference_graphs`:
``'whole'``, ``'trunk'`` and ``'faces'``. Shapes should be few: MXNet prepares an executor for each.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Dict, List, Mapping, Optional, Union

import mxnet as mx
import numpy as np

from uniface_mx.errors import UnifaceError, last_line
from uniface_mx.models.files import FLOAT, INT8, ModelFiles
from uniface_mx.runtime import environment

Array = Union[np.ndarray, mx.nd.NDArray]

DEVICE = re.compile(r'cpu|gpu(?:\((\d+)\)|:(\d+))?$')
CUDA = 'CUDAExecutionProvider'


class BackendError(UnifaceError):
    """A backend, or the device asked of it, is not there, or a graph was not exported for it."""


def gpu_number(device: str) -> Optional[int]:
    """None for ``cpu``, else the number in ``gpu``, ``gpu(N)`` or ``gpu:N``; else `BackendError`."""
    found = DEVICE.fullmatch(str(device))
    if not found:
        raise BackendError(f'device {device!r} is unknown; valid are cpu, gpu and gpu(N)')
    return None if found.group() == 'cpu' else int(found.group(1) or found.group(2) or 0)


def _mxnet_context(gpu: Optional[int]) -> mx.Context:
    if gpu is None:
        return mx.cpu()
    try:
        present = mx.context.num_gpus()
        if gpu < present:
            mx.nd.ones((1,), ctx=mx.gpu(gpu)).wait_to_read()
            return mx.gpu(gpu)
        reason = f'MXNet sees {present} GPUs'
    except mx.MXNetError as error:
        reason = last_line(error)
    raise BackendError(
        f'gpu({gpu}) cannot be used: {reason}; `python -m uniface_mx.doctor` says what is missing, and the device '
        'cpu needs none'
    )


class MxnetBackend:
    """MXNet's symbolic executor, with oneDNN's fused layers on a CPU.

    Parameters
    ----------
    files : ModelFiles
        Of an exported model; files that its manifest does not vouch for are not touched.
    device : str
        ``cpu``, ``gpu`` or ``gpu(N)``.
    """

    name, export, kind = 'mxnet', '--split', FLOAT
    # How graphs are prepared: MXNet would announce each fused one on stderr.
    environment = {'MXNET_SUBGRAPH_VERBOSE': '0'}

    def __init__(self, files: ModelFiles, device: str = 'cpu') -> None:
        self._files = files
        self._context = _mxnet_context(gpu_number(device))
        self._graphs: Dict[str, tuple] = {}
        self._executors: Dict[tuple, tuple] = {}

    @property
    def device(self) -> str:
        """``cpu`` or ``gpu(N)``."""
        return str(self._context).replace('cpu(0)', 'cpu')

    def has(self, part: str) -> bool:
        """Whether this graph was exported."""
        paths = self._files.symbol_path(part, self.kind), self._files.weights_path(part, self.kind)
        return {path.name for path in paths} <= set(self._files.manifest['files'])

    def _graph(self, part: str) -> tuple:
        """Symbol, arguments and statistics, on the device."""
        if part not in self._graphs:
            try:
                symbol, *groups = self._files.load_graph(part, self.kind)
            except (mx.MXNetError, ValueError, OSError) as error:
                prefix = self._files.part_prefix(part, self.kind)
                raise BackendError(f'{prefix}: MXNet cannot load this graph ({last_line(error)})') from None
            here = self._context
            arrays = ({name: array.as_in_context(here) for name, array in group.items()} for group in groups)
            self._graphs[part] = (symbol, *arrays)
        return self._graphs[part]

    def _executor(self, part: str, inputs: Mapping[str, Array]) -> tuple:
        """An executor for inputs of these shapes, and its outputs.

        Where an input is the output of another graph, the two share its memory.
        """
        shared = {name: array for name, array in inputs.items() if isinstance(array, mx.nd.NDArray)}
        key = (part,) + tuple((name, array.shape, id(shared.get(name))) for name, array in inputs.items())
        if key not in self._executors:
            symbol, arguments, statistics = self._graph(part)
            shapes = {name: array.shape for name, array in inputs.items() if name not in shared}
            own = {name: mx.nd.zeros(shape, ctx=self._context) for name, shape in shapes.items()}
            arrays = dict(arguments, **own, **shared)
            with environment(self.environment):
                executor = symbol.bind(self._context, arrays, grad_req='null', aux_states=statistics)
            self._executors[key] = executor, executor.outputs
        return self._executors[key]

    def run(self, part: str, inputs: Mapping[str, Array]) -> List[mx.nd.NDArray]:
        """Outputs of a graph, valid until its next run, for float32 inputs: NumPy's or other outputs."""
        executor, outputs = self._executor(part, inputs)
        arrays = {name: array for name, array in inputs.items() if isinstance(array, np.ndarray)}
        executor.forward(is_train=False, **arrays)
        return outputs

    @staticmethod
    def to_numpy(output: mx.nd.NDArray) -> np.ndarray:
        """One output as a NumPy array."""
        return output.asnumpy()


class Int8Backend(MxnetBackend):
    """MXNet with int8 layers, on CPUs alone: graphs ``NAME-trunk-int8`` and ``NAME-faces-int8``."""

    name, export, kind = 'mxnet-int8', '--split --int8 --calibrate RECORDS', INT8

    def __init__(self, files: ModelFiles, device: str = 'cpu') -> None:
        if gpu_number(device) is not None:
            raise BackendError('int8 graphs run on CPUs alone; take the device cpu, or the backend mxnet')
        super().__init__(files, device)


class OnnxBackend:
    """ONNX Runtime, on a GPU by its CUDA provider. Parameters as in `MxnetBackend`."""

    name, export = 'onnx', '--split --onnx'

    def __init__(self, files: ModelFiles, device: str = 'cpu') -> None:
        try:
            import onnxruntime
        except ImportError:
            needed = "ONNX Runtime: pip install 'onnxruntime<1.21'"
            raise BackendError(f'the backend onnx needs {needed}') from None
        self._files, gpu = files, gpu_number(device)
        self._sessions: Dict[str, onnxruntime.InferenceSession] = {}
        self.device = 'cpu' if gpu is None else f'gpu({gpu})'
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        provider: Any = 'CPUExecutionProvider' if gpu is None else (CUDA, {'device_id': gpu})
        self._open = partial(onnxruntime.InferenceSession, sess_options=options, providers=[provider])
        if gpu is not None and CUDA not in onnxruntime.get_available_providers():
            raise BackendError(
                f'{self.device} cannot be used: this ONNX Runtime has no CUDA provider; install '
                "'onnxruntime-gpu<1.21' in place of onnxruntime, or take the device cpu"
            )

    def has(self, part: str) -> bool:
        """Whether this graph was exported."""
        return self._files.onnx_path(part).name in self._files.manifest['files']

    def run(self, part: str, inputs: Mapping[str, np.ndarray]) -> List[np.ndarray]:
        """Outputs of a graph for named float32 inputs."""
        if part not in self._sessions:
            path = self._files.onnx_path(part)
            try:
                session = self._open(str(path))
            except Exception as error:  # ONNX Runtime has an exception of its own for each of its codes
                where = f'on {self.device} ({last_line(error)})'
                raise BackendError(f'{path}: ONNX Runtime cannot load this graph {where}') from None
            # It goes on without a provider that fails.
            if self.device != 'cpu' and session.get_providers()[0] != CUDA:
                raise BackendError(f'{self.device} cannot be used: ONNX Runtime could not start CUDA on it')
            self._sessions[part] = session
        return self._sessions[part].run(None, dict(inputs))

    @staticmethod
    def to_numpy(output: np.ndarray) -> np.ndarray:
        """One output as a NumPy array."""
        return output


BACKENDS = {backend.name: backend for backend in (MxnetBackend, Int8Backend, OnnxBackend)}
