"""Tensors from PyTorch's files, without PyTorch and without unpickling.

A file holds its tensors' bytes as they are, and a pickle that says which bytes are which tensor. A pickle is
a program for a stack machine, dangerous because Python's machine can call any function. The machine here
knows the few instructions that a state dict needs. It imports nothing and calls nothing: a function's name is
a string, and the two names that may be "called" stand for building a dictionary and for noting down a tensor.
Whatever else a file asks for is an error. Bytes are only read where the file has them, so that a small file
cannot claim much memory.
"""

from __future__ import annotations

import io
import math
import os
import pickletools
import zipfile
from typing import Any, BinaryIO, Callable, Dict, List, NamedTuple, Tuple, Union

import numpy as np

from uniface_mx.errors import UnifaceError

MAX_PICKLE = 1 << 24
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_START = b'\x80\x02\x8a\x0a' + LEGACY_MAGIC.to_bytes(10, 'little')
STORAGE_TYPES = {
    'torch HalfStorage': 'f2',
    'torch FloatStorage': 'f4',
    'torch DoubleStorage': 'f8',
    'torch ByteStorage': 'u1',
    'torch IntStorage': 'i4',
    'torch LongStorage': 'i8',
}
DICTIONARY, TENSOR = 'collections OrderedDict', 'torch._utils _rebuild_tensor_v2'


class TorchFileError(UnifaceError):
    """A file that is no PyTorch state dict, is damaged, or asks for more than tensors."""


class _Name(str):
    """What the pickle takes for a function or a type."""


class _Storage(NamedTuple):
    type: str
    key: str
    length: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    size: Tuple[int, ...]
    stride: Tuple[int, ...]


class _Mark:
    """Where a group of values begins on the stack."""


def _name(argument: str) -> _Name:
    if argument not in STORAGE_TYPES and argument not in (DICTIONARY, TENSOR):
        raise TorchFileError(f'asks for {argument.replace(" ", ".")}, which no file of tensors needs')
    return _Name(argument)


def _call(function: Any, arguments: tuple) -> Any:
    if isinstance(function, _Name) and function == DICTIONARY:
        return dict(*arguments)
    if isinstance(function, _Name) and function == TENSOR:
        storage, offset, size, stride = arguments[:4]
        if not isinstance(storage, _Storage):
            raise TorchFileError('a tensor without bytes')
        return _Tensor(storage, offset, size, stride)
    raise TorchFileError('calls what no file of tensors calls')


def _storage(identity: tuple) -> _Storage:
    tag, type_name, key, _, length = identity[:5]
    if (
        tag != 'storage'
        or not isinstance(type_name, _Name)
        or type_name not in STORAGE_TYPES
        or any(identity[5:])
    ):
        raise TorchFileError('refers to bytes in a way that is not known')
    if not isinstance(key, str) or type(length) is not int or length < 0:
        raise TorchFileError('refers to bytes without key or length')
    return _Storage(type_name, key, length)


def _since_mark(stack: List[Any]) -> List[Any]:
    start = max(index for index, value in enumerate(stack) if value is _Mark)
    values = stack[start + 1 :]
    del stack[start:]
    return values


def _set_items(stack: List[Any], items: List[Any]) -> None:
    if not isinstance(stack[-1], dict):
        raise TorchFileError('stores items in what is no dictionary')
    stack[-1].update(zip(items[::2], items[1::2]))


def _append(stack: List[Any], items: List[Any]) -> None:
    if not isinstance(stack[-1], list):
        raise TorchFileError('appends to what is no list')
    stack[-1].extend(items)


def _reduce(stack: List[Any]) -> Any:
    arguments, function = stack.pop(), stack.pop()
    return _call(function, arguments)


def _pop(stack: List[Any], count: int) -> List[Any]:
    values = stack[len(stack) - count :]
    del stack[len(stack) - count :]
    return values


