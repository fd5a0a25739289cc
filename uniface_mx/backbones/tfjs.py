"""Keras' Inception-v3 in TensorFlow.js files, such as those of the npm package nsfwjs.

Keras numbers its layers in the order in which they were made, which says nothing about where they stand. So
the graph is followed backwards from its output, and must be, layer by layer, the trunk's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from uniface_mx.backbones.layout import BLOCKS, TENSORS, unit_name
from uniface_mx.backbones.source import Dense, Source
from uniface_mx.backbones.tfjs_files import read_tfjs_model
from uniface_mx.errors import UnifaceError
from uniface_mx.nn.conv import BATCH_NORM_EPSILON
from uniface_mx.nn.inception import AVERAGE_POOL, MAX_POOL, SAME, STEM, Step, Unit

POOLS = {
    AVERAGE_POOL: ('AveragePooling2D', dict(pool_size=[3, 3], strides=[1, 1], padding='same')),
    MAX_POOL: ('MaxPooling2D', dict(pool_size=[3, 3], strides=[2, 2], padding='valid')),
}
KERAS_TENSORS = ('kernel', 'gamma', 'beta', 'moving_mean', 'moving_variance')
NSFWJS_SIZES = (256, 128, 5)
NSFWJS_LABELS = ('Drawing', 'Hentai', 'Neutral', 'Porn', 'Sexy')


class Walk:
    """Follows a Keras model from its output to its input and notes which layer is which unit of the trunk.

    Parameters
    ----------
    layers : dict
        The model's layers by name, as its file describes them.

    Attributes
    ----------
    units : dict
        Names of the convolution and the batch norm of each of the trunk's units.
    """

    def __init__(self, layers: Dict[str, dict]) -> None:
        self._layers = layers
        self.units: Dict[str, Tuple[str, str]] = {}

    def inputs(self, name: str) -> List[str]:
        """Names of the layers that a layer takes."""
        nodes = self._layers[name]['inbound_nodes']
        if len(nodes) > 1:
            raise UnifaceError(f'layer {name} is used more than once')
        return [node[0] for node in nodes[0]] if nodes else []

    def expect(self, name: str, class_name: str, count: int = 1, **config: Any) -> List[str]:
        """Inputs of a layer that must be of a class, take `count` inputs, and have these settings."""
        layer, inputs = self._layers[name], self.inputs(name)
        wrong = [key for key, value in config.items() if layer['config'].get(key) != value]
        if layer['class_name'] != class_name or len(inputs) != count or wrong:
            detail = f' of {count} inputs' if count != 1 else ''
            detail += ''.join(f' with {key} {config[key]}' for key in wrong)
            raise UnifaceError(
                f'layer {name} is a {layer["class_name"]}, but an Inception-v3 has a {class_name}{detail} there'
            )
        return inputs

    def unit(self, end: str, name: str, unit: Unit) -> str:
        """Follow a convolution unit back to its input."""
        kernel = list(unit.kernel) if isinstance(unit.kernel, tuple) else [unit.kernel] * 2
        settings = dict(kernel_size=kernel, strides=[unit.stride] * 2, dilation_rate=[1, 1])
        settings.update(use_bias=False, activation='linear')
        if kernel != [1, 1]:
            settings['padding'] = 'same' if unit.padding == SAME else 'valid'
        (norm,) = self.expect(end, 'Activation', activation='relu')
        (convolution,) = self.expect(norm, 'BatchNormalization')
        if not np.isclose(self._layers[norm]['config']['epsilon'], BATCH_NORM_EPSILON):
            raise UnifaceError(f'layer {norm} has another epsilon than {BATCH_NORM_EPSILON}')
        (start,) = self.expect(convolution, 'Conv2D', **settings)
        self.units[name] = (convolution, norm)
        return start

    def steps(self, end: str, steps: Sequence[Tuple[str, Step]]) -> str:
        """Follow named steps, last one first, back to where they begin."""
        for name, step in reversed(steps):
            if isinstance(step, str):
                class_name, config = POOLS[step]
                (end,) = self.expect(end, class_name, **config)
            elif isinstance(step, Unit):
                end = self.unit(end, name, step)
            else:
                end = self.meet(end, [[(name + letter, unit)] for letter, unit in zip('ab', step)])
        return end

    def meet(self, end: str, branches: Sequence[Sequence[Tuple[str, Step]]]) -> str:
        """Follow the branches of a concatenation, in its order, back to the layer where all must begin."""
        inputs = self.expect(end, 'Concatenate', len(branches))
        starts = {self.steps(name, branch) for name, branch in zip(inputs, branches)}
        if len(starts) != 1:
            raise UnifaceError(f'the branches of layer {end} begin at different layers')
        return starts.pop()

    def trunk(self, end: str) -> None:
        """Follow the whole trunk from its last concatenation to the input."""
        for block, branches in reversed(BLOCKS):
            named = [
                [(unit_name(block, branch, number), step) for number, step in enumerate(steps)]
                for branch, *steps in branches
            ]
            end = self.meet(end, named)
        self.expect(self.steps(end, STEM), 'InputLayer', 0)

    def classifier(self, end: str) -> Tuple[Tuple[Dense, ...], str]:
        """Dense layers from the model's output back to the trunk's last layer, and that layer's name."""
        found: List[Dense] = []
        while self._layers[end]['class_name'] != 'Concatenate':
            layer, inputs = self._layers[end], self.inputs(end)
            if len(inputs) != 1:
                raise UnifaceError(
                    f'no Inception-v3 leads to the output: layer {end} has {len(inputs)} inputs'
                )
            if layer['class_name'] == 'Dense':
                found.insert(0, Dense(end + '/kernel', end + '/bias', layer['config']['activation']))
            (end,) = inputs
        return tuple(found), end


def read_tfjs(path: str) -> Source:
    """Read a Keras Inception-v3 from TensorFlow.js files.

    Its average pooling leaves padding out. Keras scales pixels as x / 127.5 - 1; nsfwjs, known by its
    classifier, as x / 255. A batch norm without gamma has none here either.
    """
    model = read_tfjs_model(Path(path))
    walk = Walk(model.layers)
    try:
        classifier, end = walk.classifier(model.output)
        walk.trunk(end)
    except UnifaceError as error:
        raise UnifaceError(f'{path}: {error}') from None
    except (KeyError, IndexError, TypeError) as error:
        raise UnifaceError(f'{path}: its graph is damaged ({error!r})') from None
    names = {}
    for unit, (convolution, norm) in walk.units.items():
        for tensor, theirs in zip(TENSORS, KERAS_TENSORS):
            if theirs != 'gamma' or model.layers[norm]['config'].get('scale'):
                layer = convolution if theirs == 'kernel' else norm
                names[f'{unit}_{tensor}'] = f'{layer}/{theirs}'
    # From Keras' axes to MXNet's.
    axes = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}
    tensors = {name: array.transpose(axes[array.ndim]) for name, array in model.tensors.items()}
    sizes = tuple(tensors[layer.bias].shape[0] for layer in classifier if layer.bias in tensors)
    scaling, labels = ('unit', NSFWJS_LABELS) if sizes == NSFWJS_SIZES else ('symmetric', ())
    return Source('tfjs', tensors, names, classifier, scaling, False, labels)
