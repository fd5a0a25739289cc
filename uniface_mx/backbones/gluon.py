"""Gluon's ``inceptionv3`` parameter files."""

from __future__ import annotations

import os
from typing import Dict

from uniface_mx.backbones.layout import TENSORS, places, stem_units
from uniface_mx.backbones.source import Source, classifier_of
from uniface_mx.models.files import load_arrays

# Positions in the model's `features`: the stem's units stand between pools, the mixed blocks follow.
STEM_POSITIONS = (0, 1, 2, 4, 5)
FIRST_BLOCK = 7
BLOCK_PREFIXES = ('A1', 'A2', 'A3', 'B', 'C1', 'C2', 'C3', 'C4', 'D', 'E1', 'E2')
STRUCTURAL = ('0.weight', '1.gamma', '1.beta', '1.running_mean', '1.running_var')
# The same five: the kind of layer, and its tensor.
PREFIXED = tuple(zip(('conv',) + ('batchnorm',) * 4, (name.split('.')[1] for name in STRUCTURAL)))


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
    return {
        f'{unit}_{tensor}': f'features.{path}.{theirs}'
        for unit, path in units.items()
        for tensor, theirs in zip(TENSORS, STRUCTURAL)
    }


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
