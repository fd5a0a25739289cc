"""Augmentation: from photos with labelled faces to training canvases."""
from uniface_mx.data.transforms.canvas import Photo, Tile, canvas_kinds, decode, draw, plan
from uniface_mx.data.transforms.settings import AugmentError, AugmentSettings

__all__ = ['AugmentError', 'AugmentSettings', 'Photo', 'Tile', 'canvas_kinds', 'decode', 'draw', 'plan']
