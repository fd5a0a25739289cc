"""A moving average of the weights: what a run validates and exports; its steps go on from the weights."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Dict, Iterator, Mapping

import mxnet as mx
from mxnet.gluon import Parameter

from uniface_mx.models.files import stock_name


class Average:
    """An exponential moving average of everything in a network that training changes.

    It forgets little of a weight's past after about ``1 / (1 - decay)`` iterations; in the first ones it
    follows faster, so that it holds nothing of the weights that the run began with for longer than it must.

    Parameters
    ----------
    parameters : mapping
        `net.collect_params()`, initialized. Those that are frozen take part: they do not change.
    decay : float
        In 0..1; 0 is the weights as they are.
    """

    def __init__(self, parameters: Mapping[str, Parameter], decay: float) -> None:
        self.decay = decay
        self._parameters = list(parameters.values())
        self._arrays = {one.name: one.list_data()[0].copy() for one in self._parameters}

    def update(self, iteration: int) -> None:
        """Take the weights after so many iterations into the average."""
        share = 1 - min(self.decay, iteration / (iteration + 9))
        for parameter in self._parameters:
            array = self._arrays[parameter.name]
            array += share * (parameter.list_data()[0] - array)

    def arrays(self) -> Dict[str, mx.nd.NDArray]:
        """The average under MXNet's stock names, as `named_arrays` has weights."""
        return {stock_name(name): array for name, array in self._arrays.items()}

    def restore(self, arrays: Mapping[str, mx.nd.NDArray]) -> None:
        """Go on from an average's `arrays`; without any it begins at the weights as they are."""
        for parameter in self._parameters:
            stored = arrays.get(stock_name(parameter.name))
            (parameter.list_data()[0] if stored is None else stored).copyto(self._arrays[parameter.name])

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the network have the average, on every device, within a `with` block."""
        weights = {one.name: one.list_data()[0].copy() for one in self._parameters}
        self._give(self._arrays)
        try:
            yield
        finally:
            self._give(weights)

    def _give(self, arrays: Mapping[str, mx.nd.NDArray]) -> None:
        for parameter in self._parameters:
            parameter.set_data(arrays[parameter.name])
