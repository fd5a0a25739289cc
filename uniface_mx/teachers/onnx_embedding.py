"""Any ONNX network that embeds an aligned face, described by a small YAML file.

    model: w600k_mbf.onnx        # beside the YAML file
    input_size: [112, 112]       # width, height
    channels: RGB                # or BGR
    layout: NCHW                 # or NHWC
    mean: [127.5, 127.5, 127.5]  # a channel, in the network's order, of pixels in 0..255
    std: [127.5, 127.5, 127.5]
    points: [[38.79, 52.20], [74.03, 52.00], [56.53, 72.24], [42.05, 92.87], [71.23, 92.70]]
    dim: 512
    normalize: true              # to unit length

`points` says where the five landmarks lie in the crop, in continuous coordinates (pixel i covers [i, i + 1)):
add half a pixel to a template that gives pixel centres whole numbers, as ArcFace's does.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Sequence, Tuple, Union

import numpy as np

from uniface_mx import geometry
from uniface_mx.config.reader import load_config, to_yaml
from uniface_mx.config.schema import within
from uniface_mx.errors import last_line
from uniface_mx.teachers.base import EmbeddingTeacher, TeacherError, hash_files, open_onnx

REVISION = 1
ARCFACE = ((38.79, 52.20), (74.03, 52.00), (56.53, 72.24), (42.05, 92.87), (71.23, 92.70))
Point = Tuple[float, float]


@dataclass(frozen=True)
class EmbeddingDescription:
    """The YAML file's keys; the module's text shows all of them."""

    model: str = ''
    input_size: Tuple[int, int] = within((112, 112), low=1)
    channels: Literal['RGB', 'BGR'] = 'RGB'
    layout: Literal['NCHW', 'NHWC'] = 'NCHW'
    mean: Tuple[float, float, float] = (127.5, 127.5, 127.5)
    std: Tuple[float, float, float] = within((127.5, 127.5, 127.5), low=1e-6)
    points: Tuple[Point, Point, Point, Point, Point] = ARCFACE
    dim: int = within(128, low=1)
    normalize: bool = False


class OnnxEmbedding(EmbeddingTeacher):
    """An ONNX embedding network.

    Crops are run one by one, so that a vector depends on its crop alone.

    Parameters
    ----------
    description : path
        The YAML file.

    Raises
    ------
    ConfigError
        The YAML file cannot be read, or a key is unknown or ill-typed.
    TeacherError
        The ONNX file is missing or damaged, or the network is not as described.
    """

    name = 'onnx'

    def __init__(self, description: Union[str, os.PathLike]) -> None:
        path = Path(description)
        self._description = load_config(path, schema=EmbeddingDescription)
        if not self._description.model:
            raise TeacherError(f"{path}: key 'model' is missing: it names the ONNX file beside it")
        model = path.parent / self._description.model
        self.sha256 = hash_files([model])
        digest = hashlib.sha256(to_yaml(self._description).encode()).hexdigest()
        self.version = f'{REVISION};{digest[:16]}'
        self.dim = self._description.dim
        width, height = self._description.input_size
        try:
            self._session = open_onnx(model)
            found = self._run(np.zeros((height, width, 3), np.uint8)).shape
        except ImportError:
            raise
        except Exception as error:  # ONNX Runtime has a class of errors for each of its codes
            raise TeacherError(
                f'{model}: does not run on one crop as {path.name} describes it ({last_line(error)})'
            ) from error
        if found != (self.dim,):
            raise TeacherError(
                f"{model}: the network's output is of shape {found}, {path.name} says dim: {self.dim}"
            )

    def align(self, image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """The (height, width, 3) crop in which the landmarks lie nearest to the description's points."""
        matrix = geometry.similarity_transform(landmarks, self._description.points)
        return geometry.warp(image, matrix, *self._description.input_size)

    def embed(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """(n, dim) float32 vectors, at unit length if so described."""
        vectors = np.array([self._run(crop) for crop in crops], np.float32).reshape(-1, self.dim)
        if self._description.normalize:
            vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors

    def _run(self, crop: np.ndarray) -> np.ndarray:
        wanted = self._description
        pixels = crop if wanted.channels == 'RGB' else crop[..., ::-1]
        data = (pixels.astype(np.float32) - np.float32(wanted.mean)) / np.float32(wanted.std)
        if wanted.layout == 'NCHW':
            data = data.transpose(2, 0, 1)
        feed = {self._session.get_inputs()[0].name: np.ascontiguousarray(data)[None]}
        return self._session.run(None, feed)[0][0]
