"""Weights to begin with: random ones, or those of a trained network."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, Dict, Optional, Sequence

import mxnet as mx
import numpy as np

from uniface_mx.backbones import load_trunk
from uniface_mx.data.records import RecordMeta, require_teachers
from uniface_mx.errors import UnifaceError
from uniface_mx.models import Uniface
from uniface_mx.models.files import ModelFiles, load_weights
from uniface_mx.train import TrainError

# Deviations of the layers that give outputs, whose biases begin where an untaught output should lie.
OUTPUTS = {'heads_': 0.01, 'recognition_embedding_': 0.0001}
# Levels above the finest say little of a face before they are taught, and at full strength drown what the
# finest says.
COARSE_LATERAL, COARSE_SCALE = re.compile(r'topdown_lateral[1-9]\d*_'), 0.1
DECONVOLUTION = re.compile(r'topdown_up\d+_deconv_')


class StartWeights(mx.init.MSRAPrelu):
    """He's deviation for what a ReLU follows, and small weights for the outputs (`OUTPUTS`).

    The top-down pathway carries the finest level's faces to F_r: coarser levels join it small, and its
    deconvolutions interpolate between cells.
    """

    def __init__(self) -> None:
        super().__init__(factor_type='in', slope=0)

    def _init_weight(self, name: str, arr: mx.nd.NDArray) -> None:
        deviation = next((value for start, value in OUTPUTS.items() if name.startswith(start)), None)
        if deviation is not None:
            mx.nd.random.normal(0, deviation, out=arr)
        elif DECONVOLUTION.match(name):
            mixing = mx.nd.random.normal(0, math.sqrt(2 / arr.shape[0]), shape=arr.shape[:2] + (1, 1))
            arr[:] = mixing * mx.nd.array(bilinear_taps(arr.shape[2]))
        else:
            super()._init_weight(name, arr)
            if COARSE_LATERAL.match(name):
                arr[:] *= COARSE_SCALE


def bilinear_taps(side: int) -> np.ndarray:
    """Kernel (side, side) of a deconvolution of stride side / 2 that interpolates between cells; side even."""
    taps = 1 - np.abs((np.arange(side) + 0.5) / (side / 2) - 1)
    return np.outer(taps, taps)


def initialize(
    net: Uniface, devices: Sequence[mx.Context], seed: int, mean: Optional[np.ndarray] = None
) -> None:
    """Random weights, the same for a seed; the embeddings' bias is `mean` (128,), the mean teacher embedding.

    Otherwise tens of thousands of faces would go into finding the mean.
    """
    # Shapes without a forward pass: one still running while weights are read would change their layout.
    net.infer_shape(mx.nd.zeros((1, 3, net.size, net.size)))
    mx.random.seed(seed)
    net.initialize(StartWeights(), ctx=list(devices))
    if mean is not None:
        net.recognition.embedding.bias.set_data(mx.nd.array(mean))


def load_start(net: Uniface, start: str, devices: Sequence[mx.Context], teachers: Dict[str, Any]) -> None:
    """Fill a network from trained weights.

    Parameters
    ----------
    start : str
        A ``.params`` file, the prefix of an exported model, or the name of a model that ships. Exported
        weights, given by either, have their mean embedding put back: training needs raw embeddings.
    teachers : dict
        Of the records to train with, as in `RecordMeta.teachers`.

    Raises
    ------
    UnifaceError
        No such weights, made for another model, or by another embedding teacher.
    """
    prefix = Path(re.sub(r'-\d{4}\.params$', '', start))
    if start.endswith('.params') and not ModelFiles(prefix).manifest_path.is_file():
        load_weights(net, start, list(devices))
        return
    try:
        files = ModelFiles.find(prefix)
    except UnifaceError as error:
        raise TrainError(f'training.init: {error}') from None
    manifest = files.verify()
    known = manifest.get('training', {}).get('teachers')
    if known and teachers:
        require_teachers(RecordMeta(teachers=teachers, embeddings=1), known, 'data.train')
    load_weights(net, files.weights_path(), list(devices))
    if manifest.get('mean_embedding'):
        bias = net.recognition.embedding.bias
        bias.set_data(bias.data(devices[0]) + mx.nd.array(manifest['mean_embedding'], ctx=devices[0]))


def load_backbone(net: Uniface, path: str, devices: Sequence[mx.Context]) -> None:
    """Fill the trunk (both of Model B's) from a file that ``tools/import_backbone.py`` wrote.

    Raises
    ------
    TrainError
        The file is damaged, or was made for another trunk: of another width or pooling rule.
    """
    try:
        load_trunk(net, path, list(devices))
    except UnifaceError as error:
        raise TrainError(f'training.backbone: {error}') from None
