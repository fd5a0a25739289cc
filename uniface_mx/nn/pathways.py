"""The bottom-up pathway (section III.A), the top-down pathway and the recognition map F_r (III.B, Eq. (1))."""

from __future__ import annotations

from types import ModuleType
from typing import Any, Sequence, Tuple

from mxnet.gluon import HybridBlock, nn

from uniface_mx.nn import Tensor
from uniface_mx.nn.conv import conv_unit, deconv_unit


class BottomUp(HybridBlock):
    """Maps of falling size, finest first: 36, 18, 9 from the trunk, then 5, 3, 2, 1.

    An extra level is a 1x1 convolution to half its channels, a 3x3 convolution, and a max-pool of 3 with
    stride 2 and padding 1: the paper's "extra convolutional layers" and "pooling layers with a stride of 2".

    Parameters
    ----------
    trunk : HybridBlock
        (N, 3, 300, 300) to a tuple of maps.
    extra_channels : sequence of int
        Channels of the extra levels.
    """

    def __init__(self, trunk: HybridBlock, extra_channels: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.trunk = trunk
        with self.name_scope():
            self.extra = nn.HybridSequential(prefix='')
            for number, channels in enumerate(extra_channels):
                level = nn.HybridSequential(prefix=f'extra{number}_')
                with level.name_scope():
                    level.add(
                        conv_unit('reduce', channels // 2, 1),
                        conv_unit('conv', channels, 3),
                        nn.MaxPool2D(3, 2, 1, prefix='pool_'),
                    )
                self.extra.add(level)

    def hybrid_forward(self, F: ModuleType, data: Tensor) -> Tuple[Tensor, ...]:
        """Scaled pixels (N, 3, 300, 300) to the maps."""
        levels = list(self.trunk(data))
        for level in self.extra:
            levels.append(level(levels[-1]))
        return tuple(levels)


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

    def __init__(
        self, num_levels: int, fusion_channels: int, deconv_channels: Sequence[int], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.lateral = nn.HybridSequential(prefix='')
            for number in range(num_levels):
                self.lateral.add(nn.Conv2D(fusion_channels, 1, prefix=f'lateral{number}_'))
            self.deconv = nn.HybridSequential(prefix='')
            for number, channels in enumerate(deconv_channels):
                self.deconv.add(deconv_unit(f'up{number}', channels))

    def hybrid_forward(self, F: ModuleType, *levels: Tensor) -> Tensor:
        """Maps, finest first, to F_r (N, 64, 144, 144)."""
        laterals = [conv(level) for conv, level in zip(self.lateral, levels)]
        fused = laterals[-1]
        for lateral in reversed(laterals[:-1]):
            fused = F.UpSampling(fused, scale=2, sample_type='nearest')
            fused = F.slice_like(fused, lateral, axes=(2, 3)) + lateral
        return self.deconv(fused)


class CoarseMap(HybridBlock):
    """Model C's stand-in for F_r: one 9x9 level, unfused, with 1024 channels (section IV.D.2)."""

    def __init__(self, level: int, channels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._level = level
        with self.name_scope():
            self.conv = nn.Conv2D(channels, 1, activation='relu', prefix='map_')

    def hybrid_forward(self, F: ModuleType, *levels: Tensor) -> Tensor:
        """Maps, finest first, to (N, 1024, 9, 9)."""
        return self.conv(levels[self._level])
