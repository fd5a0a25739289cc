"""Augmentation: from photos with labelled faces to training canvases."""
