"""Lower precision for a graph, not for the process, and the loss scale that float16 needs."""

from __future__ import annotations

import warnings
from typing import Sequence

import mxnet as mx
from mxnet.contrib import amp
from mxnet.gluon import HybridBlock, SymbolBlock


def lowered(block: HybridBlock, inputs: Sequence[str], dtype: str) -> HybridBlock:
    """The same block, sharing its parameters, with MXNet's list of operators computed in `dtype`.

    Weights, their gradients and the outputs stay float32: casts stand in the graph. (`amp.init` would change
    the operators of the whole process, losses included, and cannot be undone.)

    Parameters
    ----------
    block : HybridBlock
        Initialized.
    inputs : sequence of str
        Names for its inputs.
    dtype : {'float32', 'float16', 'bfloat16'}
        float32 gives the block itself.
    """
    if dtype == 'float32':
        return block
    variables = [mx.sym.var(name) for name in inputs]
    outputs = block(*variables)
    outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    symbol = amp.convert_symbol(mx.sym.Group(outputs), dtype)
    with warnings.catch_warnings():
        # It looks for the types of inputs, which nobody has to declare.
        warnings.simplefilter('ignore', UserWarning)
        return SymbolBlock(
            [mx.sym.amp_cast(output, dtype='float32') for output in symbol],
            variables,
            params=block.collect_params(),
        )


class LossScale:
    """The factor that keeps float16 gradients from vanishing; disabled, it is 1.

    It is halved when they overflow, and doubled after `window` good steps.
    """

    def __init__(self, enabled: bool, window: int = 2000) -> None:
        self.enabled, self.window = enabled, window
        self.value, self.good = (2.0**15 if enabled else 1.0), 0

    def update(self, finite: bool) -> bool:
        """Note whether gradients were finite; whether that halved the scale, which may help. At 1 it stays."""
        if not self.enabled:
            return False
        self.good = self.good + 1 if finite else 0
        if self.good == self.window:
            self.value, self.good = self.value * 2, 0
        if finite or self.value == 1:
            return False
        self.value /= 2
        return True
