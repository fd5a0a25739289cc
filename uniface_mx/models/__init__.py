"""The paper's models by name."""
from __future__ import annotations

from uniface_mx.models.presets import PRESETS, build_uniface
from uniface_mx.models.uniface import Uniface

__all__ = ['PRESETS', 'Uniface', 'build_uniface', 'get_model']


def get_model(name: str, **overrides) -> Uniface:
    """Build a model by its preset's name.

    Parameters
    ----------
    name : str
        ``uniface_a`` to ``uniface_d`` at the paper's size, ``uniface_a_lite`` to ``uniface_d_lite`` for CPUs.
    **overrides
        Arguments of `build_uniface` that differ from the preset.
    """
    return build_uniface(**dict(PRESETS[name], **overrides))
