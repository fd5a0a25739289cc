"""The Inception-v3 trunk (section III.A), cut before its classifier."""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple, Sequence, Tuple, Union

from mxnet.gluon import HybridBlock, nn
from mxnet.gluon.contrib.nn import HybridConcurrent

from uniface_mx.nn import Tensor
from uniface_mx.nn.conv import Kernel, conv_unit

AVERAGE_POOL, MAX_POOL = 'average pool', 'max pool'
# Padding of a unit: half the kernel, none, or what the reductions have (see `InceptionTrunk`).
SAME, VALID, REDUCTION = 'same', 'valid', 'reduction'


class Unit(NamedTuple):
    """A convolution, its batch normalisation and its ReLU."""

    channels: int
    kernel: Kernel
    stride: int = 1
    padding: str = SAME


# A unit, a pool, or units that all see the step before and are concatenated.
Step = Union[Unit, str, Tuple[Unit, ...]]
# A name and its steps.
Branch = Tuple[Any, ...]

STEM = (
    ('conv_1a', Unit(32, 3, 2, VALID)),
    ('conv_2a', Unit(32, 3, 1, VALID)),
    ('conv_2b', Unit(64, 3)),
    ('pool_1', MAX_POOL),
    ('conv_3b', Unit(80, 1)),
    ('conv_4a', Unit(192, 3, 1, REDUCTION)),
    ('pool_2', MAX_POOL),
)


def _a(pool_channels: int) -> Tuple[Branch, ...]:
    return (
        ('branch1x1', Unit(64, 1)),
        ('branch5x5', Unit(48, 1), Unit(64, 5)),
        ('branch3x3dbl', Unit(64, 1), Unit(96, 3), Unit(96, 3)),
        ('branch_pool', AVERAGE_POOL, Unit(pool_channels, 1)),
    )


def _c(middle: int) -> Tuple[Branch, ...]:
    across, down = Unit(middle, (1, 7)), Unit(middle, (7, 1))
    return (
        ('branch1x1', Unit(192, 1)),
        ('branch7x7', Unit(middle, 1), across, Unit(192, (7, 1))),
        ('branch7x7dbl', Unit(middle, 1), down, across, down, Unit(192, (1, 7))),
        ('branch_pool', AVERAGE_POOL, Unit(192, 1)),
    )


_6A = (
    ('branch3x3', Unit(384, 3, 2, REDUCTION)),
    ('branch3x3dbl', Unit(64, 1), Unit(96, 3), Unit(96, 3, 2, REDUCTION)),
    ('branch_pool', MAX_POOL),
)
_7A = (
    ('branch3x3', Unit(192, 1), Unit(320, 3, 2, REDUCTION)),
    ('branch7x7x3', Unit(192, 1), Unit(192, (1, 7)), Unit(192, (7, 1)), Unit(192, 3, 2, REDUCTION)),
    ('branch_pool', MAX_POOL),
)
_SPLIT = (Unit(384, (1, 3)), Unit(384, (3, 1)))
_E = (
    ('branch1x1', Unit(320, 1)),
    ('branch3x3', Unit(384, 1), _SPLIT),
    ('branch3x3dbl', Unit(448, 1), Unit(384, 3), _SPLIT),
    ('branch_pool', AVERAGE_POOL, Unit(192, 1)),
)

# The mixed blocks of each stage: a name, and the branches that are concatenated.
STAGES = (
    (('mixed_5b', _a(32)), ('mixed_5c', _a(64)), ('mixed_5d', _a(64))),
    (
        ('mixed_6a', _6A),
        ('mixed_6b', _c(128)),
        ('mixed_6c', _c(160)),
        ('mixed_6d', _c(160)),
        ('mixed_6e', _c(192)),
    ),
    (('mixed_7a', _7A), ('mixed_7b', _E), ('mixed_7c', _E)),
)
CHANNEL_BLOCK = 16


def scale_channels(channels: int, width: float) -> int:
    """Channels times the width multiplier, to a multiple of 16 (AVX-512's block) and not below it."""
    return channels if width == 1 else max(1, int(channels * width / CHANNEL_BLOCK + 0.5)) * CHANNEL_BLOCK


class InceptionTrunk(HybridBlock):
    """Inception-v3 up to its last mixed block.

    From (N, 3, 300, 300) to maps of 36x36, 18x18 and 9x9 cells with 288, 768 and 2048 channels (times
    ``width``): the outputs of mixed_5d, mixed_6e and mixed_7c.

    Parameters
    ----------
    width : float
        Multiplier of every channel number.
    same_padding : bool
        Pad the 192-filter convolution and both reductions by 1. Stock Inception-v3 does not, and gives 35, 17
        and 8 cells (and from 299 pixels the shapes that its classifier knows). No weight's shape depends on
        it.
    count_include_pad : bool
        Whether average pooling counts its padding, as Gluon's and torchvision's Inception-v3 do and Keras'
        does not.
    """

    def __init__(
        self, width: float = 1.0, same_padding: bool = True, count_include_pad: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._width = width
        self._paddings = {SAME: None, VALID: 0, REDUCTION: 1 if same_padding else 0}
        self.count_include_pad = count_include_pad
        with self.name_scope():
            self.stem = nn.HybridSequential(prefix='')
            for name, step in STEM:
                pool = step == MAX_POOL
                self.stem.add(nn.MaxPool2D(3, 2, prefix=name + '_') if pool else self._unit(name, step))
            for number, blocks in enumerate(STAGES):
                stage = nn.HybridSequential(prefix='')
                for name, branches in blocks:
                    stage.add(self._block(name, branches))
                setattr(self, f'stage{number}', stage)

    def _unit(self, name: str, unit: Unit) -> HybridBlock:
        channels = scale_channels(unit.channels, self._width)
        return conv_unit(name, channels, unit.kernel, unit.stride, self._paddings[unit.padding])

    def _step(self, name: str, step: Step) -> HybridBlock:
        if step == AVERAGE_POOL:
            return nn.AvgPool2D(3, 1, 1, count_include_pad=self.count_include_pad, prefix='pool_')
        if step == MAX_POOL:
            return nn.MaxPool2D(3, 2, self._paddings[REDUCTION], prefix='pool_')
        if isinstance(step, Unit):
            return self._unit(name, step)
        split = HybridConcurrent(axis=1, prefix='')
        for letter, unit in zip('ab', step):
            split.add(self._unit(name + letter, unit))
        return split

    def _block(self, name: str, branches: Sequence[Branch]) -> HybridBlock:
        block = HybridConcurrent(axis=1, prefix=name + '_')
        with block.name_scope():
            for branch_name, *steps in branches:
                branch = nn.HybridSequential(prefix=branch_name + '_')
                with branch.name_scope():
                    for number, step in enumerate(steps):
                        branch.add(self._step(str(number), step))
                block.add(branch)
        return block

    def hybrid_forward(self, F: ModuleType, data: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        """Scaled pixels (N, 3, H, W) to the three maps."""
        fine = self.stage0(self.stem(data))
        middle = self.stage1(fine)
        return fine, middle, self.stage2(middle)
