"""The network's parts as HybridBlocks: explicit arguments and prefixes, no files, no configuration."""

from typing import Union

import mxnet as mx

# What a block takes and gives: arrays, or the symbols of a graph.
Tensor = Union[mx.nd.NDArray, mx.sym.Symbol]
