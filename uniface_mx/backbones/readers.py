"""Gluon's ``inceptionv3`` files and torchvision's, which PyTorch reads, and which reader reads which file."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Dict, Optional

import numpy as np

from uniface_mx.backbones.source import (
    BLOCKS,
    TENSORS,
    Source,
    classifier_of,
    places,
    stem_units,
    tensor_names,
)
from uniface_mx.backbones.tfjs import is_tfjs, read_tfjs
from uniface_mx.errors import UnifaceError, last_line
from uniface_mx.models.files import PathLike, load_arrays

# Positions in the model's `features`: the stem's units stand between pools, the mixed blocks follow.
STEM_POSITIONS = (0, 1, 2, 4, 5)
FIRST_BLOCK = 7
BLOCK_PREFIXES = ('A1', 'A2', 'A3', 'B', 'C1', 'C2', 'C3', 'C4', 'D', 'E1', 'E2')
STRUCTURAL = ('0.weight', '1.gamma', '1.beta', '1.running_mean', '1.running_var')
# The same five: the kind of layer, and its tensor.
PREFIXED = tuple(zip(('conv',) + ('batchnorm',) * 4, (name.split('.')[1] for name in STRUCTURAL)))
STEM_NAMES = ('Conv2d_1a_3x3', 'Conv2d_2a_3x3', 'Conv2d_2b_3x3', 'Conv2d_3b_1x1', 'Conv2d_4a_3x3')
TORCH_TENSORS = ('conv.weight', 'bn.weight', 'bn.bias', 'bn.running_mean', 'bn.running_var')
# How PyTorch's files begin: a zip file, and the number at the head of what PyTorch wrote before 1.6.
STARTS = (b'PK\x03\x04', b'\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19')


def structural_names() -> Dict[str, str]:
    """Names as `Block.save_parameters` writes them: ``features.7.1.0.0.weight``."""
    units = {name: str(position) for name, position in zip(stem_units(), STEM_POSITIONS)}
    for place in places():
        if not place.split:
            path = str(place.step)
        elif place.letter:
            path = f'1.{"ab".index(place.letter)}.0'
        else:
            path = f'0.{place.step}'
        units[place.name] = f'{FIRST_BLOCK + place.block}.{place.branch}.{path}'
    return tensor_names({unit: f'features.{path}' for unit, path in units.items()}, STRUCTURAL)


def prefixed_names() -> Dict[str, str]:
    """Names of older MXNet and `HybridBlock.export`: ``A1_conv1_weight``, after the model's prefix."""
    units = {name: ('', number) for number, name in enumerate(stem_units())}
    for place in places():
        units[place.name] = (BLOCK_PREFIXES[place.block] + '_', place.number)
    return {
        f'{unit}_{tensor}': f'{prefix}{kind}{number}_{theirs}'
        for unit, (prefix, number) in units.items()
        for tensor, (kind, theirs) in zip(TENSORS, PREFIXED)
    }


def read_gluon(path: str) -> Source:
    """Read a file that Gluon's `inception_v3` was saved to, in either manner of naming.

    Its pixels were scaled by ImageNet's means and deviations; average pooling counts its padding.
    """
    tensors = {name.split(':', 1)[-1]: array.asnumpy() for name, array in load_arrays(path).items()}
    if any('.' in name for name in tensors):
        names, output = structural_names(), 'output.'
    else:
        prefix = os.path.commonprefix(list(tensors))
        tensors = {name[len(prefix) :]: array for name, array in tensors.items()}
        names, output = prefixed_names(), 'dense0_'
        if 'conv2d0_weight' in tensors:
            names = {ours: theirs.replace('conv', 'conv2d') for ours, theirs in names.items()}
    classifier = classifier_of(tensors, output + 'weight', output + 'bias')
    return Source('gluon', tensors, names, classifier, 'imagenet', True)


def torchvision_names() -> Dict[str, str]:
    """Names of a state dict: ``Mixed_5b.branch5x5_2.conv.weight``."""
    units = dict(zip(stem_units(), STEM_NAMES))
    for place in places():
        block, branches = BLOCKS[place.block]
        branch = branches[place.branch][0]
        number = '' if place.units == 1 else f'_{place.step + 1}{place.letter}'
        units[place.name] = f'{block.capitalize()}.{branch}{number}'
    return tensor_names(units, TORCH_TENSORS)


def _read_tensors(path: PathLike) -> Dict[str, np.ndarray]:
    """All tensors of a state dict, also within a checkpoint's ``state_dict``; nothing else is unpickled."""
    try:
        import torch
    except ImportError:
        needed = "PyTorch reads torchvision's files: pip install 'uniface-mx[torchvision]'"
        raise UnifaceError(f'{path}: {needed}') from None
    try:
        content: Any = torch.load(str(path), map_location='cpu', weights_only=True)
    except Exception as error:  # zipfile's, pickle's and its own, whatever is damaged first
        raise UnifaceError(f'{path}: is damaged, or no state dict of PyTorch ({last_line(error)})') from None
    state = content.get('state_dict', content) if isinstance(content, dict) else {}
    tensors = {name: value.numpy() for name, value in state.items() if isinstance(value, torch.Tensor)}
    if not tensors:
        raise UnifaceError(f'{path}: holds no named tensors: save the state dict of the model, not the model')
    return tensors


def read_torchvision(path: PathLike) -> Source:
    """Read a state dict of torchvision's `inception_v3`.

    torchvision's own weights come from TensorFlow: with them the model turns ImageNet's scaling back into x /
    127.5 - 1 (``transform_input``). Average pooling counts its padding. The auxiliary classifier is not used.

    Raises
    ------
    UnifaceError
        The file is no state dict, is damaged or asks for more than tensors; or PyTorch is not installed.
    """
    tensors = {re.sub(r'^module\.', '', name): array for name, array in _read_tensors(path).items()}
    classifier = classifier_of(tensors, 'fc.weight', 'fc.bias')
    return Source('torchvision', tensors, torchvision_names(), classifier, 'symmetric', True)


READERS = {'gluon': read_gluon, 'torchvision': read_torchvision, 'tfjs': read_tfjs}


def detect_kind(path: str) -> str:
    """The key of `READERS` that a file or folder is for, by name and first bytes.

    Raises
    ------
    UnifaceError
        There is no such file.
    """
    if not Path(path).exists():
        raise UnifaceError(f'{path}: no such file')
    if is_tfjs(Path(path)):
        return 'tfjs'
    with open(path, 'rb') as file:
        return 'torchvision' if file.read(max(map(len, STARTS))).startswith(STARTS) else 'gluon'


def read_source(path: str, kind: Optional[str] = None, scaling: Optional[str] = None) -> Source:
    """Read a pretrained Inception-v3.

    Parameters
    ----------
    path : str
        Gluon's ``.params``, torchvision's ``.pth``, or TensorFlow.js files (see `read_tfjs_model`).
    kind : str, optional
        Key of `READERS`; by default `detect_kind` tells.
    scaling : str, optional
        Key of `SCALINGS`, for weights that were trained with another scaling than their kind usually is.

    Raises
    ------
    UnifaceError
        The file cannot be read as what it should be.
    """
    source = READERS[kind or detect_kind(path)](path)
    return source._replace(scaling=scaling) if scaling else source
