"""The bottom-up pathway: the trunk and the extra levels on top of it (sections III.A and III.B)."""

from __future__ import annotations

from typing import Sequence

from mxnet.gluon import HybridBlock, nn

from uniface_mx.nn.conv import conv_unit


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

    def __init__(self, trunk: HybridBlock, extra_channels: Sequence[int], **kwargs):
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

    def hybrid_forward(self, F, data):
        levels = list(self.trunk(data))
        for level in self.extra:
            levels.append(level(levels[-1]))
        return tuple(levels)
