"""One step of training: from a batch to updated weights (section III.E)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import List, NamedTuple, Optional

import mxnet as mx
import numpy as np
from mxnet import autograd

from uniface_mx.data.loader import Batch, network_input
from uniface_mx.train.criteria import Criteria, Graphs
from uniface_mx.train.group import Group
from uniface_mx.train.losses import Terms, total, weighted
from uniface_mx.train.optimizer import Optimizer
from uniface_mx.train.precision import LossScale
from uniface_mx.train.targets import Rois, Targets


class MicroBatch(NamedTuple):
    """What a device computes at once of a batch."""

    data: mx.nd.NDArray
    label: np.ndarray
    targets: Targets


class StepResult(NamedTuple):
    """What a step gave.

    Attributes
    ----------
    terms : Terms
        Divided by their counts and weighted.
    loss : float
        Eq. (2).
    norm : float
        Of the gradient, before clipping.
    counts : Terms
        Of the whole step.
    updated : bool
        Whether the weights were.
    rescaled : bool
        Whether an update waits for a smaller loss scale alone.
    """

    terms: Terms
    loss: float
    norm: float
    counts: Terms
    updated: bool
    rescaled: bool = False

    @property
    def finite(self) -> bool:
        """Whether the loss is a number."""
        return math.isfinite(self.loss)


@dataclass
class Step:
    """A training step, over all devices, workers and micro-batches.

    Parameters
    ----------
    accumulate : int
        Micro-batches that each device computes one after the other.
    clip : float, optional
        Largest norm of the whole gradient.
    """

    graphs: Graphs
    criteria: Criteria
    optimizer: Optimizer
    group: Group
    scale: LossScale
    accumulate: int = 1
    clip: Optional[float] = None

    def __post_init__(self) -> None:
        for parameter, _, _ in self.optimizer.learned:
            parameter.grad_req = 'add' if self.accumulate > 1 else 'write'

    def __call__(self, batch: Batch, rate: float, predicted: bool) -> StepResult:
        """Learn from a batch; where the loss or the gradient is not finite, no weight changes.

        Parameters
        ----------
        batch : Batch
            Of a size that devices times accumulation divide.
        rate : float
            Learning rate.
        predicted : bool
            Whether the ROIs are the network's own detections, or the ground truth.
        """
        rounds = self._rounds(batch)
        counts = self._counts(rounds)
        sums = self._forward_backward(rounds, counts, predicted)
        terms = weighted(Terms(*self.group.total('terms', sums)), counts, self.criteria.weights)
        loss = float(sum(terms))
        if not math.isfinite(loss):
            return StepResult(terms, loss, math.nan, counts, False)
        norm = self._gather() / self.scale.value
        finite = math.isfinite(norm)
        if finite:
            shrink = min(1.0, self.clip / (norm + 1e-12)) if self.clip else 1.0
            self.optimizer.update(rate, shrink / self.scale.value)
        return StepResult(terms, loss, norm, counts, finite, self.scale.update(finite))

    def _rounds(self, batch: Batch) -> List[List[MicroBatch]]:
        """The batch in equal micro-batches, one a device, round after round."""
        devices = self.group.devices
        size = len(batch.data) // (len(devices) * self.accumulate)

        def micro_batch(number: int) -> MicroBatch:
            share = slice(number * size, (number + 1) * size)
            data = network_input(batch.data[share], devices[number % len(devices)])
            return MicroBatch(data, batch.label[share], self.criteria.targets(batch.label[share]))

        every = [micro_batch(number) for number in range(len(devices) * self.accumulate)]
        return [every[first : first + len(devices)] for first in range(0, len(every), len(devices))]

    def _counts(self, rounds: List[List[MicroBatch]]) -> Terms:
        counts = [
            self.criteria.counts(one.targets, self.criteria.rois(one.label).mask)
            for micro_batches in rounds
            for one in micro_batches
        ]
        return Terms(*self.group.total('counts', np.sum(counts, axis=0)))

    def _forward_backward(self, rounds: List[List[MicroBatch]], counts: Terms, predicted: bool) -> np.ndarray:
        """Leave gradients in the parameters, as long as all sums are finite; the sums (5,) of this worker."""
        if self.accumulate > 1:
            for parameter, _, _ in self.optimizer.learned:
                parameter.zero_grad()
        sums = np.zeros(len(Terms._fields))
        for micro_batches in rounds:
            with autograd.record():
                outputs = [self.graphs.network(one.data) for one in micro_batches]
            rois = [
                self.criteria.rois(one.label, output if predicted else None)
                for one, output in zip(micro_batches, outputs)
            ]
            with autograd.record():
                terms = [self._sums(*inputs) for inputs in zip(micro_batches, outputs, rois)]
                losses = [total(term, counts, self.criteria.weights) * self.scale.value for term in terms]
            sums += np.sum([term.numbers() for term in terms], axis=0)
            # Batch norms' statistics, too, are written on the way back: what is not finite must not get there.
            if np.isfinite(sums).all():
                autograd.backward(losses)
        return sums

    def _sums(self, micro_batch: MicroBatch, outputs: List[mx.nd.NDArray], rois: Rois) -> Terms:
        embeddings = self.graphs.embed(outputs[3], rois) if self.criteria.recognition else None
        return self.criteria.sums(outputs, micro_batch.targets, embeddings, rois)

    def _gather(self) -> float:
        """Sum the gradients over devices and workers; their norm."""
        for parameter, _, _ in self.optimizer.learned:
            self.group.sum(parameter.name, parameter.list_grad())
        gradients = [parameter.list_grad()[0] for parameter, _, _ in self.optimizer.learned]
        return math.sqrt(mx.nd.multi_sum_sq(*gradients, num_arrays=len(gradients)).sum().asscalar())
