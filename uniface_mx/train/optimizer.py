"""SGD and AdamW with their states in the open, so that a checkpoint can hold them without pickle."""

from __future__ import annotations

import math
from fnmatch import fnmatch
from typing import Dict, List, NamedTuple, Sequence, Tuple, Union

import mxnet as mx
from mxnet.gluon.parameter import Constant, Parameter

from uniface_mx.errors import suggestion
from uniface_mx.train import TrainError

TRUNK = '*trunk_*'
# The last layer's inputs are a thousand, and all positive: at the full rate any step of its weights would move
# an embedding further than two people differ.
EMBEDDING, EMBEDDING_RATE = 'recognition_embedding_weight', 0.1


class Learned(NamedTuple):
    """A parameter that learns: factor on the learning rate, and weight decay."""

    parameter: Parameter
    rate: float
    decay: float


def choose(
    parameters: Dict[str, Parameter], weight_decay: float, trunk_rate: float = 1.0, frozen: Sequence[str] = ()
) -> List[Learned]:
    """What learns, and how; everything else is given `grad_req='null'`.

    The last layer's weights have a tenth of the rate. Decay is for weights alone: biases, and scale and shift
    of batch norms, are spared.

    Parameters
    ----------
    parameters : mapping
        `net.collect_params()`.
    weight_decay : float
    trunk_rate : float
        Factor on the learning rate of the trunk's parameters.
    frozen : sequence of str
        Patterns of names that do not learn (``trunk_conv_*``).

    Raises
    ------
    TrainError
        A pattern fits no parameter, or nothing is left to learn.
    """
    for pattern in frozen:
        if not any(fnmatch(name, pattern) for name in parameters):
            raise TrainError(
                f'optimizer.frozen: {pattern!r} fits no parameter{suggestion(pattern, parameters)}'
            )
    chosen = []
    rates = {TRUNK: trunk_rate, EMBEDDING: EMBEDDING_RATE}
    for name, parameter in parameters.items():
        if any(fnmatch(name, pattern) for pattern in frozen):
            parameter.grad_req = 'null'
        if isinstance(parameter, Constant) or parameter.grad_req == 'null':
            continue
        rate = next((rate for pattern, rate in rates.items() if fnmatch(name, pattern)), 1.0)
        chosen.append(Learned(parameter, rate, weight_decay if name.endswith('_weight') else 0.0))
    if not chosen:
        raise TrainError('optimizer.frozen: nothing is left to learn')
    return chosen


# A weight, its gradient and its states, on one device.
Arrays = Tuple[mx.nd.NDArray, ...]


class SGD:
    """Stochastic gradient descent with momentum."""

    slots = ('momentum',)

    def __init__(self, momentum: float = 0.9) -> None:
        self._momentum = momentum

    def update(self, arrays: Arrays, rate: float, decay: float, scale: float, step: int) -> None:
        """One weight's step; the gradient counts `scale` times."""
        given = {'lr': rate, 'wd': decay, 'momentum': self._momentum, 'rescale_grad': scale}
        mx.nd.sgd_mom_update(*arrays, out=arrays[0], **given)


class AdamW:
    """Adam with decoupled weight decay."""

    slots = ('mean', 'variance')

    def __init__(self, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8) -> None:
        self._beta1, self._beta2, self._epsilon = beta1, beta2, epsilon
        # The operator wants an array, and making one for each weight took a tenth of a small model's step.
        self._scale: float = 0.0
        self._scales: Dict[mx.Context, mx.nd.NDArray] = {}

    def update(self, arrays: Arrays, rate: float, decay: float, scale: float, step: int) -> None:
        """One weight's step, the `step`-th from 1."""
        device = arrays[0].ctx
        if scale != self._scale:
            self._scale, self._scales = scale, {}
        if device not in self._scales:
            self._scales[device] = mx.nd.full((1,), scale, ctx=device)
        correction = math.sqrt(1 - self._beta2**step) / (1 - self._beta1**step)
        # The operator's lr is without the decay, its eta multiplies both.
        given = {'lr': correction, 'eta': rate, 'wd': decay, 'epsilon': self._epsilon}
        given.update(beta1=self._beta1, beta2=self._beta2)
        mx.nd.contrib.adamw_update(*arrays, self._scales[device], out=arrays[0], **given)


class Optimizer:
    """A rule, what it is applied to, and its states, on every device.

    Parameters
    ----------
    learned : sequence of Learned
        Initialized.
    rule : SGD or AdamW
    """

    def __init__(self, learned: Sequence[Learned], rule: Union[SGD, AdamW]) -> None:
        self.learned, self.rule = list(learned), rule
        self.steps = 0
        self._slots = {
            one.parameter.name: [
                tuple(mx.nd.zeros_like(data) for _ in rule.slots) for data in one.parameter.list_data()
            ]
            for one in self.learned
        }

    def update(self, rate: float, scale: float = 1.0) -> None:
        """Apply the gradients, each `scale` times."""
        self.steps += 1
        for one, factor, decay in self.learned:
            for weight, gradient, slots in zip(one.list_data(), one.list_grad(), self._slots[one.name]):
                self.rule.update((weight, gradient, *slots), rate * factor, decay, scale, self.steps)

    def arrays(self) -> Dict[str, mx.nd.NDArray]:
        """The states under ``SLOT:PARAMETER``; devices have equal ones."""
        return {
            f'{slot}:{name}': array
            for name, devices in self._slots.items()
            for slot, array in zip(self.rule.slots, devices[0])
        }

    def restore(self, arrays: Dict[str, mx.nd.NDArray], steps: int) -> None:
        """Go on from states; parameters that they do not name, because they used to be frozen, begin at 0.

        Raises
        ------
        TrainError
            The states are another rule's.
        """
        known = {name.split(':')[0] for name in arrays}
        if known and not known & set(self.rule.slots):
            raise TrainError(
                f'the checkpoint has the states of another optimizer ({", ".join(sorted(known))}): '
                'begin a new run with --init'
            )
        self.steps = steps
        for name, devices in self._slots.items():
            for slots in devices:
                for slot, array in zip(self.rule.slots, slots):
                    if f'{slot}:{name}' in arrays:
                        arrays[f'{slot}:{name}'].copyto(array)