# Instructions that leave a value on the stack, and those that change what lies there.
PUSH: Dict[str, Callable[[List[Any], Any], Any]] = {
    'MARK': lambda stack, argument: _Mark,
    'NONE': lambda stack, argument: None,
    'NEWTRUE': lambda stack, argument: True,
    'NEWFALSE': lambda stack, argument: False,
    'EMPTY_DICT': lambda stack, argument: {},
    'EMPTY_LIST': lambda stack, argument: [],
    'EMPTY_TUPLE': lambda stack, argument: (),
    'TUPLE1': lambda stack, argument: tuple(_pop(stack, 1)),
    'TUPLE2': lambda stack, argument: tuple(_pop(stack, 2)),
    'TUPLE3': lambda stack, argument: tuple(_pop(stack, 3)),
    'TUPLE': lambda stack, argument: tuple(_since_mark(stack)),
    'GLOBAL': lambda stack, argument: _name(argument),
    'BINPERSID': lambda stack, argument: _storage(stack.pop()),
    'REDUCE': lambda stack, argument: _reduce(stack),
}
PUSH.update(
    dict.fromkeys(
        ('BININT', 'BININT1', 'BININT2', 'LONG1', 'BINFLOAT', 'BINUNICODE'), lambda stack, argument: argument
    )
)
CHANGE: Dict[str, Callable[[List[Any]], Any]] = {
    'SETITEM': lambda stack: _set_items(stack, _pop(stack, 2)),
    'SETITEMS': lambda stack: _set_items(stack, _since_mark(stack)),
    'APPEND': lambda stack: _append(stack, _pop(stack, 1)),
    'APPENDS': lambda stack: _append(stack, _since_mark(stack)),
    'BUILD': lambda stack: stack.pop(),  # a state dict's attributes, which say nothing about tensors
}


def read_pickle(file: BinaryIO) -> Any:
    """The value that a pickle of tensors describes, up to its end in the file.

    Raises
    ------
    TorchFileError
        It holds an instruction or a name that tensors do not need.
    """
    stack: List[Any] = []
    memory: Dict[int, Any] = {}
    for operation, argument, _ in pickletools.genops(file):
        name = operation.name
        if name in PUSH:
            stack.append(PUSH[name](stack, argument))
        elif name in CHANGE:
            CHANGE[name](stack)
        elif name in ('BINPUT', 'LONG_BINPUT'):
            memory[argument] = stack[-1]
        elif name in ('BINGET', 'LONG_BINGET'):
            stack.append(memory[argument])
        elif name == 'STOP':
            return stack.pop()
        elif name != 'PROTO':
            raise TorchFileError(f'holds the instruction {name}, which no file of tensors needs')
    raise TorchFileError('ends too early')


