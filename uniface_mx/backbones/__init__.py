"""Pretrained Inception-v3 weights for the trunk: Gluon, torchvision, TensorFlow.js (section IV.A)."""

from uniface_mx.backbones.readers import read_source
from uniface_mx.backbones.source import convert
from uniface_mx.backbones.trunk_file import classify, load_trunk, trunk_options, write_trunk

__all__ = ['classify', 'convert', 'load_trunk', 'read_source', 'trunk_options', 'write_trunk']
