"""Augmentation: from photos with labelled faces to training canvases. Its settings need no MXNet."""

from uniface_mx.data.transforms.settings import AugmentError, AugmentSettings, RecordShare

__all__ = ['AugmentError', 'AugmentSettings', 'RecordShare']
