"""torchvision's files, written by PyTorch itself where it is installed."""

import io
import os
import pickle
import sys

import numpy as np
import pytest

from uniface_mx.backbones import convert, read_source
from uniface_mx.backbones.readers import detect_kind, read_torchvision, torchvision_names
from uniface_mx.errors import UnifaceError


@pytest.fixture
def torch():
    return pytest.importorskip(
        'torch', reason="PyTorch is not installed: pip install 'uniface-mx[torchvision]'"
    )


@pytest.mark.parametrize(
    'ours, theirs',
    [
        ('conv_2b_bn_gamma', 'Conv2d_2b_3x3.bn.weight'),
        ('mixed_5b_branch5x5_1_conv_weight', 'Mixed_5b.branch5x5_2.conv.weight'),
        ('mixed_5d_branch_pool_1_bn_running_var', 'Mixed_5d.branch_pool.bn.running_var'),
        ('mixed_6a_branch3x3_0_conv_weight', 'Mixed_6a.branch3x3.conv.weight'),
        ('mixed_6e_branch7x7dbl_4_bn_beta', 'Mixed_6e.branch7x7dbl_5.bn.bias'),
        ('mixed_7a_branch7x7x3_3_conv_weight', 'Mixed_7a.branch7x7x3_4.conv.weight'),
        ('mixed_7c_branch3x3dbl_2b_bn_running_mean', 'Mixed_7c.branch3x3dbl_3b.bn.running_mean'),
        ('mixed_7b_branch3x3_1a_conv_weight', 'Mixed_7b.branch3x3_2a.conv.weight'),
    ],
)
def test_names(ours, theirs):
    assert torchvision_names()[ours] == theirs


@pytest.mark.parametrize('start', [b'PK\x03\x04', pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)])
def test_without_pytorch_one_error_names_the_extra(start, tmp_path, monkeypatch):
    path = tmp_path / 'model.pth'
    path.write_bytes(start)
    monkeypatch.setitem(sys.modules, 'torch', None)
    assert detect_kind(str(path)) == 'torchvision'
    with pytest.raises(
        UnifaceError, match=r"model\.pth: PyTorch .*: pip install 'uniface-mx\[torchvision\]'$"
    ):
        read_source(str(path))


@pytest.mark.parametrize('manner', ['zip', 'checkpoint', 'parallel', 'legacy'])
def test_a_whole_inception(torch, manner, gluon_source, tmp_path):
    """The weights of a Gluon model under torchvision's names, and what else such a file holds."""
    arrays = {
        theirs: gluon_source.tensors[gluon_source.names[ours]] for ours, theirs in torchvision_names().items()
    }
    arrays['fc.weight'], arrays['fc.bias'] = (gluon_source.tensors[f'output.{n}'] for n in ('weight', 'bias'))
    arrays['AuxLogits.fc.bias'] = np.zeros(1000, np.float32)
    arrays['Mixed_5b.branch1x1.bn.num_batches_tracked'] = np.array([7])
    prefix = 'module.' if manner == 'parallel' else ''
    state = {prefix + name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
    path = tmp_path / 'inception_v3.pth'
    content = {'epoch': 3, 'state_dict': state} if manner == 'checkpoint' else state
    torch.save(content, path, _use_new_zipfile_serialization=manner != 'legacy')
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
        (os.system, ('touch TRACE',)),
        (eval, ('open("TRACE", "w")',)),
        (getattr, (os, 'sep')),
        (io.open, ('TRACE', 'w')),
    ],
)
def test_nothing_is_called(torch, function, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = [argument if isinstance(argument, str) else 'x' for argument in arguments]
    torch.save({'weight': Call(function, *arguments)}, 'model.pth')
    with pytest.raises(UnifaceError, match='model.pth: is damaged, or no state dict of PyTorch'):
        read_torchvision('model.pth')
    assert not (tmp_path / 'TRACE').exists()


def test_files_that_are_not_what_they_say(torch, tmp_path):
    path = tmp_path / 'model.pth'
    torch.save({'weight': 3}, path)
    with pytest.raises(UnifaceError, match='model.pth: holds no named tensors'):
        read_torchvision(path)
    torch.save({'weight': torch.zeros(6)}, path)
    whole = path.read_bytes()
    empty = b'PK\x05\x06' + bytes(18)
    for content in (b'', b'no such thing', whole[: len(whole) // 2], b'PK\x03\x04' + empty):
        path.write_bytes(content)
        with pytest.raises(UnifaceError, match='model.pth: is damaged, or no state dict of PyTorch'):
            read_torchvision(path)
