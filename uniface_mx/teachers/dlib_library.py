"""dlib's face network run by dlib itself, as most who deploy it do: to compare times with."""

from __future__ import annotations

from typing import Sequence

import numpy as np

from uniface_mx.teachers.base import hash_files
from uniface_mx.teachers.dlib import DlibEmbedding, find_weights


class DlibLibrary(DlibEmbedding):
    """The network of `DlibEmbedding`, with the same crops and nearly the same vectors; crops run together.

    Raises
    ------
    TeacherError, ImportError
        No file of weights; dlib is not installed.
    """

    name = 'dlib_library'
    version = '1'

    def __init__(self):
        import dlib

        path = find_weights()
        self.sha256 = hash_files([path])
        self._model = dlib.face_recognition_model_v1(str(path))

    def embed(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """(n, 128) float32 vectors, not of unit length, of n crops (150, 150, 3) uint8 RGB."""
        vectors = self._model.compute_face_descriptor([np.ascontiguousarray(crop) for crop in crops])
        return np.array(vectors, np.float32).reshape(-1, self.dim)
