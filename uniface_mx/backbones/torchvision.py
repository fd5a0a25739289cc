"""torchvision's ``inception_v3`` files, read by PyTorch where it is installed."""

from __future__ import annotations

from typing import Any, Dict

import numpy as np

from uniface_mx.backbones.layout import BLOCKS, TENSORS, places, stem_units
from uniface_mx.backbones.source import Source, classifier_of
from uniface_mx.errors import UnifaceError, last_line
from uniface_mx.models.files import PathLike

STEM_NAMES = ('Conv2d_1a_3x3', 'Conv2d_2a_3x3', 'Conv2d_2b_3x3', 'Conv2d_3b_1x1', 'Conv2d_4a_3x3')
TORCH_TENSORS = ('conv.weight', 'bn.weight', 'bn.bias', 'bn.running_mean', 'bn.running_var')
# How files begin: a zip file, and the number at the head of what PyTorch wrote before 1.6.
STARTS = (b'PK\x03\x04', b'\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19')


def torchvision_names() -> Dict[str, str]:
    """Names of a state dict: ``Mixed_5b.branch5x5_2.conv.weight``."""
    units = dict(zip(stem_units(), STEM_NAMES))
    for place in places():
        block, branches = BLOCKS[place.block]
        branch = branches[place.branch][0]
        number = '' if place.units == 1 else f'_{place.step + 1}{place.letter}'
        units[place.name] = f'{block.capitalize()}.{branch}{number}'
    return {
        f'{unit}_{tensor}': f'{path}.{theirs}'
        for unit, path in units.items()
        for tensor, theirs in zip(TENSORS, TORCH_TENSORS)
    }


def is_torch(path: PathLike) -> bool:
    """Whether a file looks like PyTorch's, by its first bytes."""
    with open(path, 'rb') as file:
        return file.read(max(map(len, STARTS))).startswith(STARTS)


def _read_tensors(path: PathLike) -> Dict[str, np.ndarray]:
    """All tensors of a state dict, also within a checkpoint's ``state_dict``; nothing else is unpickled."""
    try:
        import torch
    except ImportError:
        raise UnifaceError(
            f"{path}: PyTorch reads torchvision's files: pip install 'uniface-mx[torchvision]'"
        ) from None
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
    tensors = {
        name[7:] if name.startswith('module.') else name: array for name, array in _read_tensors(path).items()
    }
    classifier = classifier_of(tensors, 'fc.weight', 'fc.bias')
    return Source('torchvision', tensors, torchvision_names(), classifier, 'symmetric', True)
