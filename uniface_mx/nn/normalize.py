"""Scaling of the pixels, the graph's first step (section IV.A)."""

from __future__ import annotations

from types import ModuleType

from mxnet.gluon import HybridBlock

from uniface_mx.nn import Tensor

CHANNEL_MEAN = (123.675, 116.28, 103.53)
CHANNEL_STD = (58.395, 57.12, 57.375)


class ChannelNormalize(HybridBlock):
    """Subtract a fixed mean from each channel and divide by a fixed deviation.

    Input and output are (N, 3, H, W); input RGB, 0..255. The numbers stand in the graph as scalars, so that
    there is no parameter that a later training could change.
    """

    def hybrid_forward(self, F: ModuleType, data: Tensor) -> Tensor:
        """Pixels to scaled pixels."""
        channels = [
            (F.slice_axis(data, axis=1, begin=i, end=i + 1) - mean) / std
            for i, (mean, std) in enumerate(zip(CHANNEL_MEAN, CHANNEL_STD))
        ]
        return F.concat(*channels, dim=1)


class ImageNormalize(HybridBlock):
    """Bring each image, all channels and its padding together, to mean 0 and deviation 1."""

    def hybrid_forward(self, F: ModuleType, data: Tensor) -> Tensor:
        """Pixels to scaled pixels."""
        centred = F.broadcast_sub(data, F.mean(data, axis=(1, 2, 3), keepdims=True))
        variance = F.mean(F.square(centred), axis=(1, 2, 3), keepdims=True)
        return F.broadcast_div(centred, F.sqrt(variance + 1e-6))


NORMALIZATIONS = {'channel': ChannelNormalize, 'image': ImageNormalize}
