"""A deconvolution as convolutions, for what knows no other: oneDNN's int8 layers."""

from __future__ import annotations

from itertools import product
from types import ModuleType
from typing import Any

import mxnet as mx
import numpy as np
from mxnet.gluon import HybridBlock, nn

from uniface_mx.nn import Tensor

# An output row sees two input rows: an even one the one before its own and its own, an odd one its own and
# the next. These are the kernel's rows that fall on them; columns are alike.
TAPS = ((3, 1), (2, 0))
PHASES = tuple(product((0, 1), repeat=2))


class PhaseDeconvolution(HybridBlock):
    """What `conv.deconv_unit` computes, without a deconvolution.

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
    gamma, beta, mean, variance = (
        parameter.data().asnumpy()
        for parameter in (norm.gamma, norm.beta, norm.running_mean, norm.running_var)
    )
    scale = gamma / np.sqrt(variance + norm._kwargs['eps'])
    kernel = kernel.transpose(1, 0, 2, 3) * scale[:, None, None, None]
    block = PhaseDeconvolution(kernel.shape[1], kernel.shape[0], side, prefix=unit.prefix + 'phases_')
    block.initialize()
    block.conv.weight.set_data(
        mx.nd.array(
            np.concatenate([kernel[:, :, TAPS[row]][:, :, :, TAPS[column]] for row, column in PHASES])
        )
    )
    block.conv.bias.set_data(mx.nd.array(np.tile(beta - mean * scale, len(PHASES))))
    return block
