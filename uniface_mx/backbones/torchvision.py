"""torchvision's ``inception_v3`` files."""

from __future__ import annotations

from typing import Dict

from uniface_mx.backbones.layout import BLOCKS, PARTS, places, stem_units
from uniface_mx.backbones.source import Dense, Source
from uniface_mx.backbones.torch_file import read_tensors

STEM_NAMES = ('Conv2d_1a_3x3', 'Conv2d_2a_3x3', 'Conv2d_2b_3x3', 'Conv2d_3b_1x1', 'Conv2d_4a_3x3')
TORCH_PARTS = ('conv.weight', 'bn.weight', 'bn.bias', 'bn.running_mean', 'bn.running_var')


def torchvision_names() -> Dict[str, str]:
    """Names of a state dict: ``Mixed_5b.branch5x5_2.conv.weight``."""
    units = dict(zip(stem_units(), STEM_NAMES))
    for place in places():
        block, branches = BLOCKS[place.block]
        branch = branches[place.branch][0]
        number = '' if place.units == 1 else f'_{place.step + 1}{place.letter}'
        units[place.name] = f'{block.capitalize()}.{branch}{number}'
    return {
        f'{unit}_{part}': f'{path}.{theirs}'
        for unit, path in units.items()
        for part, theirs in zip(PARTS, TORCH_PARTS)
    }


def read_torchvision(path: str) -> Source:
    """Read a state dict of torchvision's `inception_v3`.

    torchvision's own weights come from TensorFlow: with them the model turns ImageNet's scaling back into x /
    127.5 - 1 (``transform_input``). Average pooling counts its padding. The auxiliary classifier is not used.
    """
    tensors = read_tensors(path)
    tensors = {name[7:] if name.startswith('module.') else name: array for name, array in tensors.items()}
    classifier = (
        (Dense('fc.weight', 'fc.bias', 'softmax'),) if 'fc.weight' in tensors and 'fc.bias' in tensors else ()
    )
    return Source('torchvision', tensors, torchvision_names(), classifier, 'symmetric', True)
