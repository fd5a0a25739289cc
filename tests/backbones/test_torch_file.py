"""PyTorch's files, crafted by hand, honest and not."""

import io
import os
import pickle
import sys
import types
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given, settings, strategies

from uniface_mx.backbones import convert, read_source
from uniface_mx.backbones.torch_file import LEGACY_MAGIC, TorchFileError, read_tensors
from uniface_mx.backbones.torchvision import torchvision_names

TYPES = {'f4': 'FloatStorage', 'f8': 'DoubleStorage', 'f2': 'HalfStorage', 'i8': 'LongStorage'}


class Storage:
    def __init__(self, key, values):
        self.key, self.values = key, values


class Tensor:
    """Pickled as ``torch.save`` pickles one: a call, and a reference to bytes outside the pickle."""

    def __init__(self, storage, offset, size, stride):
        self.arguments = (storage, offset, size, stride, False, OrderedDict())

    def __reduce__(self):
        return sys.modules['torch._utils']._rebuild_tensor_v2, self.arguments


@pytest.fixture(scope='module', autouse=True)
def torch_names():
    """What `pickle` needs in order to write PyTorch's names."""

    def named(module, name, value):
        value.__module__, value.__qualname__, value.__name__ = module, name, name
        setattr(modules[module], name, value)

    modules = {name: types.ModuleType(name) for name in ('torch', 'torch._utils')}
    named('torch._utils', '_rebuild_tensor_v2', lambda *arguments: None)
    for name in TYPES.values():
        named('torch', name, type(name, (), {}))
    with pytest.MonkeyPatch.context() as patch:
        for name, module in modules.items():
            patch.setitem(sys.modules, name, module)
        yield


def pickled(value, legacy=False):
    class Pickler(pickle.Pickler):
        def persistent_id(self, item):
            if isinstance(item, Storage):
                kind = getattr(sys.modules['torch'], TYPES[item.values.dtype.str[1:]])
                return ('storage', kind, item.key, 'cpu', len(item.values)) + ((None,) if legacy else ())
            return None

    file = io.BytesIO()
    Pickler(file, protocol=2).dump(value)
    return file.getvalue()


def write_zip(path, program, storages=(), compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, 'w', compression) as archive:
        archive.writestr('archive/data.pkl', program)
        for storage in storages:
            archive.writestr('archive/data/' + storage.key, storage.values.tobytes())
    return path


def write_legacy(path, state, storages):
    with open(path, 'wb') as file:
        for value in (LEGACY_MAGIC, 1001, {'protocol_version': 1001, 'little_endian': True}):
            file.write(pickle.dumps(value, protocol=2))
        file.write(
            pickled(state, legacy=True) + pickle.dumps([storage.key for storage in storages], protocol=2)
        )
        for storage in storages:
            file.write(len(storage.values).to_bytes(8, 'little') + storage.values.tobytes())
    return path


def example():
    """A matrix, its transposed view in the same bytes, and a counter."""
    floats = Storage('0', np.arange(6, dtype='<f4') / 4)
    count = Storage('1', np.array([7], dtype='<i8'))
    state = OrderedDict(
        [
            ('fc.weight', Tensor(floats, 0, (2, 3), (3, 1))),
            ('fc.view', Tensor(floats, 1, (2, 2), (1, 3))),
            ('bn.num_batches_tracked', Tensor(count, 0, (), ())),
        ]
    )
    state._metadata = OrderedDict([('', {'version': 1})])
    return state, [floats, count]


@pytest.mark.parametrize('manner', ['zip', 'checkpoint', 'legacy'])
def test_tensors_come_out(manner, tmp_path):
    state, storages = example()
    path = tmp_path / 'model.pth'
    if manner == 'legacy':
        write_legacy(path, state, storages)
    else:
        write_zip(
            path, pickled({'epoch': 3, 'state_dict': state} if manner == 'checkpoint' else state), storages
        )
    tensors = read_tensors(path)
    assert sorted(tensors) == ['bn.num_batches_tracked', 'fc.view', 'fc.weight']
    assert tensors['fc.weight'].tolist() == [[0, 0.25, 0.5], [0.75, 1, 1.25]]
    assert tensors['fc.view'].tolist() == [[0.25, 1], [0.5, 1.25]]
    assert tensors['bn.num_batches_tracked'].tolist() == 7
    assert {name: array.dtype.str for name, array in tensors.items()}['fc.view'] == '<f4'


