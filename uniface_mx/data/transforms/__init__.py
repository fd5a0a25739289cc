"""Augmentation: from photos with labelled faces to training canvases. Its settings need no MXNet."""

from uniface_mx.config.augmentation import AugmentError, AugmentSettings, RecordShare

__all__ = ['AugmentError', 'AugmentSettings', 'RecordShare']
