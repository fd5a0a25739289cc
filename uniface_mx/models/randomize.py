"""Random weights, for trials of what does not depend on training: parity, speed, export."""

from __future__ import annotations

import mxnet as mx
import numpy as np
from mxnet.gluon import HybridBlock
from mxnet.gluon.nn import BatchNorm

# Offsets of order one would move the largest anchors by 30 pixels, and rounding errors with them.
HEAD_SCALE = 0.05


def randomize(net: HybridBlock, seed: int) -> None:
    """Random weights and batch-norm statistics, the same for a seed; activations are of order one.

    The statistics are those of noise, shaken.
    """
    net.infer_shape(mx.nd.zeros((1, 3, net.size, net.size)))
    mx.random.seed(seed)
    random = np.random.RandomState(seed)
    net.initialize(mx.init.MSRAPrelu(factor_type='in', slope=0), force_reinit=True)
    for head in net.network.heads.heads:
        head.weight.set_data(head.weight.data() * HEAD_SCALE)
    norms = []
    net.apply(lambda block: norms.append(block) if isinstance(block, BatchNorm) else None)
    momentum = norms[0]._kwargs['momentum']
    for norm in norms:
        norm.gamma.set_data(mx.nd.array(random.uniform(0.2, 0.4, norm.gamma.shape)))
        norm.beta.set_data(mx.nd.array(random.normal(1, 0.3, norm.beta.shape)))
        norm._kwargs['momentum'] = 0.0
    with mx.autograd.record():
        outputs = net.network(mx.nd.array(random.uniform(0, 255, (2, 3, net.size, net.size))))
    # MXNet writes running statistics on the way back.
    mx.autograd.backward(list(outputs))
    for norm in norms:
        norm._kwargs['momentum'] = momentum
        mean, variance = norm.running_mean, norm.running_var
        mean.set_data(mean.data() + mx.nd.array(random.normal(0, 0.1, mean.shape)) * variance.data().sqrt())
        variance.set_data(variance.data() * mx.nd.array(random.uniform(0.9, 1.3, variance.shape)))
