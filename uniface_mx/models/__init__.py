"""The paper's models by name."""

from __future__ import annotations

import inspect
from typing import Any

from uniface_mx.errors import UnifaceError, lookup, suggestion
from uniface_mx.models.files import ModelFiles, load_weights
from uniface_mx.models.presets import PRESETS, build_uniface
from uniface_mx.models.uniface import Uniface
from uniface_mx.paths import resource

__all__ = ['PRESETS', 'ModelFiles', 'Uniface', 'build_uniface', 'get_model']

# Arguments that change what a model gives, and that no weight's shape tells of.
WEIGHTLESS = ('normalization', 'count_include_pad')


def get_model(name: str, pretrained: bool = False, **overrides: Any) -> Uniface:
    """Build a model by its preset's name.

    Parameters
    ----------
    name : str
        ``uniface_a`` to ``uniface_d`` at the paper's size, ``uniface_a_lite`` to ``uniface_d_lite`` for CPUs.
    pretrained : bool
        With the trained weights that ship in ``symbols/``, whose embeddings are centred; otherwise the model
        is not initialized.
    **overrides
        Arguments of `build_uniface` that differ from the preset.

    Raises
    ------
    UnifaceError
        There is no such model or argument, no weights of it ship, or the overrides do not fit them.
    """
    preset = lookup('model', name, PRESETS)
    arguments = inspect.signature(build_uniface).parameters
    for key in overrides:
        if key not in arguments:
            raise UnifaceError(f'a model has no argument {key!r}{suggestion(key, arguments)}')
    net = build_uniface(**dict(preset, **overrides))
    if pretrained:
        files = ModelFiles.find(resource('symbols') / name)
        trained = files.verify()['model']['overrides']
        for key in WEIGHTLESS:
            value = trained.get(key, preset.get(key, arguments[key].default))
            if overrides.get(key, value) != value:
                raise UnifaceError(f'{name}: its weights were trained with {key} {value!r}')
        load_weights(net, files.weights_path())
    return net
