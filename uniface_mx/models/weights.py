"""A network's weights under MXNet's stock names: out of it, into it from a file, and random ones for trials."""

from __future__ import annotations

from typing import Sequence, Union

import mxnet as mx
import numpy as np
from mxnet.gluon import HybridBlock
from mxnet.gluon.parameter import Constant

from uniface_mx.errors import UnifaceError
from uniface_mx.models.files import Arrays, PathLike, load_arrays

# Offsets of order one would move the largest anchors by 30 pixels, and rounding errors with them.
HEAD_SCALE = 0.05
STATISTICS = ('running_mean', 'running_var')


def stock_name(name: str) -> str:
    """A parameter's name in MXNet's files: ``arg:`` for arguments, ``aux:`` for running statistics."""
    return ('aux:' if name.endswith(STATISTICS) else 'arg:') + name


def named_arrays(net: HybridBlock) -> Arrays:
    """Parameters under MXNet's stock names: ``arg:`` for arguments, ``aux:`` for running statistics."""
    return {
        stock_name(name): parameter.data(parameter.list_ctx()[0])
        for name, parameter in net.collect_params().items()
    }


def load_weights(
    net: HybridBlock, path: PathLike, ctx: Union[None, mx.Context, Sequence[mx.Context]] = None
) -> None:
    """Fill an uninitialized or initialized block from a file of a run, the exporter or Gluon.

    Raises
    ------
    UnifaceError
        The file is damaged or was made for another model: a weight is missing, left over, of another shape,
        or the anchors differ.
    """
    arrays = load_arrays(path)
    net.infer_shape(mx.nd.zeros((1, 3, net.size, net.size)))
    parameters = net.collect_params()
    if any(name.startswith(('arg:', 'aux:')) for name in arrays):
        arrays = {name.split(':', 1)[1]: array for name, array in arrays.items()}
    else:
        structural = net._collect_params_with_prefix()
        arrays = {
            structural[name].name if name in structural else name: array for name, array in arrays.items()
        }
    missing, left = sorted(set(parameters) - set(arrays)), sorted(set(arrays) - set(parameters))
    if missing or left:
        lacking, more = (f'({", ".join(names[:3]) or "-"})' for names in (missing, left))
        raise UnifaceError(
            f'{path}: made for another model: {len(missing)} weights missing {lacking}, {len(left)} left over {more}'
        )
    for name, parameter in parameters.items():
        value = arrays[name]
        if isinstance(parameter, Constant):
            expected = np.asarray(parameter.value.asnumpy())
            if expected.shape != value.shape or np.abs(expected - value.asnumpy()).max() > 1e-4:
                raise UnifaceError(f'{path}: made for other {name} than the model has')
        elif parameter.shape != value.shape:
            raise UnifaceError(f'{path}: {name} has shape {value.shape}, the model wants {parameter.shape}')
    for name, parameter in parameters.items():
        if isinstance(parameter, Constant):
            parameter.initialize(ctx=ctx, force_reinit=True)
        else:
            parameter._load_init(arrays[name].astype(parameter.dtype), ctx)


def randomize(net: HybridBlock, seed: int) -> None:
    """Random weights and batch-norm statistics, the same for a seed; activations are of order one.

    For trials of what does not depend on training: parity, speed, export. The statistics are those of noise,
    shaken.
    """
    net.infer_shape(mx.nd.zeros((1, 3, net.size, net.size)))
    mx.random.seed(seed)
    random = np.random.RandomState(seed)
    net.initialize(mx.init.MSRAPrelu(factor_type='in', slope=0), force_reinit=True)
    for head in net.network.heads.heads:
        head.weight.set_data(head.weight.data() * HEAD_SCALE)
    norms = _batch_norms(net)
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


def _batch_norms(block: HybridBlock) -> list:
    found = [block] if isinstance(block, mx.gluon.nn.BatchNorm) else []
    return found + [norm for child in block._children.values() for norm in _batch_norms(child)]
