"""The top-down pathway and the recognition map F_r (section III.B, Eq. (1))."""

from __future__ import annotations

from typing import Sequence

from mxnet.gluon import HybridBlock, nn

from uniface_mx.nn.conv import deconv_unit


class TopDown(HybridBlock):
    """Fuse all levels of the bottom-up pathway into F_r.

    Eq. (1): ``F_td(i + 1) = upsample(F_td(i) + F_bu(i))`` from the coarsest level, where F_td is 0, to the
    finest; nearest neighbour, cut to the next level's size where that is odd. The finest level is added too,
    then each deconvolution doubles the size: 36 to 72 to 144.

    Parameters
    ----------
    num_levels : int
        Number of input maps, finest first.
    fusion_channels : int
        Channels to which 1x1 convolutions bring all levels.
    deconv_channels : sequence of int
        Channels after each deconvolution; the last is F_r's.
    """

    def __init__(self, num_levels: int, fusion_channels: int, deconv_channels: Sequence[int], **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.lateral = nn.HybridSequential(prefix='')
            for number in range(num_levels):
                self.lateral.add(nn.Conv2D(fusion_channels, 1, prefix=f'lateral{number}_'))
            self.deconv = nn.HybridSequential(prefix='')
            for number, channels in enumerate(deconv_channels):
                self.deconv.add(deconv_unit(f'up{number}', channels))

    def hybrid_forward(self, F, *levels):
        laterals = [conv(level) for conv, level in zip(self.lateral, levels)]
        fused = laterals[-1]
        for lateral in reversed(laterals[:-1]):
            fused = F.UpSampling(fused, scale=2, sample_type='nearest')
            fused = F.slice_like(fused, lateral, axes=(2, 3)) + lateral
        return self.deconv(fused)


class CoarseMap(HybridBlock):
    """Model C's stand-in for F_r: one 9x9 level, unfused, with 1024 channels (section IV.D.2)."""

    def __init__(self, level: int, channels: int, **kwargs):
        super().__init__(**kwargs)
        self._level = level
        with self.name_scope():
            self.conv = nn.Conv2D(channels, 1, activation='relu', prefix='map_')

    def hybrid_forward(self, F, *levels):
        return self.conv(levels[self._level])
