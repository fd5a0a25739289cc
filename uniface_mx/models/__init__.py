"""The paper's models by name."""

from __future__ import annotations

import inspect

from uniface_mx.errors import UnifaceError
from uniface_mx.models.presets import PRESETS, build_uniface
from uniface_mx.models.uniface import Uniface
from uniface_mx.registry import suggestion

__all__ = ['PRESETS', 'Uniface', 'build_uniface', 'get_model']


def get_model(name: str, **overrides) -> Uniface:
    """Build a model by its preset's name.

    Parameters
    ----------
    name : str
        ``uniface_a`` to ``uniface_d`` at the paper's size, ``uniface_a_lite`` to ``uniface_d_lite`` for CPUs.
    **overrides
        Arguments of `build_uniface` that differ from the preset.

    Raises
    ------
    UnifaceError
        There is no such model or argument.
    """
    if name not in PRESETS:
        raise UnifaceError(
            'unknown model {!r}{}; valid names: {}'.format(
                name, suggestion(str(name), PRESETS), ', '.join(sorted(PRESETS))
            )
        )
    arguments = inspect.signature(build_uniface).parameters
    for key in overrides:
        if key not in arguments:
            raise UnifaceError('a model has no argument {!r}{}'.format(key, suggestion(key, arguments)))
    return build_uniface(**dict(PRESETS[name], **overrides))
