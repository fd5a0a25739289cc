"""Convolution, batch normalisation and ReLU as one unit."""

from __future__ import annotations

from typing import Tuple, Union

from mxnet.gluon import nn

BATCH_NORM_EPSILON = 1e-3

Kernel = Union[int, Tuple[int, int]]


def conv_unit(
    name: str, channels: int, kernel: Kernel, stride: int = 1, padding: int = None
) -> nn.HybridSequential:
    """Convolution without bias, batch normalisation, ReLU.

    Parameters
    ----------
    name : str
        Prefix of the unit's parameters, without the closing underscore.
    channels : int
        Output channels.
    kernel : int or (int, int)
        Height and width of the kernel, odd.
    stride : int
        Stride on both axes.
    padding : int, optional
        Zero padding on every side; by default half the kernel, so that stride 1 keeps the size.
    """
    height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
    pad = (height // 2, width // 2) if padding is None else (padding, padding)
    unit = nn.HybridSequential(prefix=name + '_')
    with unit.name_scope():
        unit.add(
            nn.Conv2D(channels, (height, width), strides=stride, padding=pad, use_bias=False, prefix='conv_'),
            nn.BatchNorm(epsilon=BATCH_NORM_EPSILON, prefix='bn_'),
            nn.Activation('relu', prefix='relu_'),
        )
    return unit


def deconv_unit(name: str, channels: int) -> nn.HybridSequential:
    """Deconvolution that doubles the size exactly (4x4, stride 2, padding 1), batch normalisation, ReLU."""
    unit = nn.HybridSequential(prefix=name + '_')
    with unit.name_scope():
        unit.add(
            nn.Conv2DTranspose(channels, 4, strides=2, padding=1, use_bias=False, prefix='deconv_'),
            nn.BatchNorm(epsilon=BATCH_NORM_EPSILON, prefix='bn_'),
            nn.Activation('relu', prefix='relu_'),
        )
    return unit
