"""Convolution or deconvolution, batch normalisation and ReLU as one unit; a deconvolution made of convolutions."""

from __future__ import annotations

from itertools import product
from types import ModuleType
from typing import Any, Optional, Tuple, Type, Union

import mxnet as mx
import numpy as np
from mxnet.gluon import HybridBlock, nn

from uniface_mx.nn import Tensor

BATCH_NORM_EPSILON = 1e-3

Kernel = Union[int, Tuple[int, int]]

# Of a deconvolution an output row sees two input rows: an even one the one before its own and its own, an odd one its
# own and the next. These are the kernel's rows that fall on them; columns are alike.
TAPS = ((3, 1), (2, 0))
PHASES = tuple(product((0, 1), repeat=2))


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


class PhaseDeconvolution(HybridBlock):
    """What `deconv_unit` computes, without a deconvolution, for what knows none: oneDNN's int8 layers.

    Each of the four combinations of even and odd rows and columns is a 2x2 convolution of the input, into
    which batch normalisation is folded. They run as one with four times the channels; their outputs
    interleave.

    Parameters
    ----------
    inputs, channels : int
        Input and output channels.
    side : int
        Rows and columns of the output.
    """

    def __init__(self, inputs: int, channels: int, side: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._channels, self._side = channels, side
        with self.name_scope():
            self.conv = nn.Conv2D(
                len(PHASES) * channels, 2, padding=1, activation='relu', in_channels=inputs, prefix='conv_'
            )

    def hybrid_forward(self, F: ModuleType, data: Tensor) -> Tensor:
        """(N, inputs, side / 2, side / 2) to (N, channels, side, side)."""
        channels, side = self._channels, self._side
        # oneDNN's layout ends here, once and not once for each slice.
        phases = F.reshape(self.conv(data), shape=(0, 0, 0, 0))
        # Memory of the right size: every value is overwritten.
        output = F.slice(phases, begin=(None, None, 1, 1), end=(None, None, None, None))
        output = F.reshape(output, shape=(0, channels, side, side))
        for number, (row, column) in enumerate(PHASES):
            phase = F.slice(
                phases,
                begin=(None, number * channels, row, column),
                end=(None, (number + 1) * channels, row + side // 2, column + side // 2),
            )
            output = F._internal._slice_assign(
                output,
                phase,
                begin=(None, None, row, column),
                end=(None, None, None, None),
                step=(None, None, 2, 2),
            )
        return output


def as_convolutions(unit: nn.HybridSequential, side: int) -> PhaseDeconvolution:
    """The block that computes what a `deconv_unit` with weights does, for outputs of this side."""
    deconvolution, norm, _ = unit
    kernel = deconvolution.weight.data().asnumpy()
    parameters = norm.gamma, norm.beta, norm.running_mean, norm.running_var
    gamma, beta, mean, variance = (parameter.data().asnumpy() for parameter in parameters)
    scale = gamma / np.sqrt(variance + norm._kwargs['eps'])
    kernel = kernel.transpose(1, 0, 2, 3) * scale[:, None, None, None]
    block = PhaseDeconvolution(kernel.shape[1], kernel.shape[0], side, prefix=unit.prefix + 'phases_')
    block.initialize()
    kernels = [kernel[:, :, TAPS[row]][:, :, :, TAPS[column]] for row, column in PHASES]
    block.conv.weight.set_data(mx.nd.array(np.concatenate(kernels)))
    block.conv.bias.set_data(mx.nd.array(np.tile(beta - mean * scale, len(PHASES))))
    return block
