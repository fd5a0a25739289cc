"""What runs an exported model's graphs: MXNet's symbolic executor or ONNX Runtime, on a CPU or a GPU.

A backend has a ``name``, the ``device`` that it really runs on, how to ``export`` what it needs,
``has(part)`` and ``run(part, inputs)``; parts are the graphs of `uniface_mx.deploy.export.inference_graphs`:
``''``, ``'trunk'`` and ``'faces'``. Shapes should be few: MXNet prepares an executor for each.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Collection, Dict, List, Mapping, Optional, Union

import mxnet as mx
import numpy as np

from uniface_mx.errors import UnifaceError, last_line
from uniface_mx.models.exported import INT8, load_graph, part_prefix, weights_path
from uniface_mx.runtime import environment

_DEVICE = re.compile(r'cpu|gpu(?:\((?P<paren>\d+)\)|:(?P<colon>\d+))?$')


class BackendError(UnifaceError):
    """A backend, or the device asked of it, is not there, or a graph was not exported for it."""


def gpu_number(device: str) -> Optional[int]:
    """None for ``cpu``, else the number in ``gpu``, ``gpu(N)`` or ``gpu:N``; else `BackendError`."""
    found = _DEVICE.fullmatch(str(device))
    if not found:
        raise BackendError(f'device {device!r} is unknown; valid are cpu, gpu and gpu(N)')
    return None if found.group() == 'cpu' else int(found.group('paren') or found.group('colon') or 0)


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
    prefix : path
        ``DIR/NAME`` of an exported model.
    files : collection of str
        Names of the files that its manifest vouches for; others are not touched.
    device : str
        ``cpu``, ``gpu`` or ``gpu(N)``.
    """

    name, export = 'mxnet', '--split'
    suffix = ''
    # How graphs are prepared: MXNet would announce each fused one on stderr.
    environment = {'MXNET_SUBGRAPH_VERBOSE': '0'}

    def __init__(self, prefix: Union[str, os.PathLike], files: Collection[str], device: str = 'cpu'):
        self._prefix, self._files = Path(prefix), files
        self._context = _mxnet_context(gpu_number(device))
        self._graphs: Dict[str, tuple] = {}
        self._executors: Dict[tuple, tuple] = {}

    @property
    def device(self) -> str:
        """``cpu`` or ``gpu(N)``."""
        return str(self._context).replace('cpu(0)', 'cpu')

    def _path(self, part: str) -> Path:
        return part_prefix(self._prefix, part, self.suffix)

    def has(self, part: str) -> bool:
        """Was this graph exported?"""
        weights = weights_path(self._prefix, part, self.suffix)
        return {self._path(part).name + '-symbol.json', weights.name} <= set(self._files)

    def _graph(self, part: str):
        if part not in self._graphs:
            try:
                symbol, arguments, statistics = load_graph(self._prefix, part, self.suffix)
            except (mx.MXNetError, ValueError, OSError) as error:
                raise BackendError(
                    f'{self._path(part)}: MXNet cannot load this graph ({last_line(error)})'
                ) from None
            arrays = [
                {name: array.as_in_context(self._context) for name, array in group.items()}
                for group in (arguments, statistics)
            ]
            self._graphs[part] = (symbol, *arrays)
        return self._graphs[part]

    def _executor(self, part: str, inputs: Mapping[str, object]):
        """An executor for inputs of these shapes, and its outputs; where an input is the output of another
        graph, the two share its memory.
        """
        shared = {name: array for name, array in inputs.items() if isinstance(array, mx.nd.NDArray)}
        key = (part,) + tuple((name, array.shape, id(shared.get(name))) for name, array in inputs.items())
        if key not in self._executors:
            symbol, arguments, statistics = self._graph(part)
            own = {
                name: mx.nd.zeros(array.shape, ctx=self._context)
                for name, array in inputs.items()
                if name not in shared
            }
            with environment(self.environment):
                executor = symbol.bind(
                    self._context, dict(arguments, **own, **shared), grad_req='null', aux_states=statistics
                )
            self._executors[key] = executor, executor.outputs
        return self._executors[key]

    def run(self, part: str, inputs: Mapping[str, object]) -> List[mx.nd.NDArray]:
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

    name, export = 'mxnet-int8', '--split --int8 --calibrate RECORDS'
    suffix = INT8

    def __init__(self, prefix: Union[str, os.PathLike], files: Collection[str], device: str = 'cpu'):
        if gpu_number(device) is not None:
            raise BackendError('int8 graphs run on CPUs alone; take the device cpu, or the backend mxnet')
        super().__init__(prefix, files, device)


class OnnxBackend:
    """ONNX Runtime, on a GPU by its CUDA provider. Parameters as in `MxnetBackend`."""

    name, export = 'onnx', '--split --onnx'

    def __init__(self, prefix: Union[str, os.PathLike], files: Collection[str], device: str = 'cpu'):
        try:
            import onnxruntime
        except ImportError:
            raise BackendError(
                "the backend onnx needs ONNX Runtime: pip install 'onnxruntime<1.21'"
            ) from None
        self._runtime = onnxruntime
        self._prefix, self._files, self._gpu = Path(prefix), files, gpu_number(device)
        self._sessions: Dict[str, object] = {}
        if self._gpu is not None and 'CUDAExecutionProvider' not in onnxruntime.get_available_providers():
            raise BackendError(
                f'{self.device} cannot be used: this ONNX Runtime has no CUDA provider; install '
                "'onnxruntime-gpu<1.21' in place of onnxruntime, or take the device cpu"
            )

    @property
    def device(self) -> str:
        """``cpu`` or ``gpu(N)``."""
        return 'cpu' if self._gpu is None else f'gpu({self._gpu})'

    def _path(self, part: str) -> Path:
        path = part_prefix(self._prefix, part)
        return path.with_name(path.name + '.onnx')

    def has(self, part: str) -> bool:
        """Was this graph exported?"""
        return self._path(part).name in self._files

    def _session(self, part: str):
        if part not in self._sessions:
            options = self._runtime.SessionOptions()
            options.log_severity_level = 3
            provider = 'CPUExecutionProvider'
            if self._gpu is not None:
                provider = ('CUDAExecutionProvider', {'device_id': self._gpu})
            try:
                session = self._runtime.InferenceSession(str(self._path(part)), options, providers=[provider])
            except Exception as error:  # ONNX Runtime has an exception of its own for each of its codes
                raise BackendError(
                    f'{self._path(part)}: ONNX Runtime cannot load this graph on {self.device} ({last_line(error)})'
                ) from None
            # It goes on without a provider that fails.
            if self._gpu is not None and session.get_providers()[0] != 'CUDAExecutionProvider':
                raise BackendError(f'{self.device} cannot be used: ONNX Runtime could not start CUDA on it')
            self._sessions[part] = session
        return self._sessions[part]

    def run(self, part: str, inputs: Mapping[str, np.ndarray]) -> List[np.ndarray]:
        """Outputs of a graph for named float32 inputs."""
        return self._session(part).run(None, dict(inputs))

    @staticmethod
    def to_numpy(output: np.ndarray) -> np.ndarray:
        """One output as a NumPy array."""
        return output


BACKENDS = {backend.name: backend for backend in (MxnetBackend, Int8Backend, OnnxBackend)}