def _array(tensor: _Tensor, values: np.ndarray) -> np.ndarray:
    offset, size, stride = tensor.offset, tensor.size, tensor.stride
    numbers = [offset, *size, *stride]
    if len(size) != len(stride) or any(type(number) is not int or number < 0 for number in numbers):
        raise TorchFileError(f'a tensor of size {size} and stride {stride}')
    count = math.prod(size)
    last = offset + sum((length - 1) * step for length, step in zip(size, stride))
    if count > len(values) or (count and last >= len(values)):
        raise TorchFileError(f'a tensor of size {size} is larger than its bytes')
    if not count:
        return np.zeros(size, values.dtype)
    steps = [step * values.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(values[offset:], size, steps, writeable=False).copy()


def _from_bytes(content: bytes, storage: _Storage, order: str) -> np.ndarray:
    values = np.frombuffer(content, order + STORAGE_TYPES[storage.type])
    if len(values) != storage.length:
        raise TorchFileError(f'{len(values)} values are there of {storage.length}')
    return values


def _state(value: Any) -> Dict[str, _Tensor]:
    if isinstance(value, dict) and isinstance(value.get('state_dict'), dict):
        value = value['state_dict']
    tensors = (
        {name: item for name, item in value.items() if isinstance(item, _Tensor)}
        if isinstance(value, dict)
        else {}
    )
    if not tensors or not all(isinstance(name, str) for name in tensors):
        raise TorchFileError('holds no named tensors: save the state dict of the model, not the model')
    return tensors


def _read_zip(file: BinaryIO) -> Dict[str, np.ndarray]:
    with zipfile.ZipFile(file) as archive:
        roots = [name[: -len('data.pkl')] for name in archive.namelist() if name.endswith('/data.pkl')]
        if len(roots) != 1:
            raise TorchFileError('is a zip file without a state dict')
        root = roots[0]

        def content(name, most=None):
            entry = archive.getinfo(root + name)
            if entry.compress_type != zipfile.ZIP_STORED or most is not None and entry.file_size > most:
                raise TorchFileError(f'{root + name} is compressed or too large')
            return archive.read(entry)

        tensors = _state(read_pickle(io.BytesIO(content('data.pkl', MAX_PICKLE))))
        big = root + 'byteorder' in archive.namelist() and content('byteorder', 16) == b'big'
        order = '>' if big else '<'
        storages = {tensor.storage for tensor in tensors.values()}
        values = {
            storage: _from_bytes(content('data/' + storage.key), storage, order) for storage in storages
        }
    return {name: _array(tensor, values[tensor.storage]) for name, tensor in tensors.items()}


def _read_legacy(file: BinaryIO) -> Dict[str, np.ndarray]:
    """PyTorch's files before 1.6: five pickles, then each storage's length and bytes."""
    magic, _, system, value, keys = (read_pickle(file) for _ in range(5))
    if magic != LEGACY_MAGIC or not system.get('little_endian', True):
        raise TorchFileError('was written in an order of bytes that is not known')
    tensors = _state(value)
    by_key = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    values = {}
    for key in keys:
        length = int.from_bytes(file.read(8), 'little')
        if key not in by_key:
            raise TorchFileError('holds more than tensors: save the state dict alone')
        storage = by_key[key]
        size = storage.length * np.dtype(STORAGE_TYPES[storage.type]).itemsize
        if length != storage.length or size > os.fstat(file.fileno()).st_size:
            raise TorchFileError('has another number of values than it says')
        values[storage] = _from_bytes(file.read(size), storage, '<')
    return {name: _array(tensor, values[tensor.storage]) for name, tensor in tensors.items()}


def is_torch_file(path: Union[str, os.PathLike]) -> bool:
    """Whether a file looks like PyTorch's, by its first bytes."""
    with open(path, 'rb') as file:
        start = file.read(len(LEGACY_START))
    return start == LEGACY_START or start.startswith(b'PK\x03\x04')


def read_tensors(path: Union[str, os.PathLike]) -> Dict[str, np.ndarray]:
    """All tensors of a state dict that ``torch.save`` wrote, also within a checkpoint's ``state_dict``.

    Parameters
    ----------
    path : path
        A ``.pth`` file, as PyTorch writes it since version 1.6 (a zip file) or as it did before.

    Returns
    -------
    dict
        Arrays by name, of the file's own types and shapes.

    Raises
    ------
    TorchFileError
        The file is no state dict, is damaged, or asks for anything but tensors.
    """
    try:
        with open(path, 'rb') as file:
            read = _read_zip if file.read(4) == b'PK\x03\x04' else _read_legacy
            file.seek(0)
            return read(file)
    except TorchFileError as error:
        raise TorchFileError(f'{path}: {error}') from None
    except OSError as error:
        raise TorchFileError(f'{path}: {error.strerror or error}') from None
    except (
        ValueError,
        IndexError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
        RuntimeError,
        EOFError,
        zipfile.BadZipFile,
    ) as error:
        raise TorchFileError(f'{path}: is damaged, or no state dict of PyTorch ({error})') from None
