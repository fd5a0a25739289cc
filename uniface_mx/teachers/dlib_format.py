"""Reader of the files in which dlib keeps a trained network (`*.dat`), without dlib.

A network is written from its output inwards: one version number a layer, then the input layer, and on the way
back out what each layer consists of. So the second half lists the layers in the order in which data pass
them; layers that only name or fetch a tensor (tags, skips) leave a version number and nothing else.
"""

from __future__ import annotations

import math
from typing import Any, Callable, Dict, List, NamedTuple, Tuple

import numpy as np

from uniface_mx.errors import UnifaceError

_LARGEST = 1 << 20  # no tensor's side comes near, and a product of three with 0 stays within 64 bits


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
_WINDOW = ('rows', 'columns', 'stride_y', 'stride_x', 'padding_y', 'padding_x')


def _window(reader: Reader) -> Dict[str, Any]:
    """Size (0: the whole map), stride and padding of a moving window."""
    values = {name: reader.integer() for name in _WINDOW}
    if not all(0 <= n <= 1024 for n in values.values()) or not values['stride_y'] * values['stride_x']:
        raise reader.fail(f'impossible window {values}')
    return values


def _views(reader: Reader, params: np.ndarray) -> List[np.ndarray]:
    """The two arrays whose shapes come next in the file and into which `params` is divided."""
    shapes = reader.alias(), reader.alias()
    sizes = [math.prod(shape) for shape in shapes]
    if sum(sizes) != params.size:
        raise reader.fail(f'{params.size} parameters do not fill the shapes {shapes}')
    arrays = np.split(params.ravel(), sizes[:1])
    return [array.reshape(shape) for array, shape in zip(arrays, shapes)]


def _skip_training_rates(reader: Reader) -> None:
    for _ in range(4):
        reader.real()


def _con(reader: Reader) -> Dict[str, Any]:
    params = reader.tensor()
    filters, window = reader.integer(), _window(reader)
    weight, bias = _views(reader, params)
    _skip_training_rates(reader)
    outputs, _, rows, columns = weight.shape
    if (outputs, rows, columns, bias.size) != (filters, window['rows'], window['columns'], filters):
        raise reader.fail(f'{filters} filters with weights {weight.shape} and {bias.size} biases')
    return dict(window, weight=weight, bias=bias)


def _fc(reader: Reader) -> Dict[str, Any]:
    outputs, inputs = reader.integer(), reader.integer()
    weight, bias = _views(reader, reader.tensor())
    reader.integer()
    _skip_training_rates(reader)
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
