"""A pretrained network whole: the imported trunk with stock padding, and the file's own classifier."""

from __future__ import annotations

import cv2
import mxnet as mx
import numpy as np

from uniface_mx.backbones.source import Source
from uniface_mx.backbones.trunk_file import load_trunk, trunk_options
from uniface_mx.errors import UnifaceError
from uniface_mx.models.files import PathLike
from uniface_mx.nn.inception import InceptionTrunk
from uniface_mx.nn.normalize import ChannelNormalize

SIZE = 299
ACTIVATIONS = {
    'linear': lambda values: values,
    'relu': lambda values: np.maximum(values, 0),
    'softmax': lambda values: np.exp(values - values.max()) / np.exp(values - values.max()).sum(),
}


def classify(image: np.ndarray, path: PathLike, source: Source) -> np.ndarray:
    """Probabilities of the source's classes for a photo, from the trunk as it was written.

    Parameters
    ----------
    image : numpy.ndarray
        (H, W, 3) uint8, RGB; brought to 299x299 whatever its sides.
    path : path
        The file that `write_trunk` wrote from `source`.
    source : Source
        Brings the classifier.

    Returns
    -------
    numpy.ndarray
        (classes,) float32.

    Raises
    ------
    UnifaceError
        The source has no classifier, or one that cannot be followed.
    """
    if not source.classifier:
        raise UnifaceError('the source has no classifier to check the trunk with')
    trunk = InceptionTrunk(same_padding=False, prefix='trunk_', **trunk_options(path))
    load_trunk(trunk, path)
    data = cv2.resize(image, (SIZE, SIZE)).transpose(2, 0, 1)[None]
    last = trunk(ChannelNormalize()(mx.nd.array(data)))[-1]
    values = last.mean(axis=(2, 3)).asnumpy()[0]
    for layer in source.classifier:
        weight, bias = source.tensors[layer.weight], source.tensors[layer.bias]
        if layer.activation not in ACTIVATIONS or weight.shape != (len(bias), len(values)):
            raise UnifaceError(
                f'{layer.weight}: shape {weight.shape} or activation {layer.activation} is not known'
            )
        values = ACTIVATIONS[layer.activation](weight @ values + bias)
    return values