@pytest.mark.parametrize('manner', ['zip', 'legacy'])
def test_a_whole_inception(manner, gluon_source, tmp_path):
    """The weights of a Gluon model under torchvision's names, and what else such a file holds."""
    arrays = {
        theirs: gluon_source.tensors[gluon_source.names[ours]] for ours, theirs in torchvision_names().items()
    }
    arrays.update(
        {
            'fc.weight': gluon_source.tensors['output.weight'],
            'fc.bias': gluon_source.tensors['output.bias'],
            'AuxLogits.fc.bias': np.zeros(1000, 'f4'),
            'Mixed_5b.branch1x1.bn.num_batches_tracked': np.array([7], 'i8'),
        }
    )
    storages = {name: Storage(str(key), array.ravel()) for key, (name, array) in enumerate(arrays.items())}
    state = OrderedDict(
        (
            name,
            Tensor(storages[name], 0, array.shape, tuple(step // array.itemsize for step in array.strides)),
        )
        for name, array in arrays.items()
    )
    path = tmp_path / 'inception_v3.pth'
    if manner == 'zip':
        write_zip(path, pickled(state), storages.values())
    else:
        write_legacy(path, state, list(storages.values()))
    source = read_source(str(path))
    assert (source.kind, source.scaling, source.count_include_pad) == ('torchvision', 'symmetric', True)
    assert source.classifier_names == ['fc.weight', 'fc.bias']
    assert source.unused == ['AuxLogits.fc.bias', 'Mixed_5b.branch1x1.bn.num_batches_tracked']
    expected = convert(gluon_source)
    for name, array in convert(source._replace(scaling='imagenet')).items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


class Call:
    def __init__(self, function, *arguments):
        self.value = function, arguments

    def __reduce__(self):
        return self.value


@pytest.mark.parametrize(
    'function, arguments',
    [
        (os.system, ('touch {}',)),
        (eval, ('open("{}", "w")',)),
        (getattr, (os, 'sep')),
        (io.open, ('{}', 'w')),
    ],
)
def test_nothing_is_called(function, arguments, tmp_path):
    """The same pickle does its work with Python's own machine."""
    trace = tmp_path / 'trace'
    arguments = [argument.format(trace) if isinstance(argument, str) else 'x' for argument in arguments]
    program = pickle.dumps({'weight': Call(function, *arguments)}, protocol=2)
    path = write_zip(tmp_path / 'model.pth', program)
    with pytest.raises(TorchFileError, match='which no file of tensors needs'):
        read_tensors(path)
    legacy = tmp_path / 'legacy.pth'
    legacy.write_bytes(pickle.dumps(LEGACY_MAGIC, protocol=2) + program)
    with pytest.raises(TorchFileError, match='which no file of tensors needs'):
        read_tensors(legacy)
    assert not trace.exists()


@pytest.mark.parametrize(
    'tensor, message',
    [
        ((0, (4, 3), (3, 1)), 'larger than its bytes'),
        ((1, (2, 3), (3, 1)), 'larger than its bytes'),
        ((0, (10**12,), (0,)), 'larger than its bytes'),
        ((5, (3,), (-1,)), 'stride'),
        ((0, (2, 3), (1,)), 'stride'),
        ((0, (2.0,), (1,)), 'size'),
    ],
)
def test_tensors_beyond_their_bytes(tensor, message, tmp_path):
    storage = example()[1][0]
    path = write_zip(tmp_path / 'model.pth', pickled({'weight': Tensor(storage, *tensor)}), [storage])
    with pytest.raises(TorchFileError, match=message):
        read_tensors(path)


def test_files_that_are_not_what_they_say(tmp_path):
    state, storages = example()
    path = tmp_path / 'model.pth'
    bad = {
        'compressed': lambda: write_zip(path, pickled(state), storages, zipfile.ZIP_DEFLATED),
        'values are there of 6': lambda: write_zip(
            path, pickled(state), [Storage('0', np.zeros(5, 'f4')), storages[1]]
        ),
        'damaged': lambda: write_zip(path, pickled(state), storages[:1]),
        'no named tensors': lambda: write_zip(path, pickled({'weight': 3})),
        'instruction': lambda: write_zip(path, pickle.dumps({'weight': frozenset('a')}, protocol=4)),
        'without a state dict': lambda: (
            zipfile.ZipFile(path, 'w').close() or path.write_bytes(b'PK\x03\x04' + path.read_bytes())
        ),
        'no state dict of PyTorch': lambda: path.write_bytes(b'no such thing'),
    }
    for message, write in bad.items():
        write()
        with pytest.raises(TorchFileError, match='model.pth: .*' + message):
            read_tensors(path)


@pytest.mark.parametrize('manner', ['zip', 'legacy'])
def test_every_truncated_file_is_refused(manner, tmp_path):
    state, storages = example()
    path = tmp_path / 'model.pth'
    if manner == 'zip':
        write_zip(path, pickled(state), storages)
    else:
        write_legacy(path, state, storages)
    whole = path.read_bytes()
    for length in range(0, len(whole), 3):
        path.write_bytes(whole[:length])
        with pytest.raises(TorchFileError):
            read_tensors(path)


@settings(max_examples=150, deadline=None)
@given(data=strategies.data())
def test_a_damaged_program_gives_tensors_or_one_kind_of_error(data, tmp_path_factory):
    state, storages = example()
    program = bytearray(pickled(state))
    for _ in range(data.draw(strategies.integers(1, 3))):
        program[data.draw(strategies.integers(0, len(program) - 1))] = data.draw(strategies.integers(0, 255))
    path = write_zip(tmp_path_factory.getbasetemp() / 'damaged.pth', bytes(program), storages)
    try:
        assert all(isinstance(array, np.ndarray) for array in read_tensors(path).values())
    except TorchFileError:
        pass
