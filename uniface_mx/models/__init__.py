"""The paper's models by name."""

from uniface_mx.models.files import ModelFiles
from uniface_mx.models.presets import PRESETS, build_uniface, get_model
from uniface_mx.models.uniface import Uniface

__all__ = ['PRESETS', 'ModelFiles', 'Uniface', 'build_uniface', 'get_model']
