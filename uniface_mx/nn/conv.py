"""Convolution, batch normalisation and ReLU as one unit."""

from __future__ import annotations

from typing import Any, Optional, Tuple, Type, Union

from mxnet.gluon import HybridBlock, nn

BATCH_NORM_EPSILON = 1e-3

Kernel = Union[int, Tuple[int, int]]


def _unit(name: str, kind: Type[HybridBlock], prefix: str, *arguments: Any) -> nn.HybridSequential:
    unit = nn.HybridSequential(prefix=name + '_')
    with unit.name_scope():
        unit.add(
            kind(*arguments, use_bias=False, prefix=prefix),
            nn.BatchNorm(epsilon=BATCH_NORM_EPSILON, prefix='bn_'),
            nn.Activation('relu', prefix='relu_'),
        )
    return unit


def conv_unit(
    name: str, channels: int, kernel: Kernel, stride: int = 1, padding: Optional[int] = None
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
    return _unit(name, nn.Conv2D, 'conv_', channels, (height, width), stride, pad)


def deconv_unit(name: str, channels: int) -> nn.HybridSequential:
    """Deconvolution that doubles the size exactly (4x4, stride 2, padding 1), batch normalisation, ReLU."""
    return _unit(name, nn.Conv2DTranspose, 'deconv_', channels, 4, 2, 1)
