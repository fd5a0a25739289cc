"""One step of training: from a batch to updated weights (section III.E)."""

from __future__ import annotations

import math
from typing import List, NamedTuple, Optional

import mxnet as mx
import numpy as np
from mxnet import autograd
from mxnet.gluon import HybridBlock

from uniface_mx.data.iterators import network_input
from uniface_mx.data.loader import Batch
from uniface_mx.train.group import Group
from uniface_mx.train.losses import ContrastLoss, DetectionLoss, MimicLoss, Terms, count_terms, total
from uniface_mx.train.optimizer import Optimizer
from uniface_mx.train.targets import (
    Predictions,
    Rois,
    Targets,
    assign_targets,
    decode_predictions,
    select_rois,
)


class Graphs(NamedTuple):
    """What training runs: image to raw outputs and F_r, and F_r and faces to raw embeddings (see
    `models.Uniface`).
    """

    network: HybridBlock
    recognition: HybridBlock


class Bank(NamedTuple):
    """Other faces' teacher embeddings (B, 128) for the contrast, and the mean teacher embedding (128,)."""

    embeddings: np.ndarray
    mean: np.ndarray


class Rules(NamedTuple):
    """What is taught, and how much of it: the numbers of the configuration's section `losses`."""

    weights: Terms
    match_threshold: float = 0.5
    ignore_threshold: float = 0.3
    negative_ratio: float = 3.0
    faceless: int = 4
    roi_threshold: float = 0.5
    roi_bucket: int = 8
    contrast_temperature: float = 0.1
    contrast_nearest: float = 0.5

    @property
    def recognition(self) -> bool:
        """Whether embeddings are taught at all."""
        return self.weights.mimic > 0 or self.weights.contrast > 0


class Part(NamedTuple):
    """A device's share of a batch."""

    data: mx.nd.NDArray
    label: np.ndarray
    targets: Targets


class Outcome(NamedTuple):
    """What a step gave: each term divided by its count and weighted, the loss, the gradient's norm before
    clipping, the counts of the whole step, whether the weights were updated, and whether that waits for a
    smaller loss scale alone.
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


class Criteria:
    """The losses as one function of a part's outputs; training and validation share it.

    Parameters
    ----------
    rules : Rules
    anchors : (M, 4) array
    devices : sequence of mxnet.Context
    bank : Bank, optional
        Needed where the contrast has a weight.
    """

    def __init__(self, rules: Rules, anchors: np.ndarray, devices, bank: Optional[Bank] = None):
        self.rules, self.anchors = rules, anchors
        self._detection = DetectionLoss(rules.negative_ratio, rules.faceless)
        self._mimic = MimicLoss()
        self._contrast = ContrastLoss(rules.contrast_temperature, rules.contrast_nearest)
        for loss in (self._detection, self._mimic, self._contrast):
            loss.hybridize()
        self._banks = (
            {}
            if bank is None
            else {device: [mx.nd.array(array, ctx=device) for array in bank] for device in devices}
        )

    def targets(self, label: np.ndarray) -> Targets:
        """Targets of label rows (N, G, 146) on the anchors."""
        return assign_targets(label, self.anchors, self.rules.match_threshold, self.rules.ignore_threshold)

    def rois(self, label: np.ndarray, predictions: Optional[Predictions] = None) -> Rois:
        """The faces whose embeddings are taught."""
        return select_rois(label, predictions, self.rules.roi_bucket, self.rules.roi_threshold)

    def predictions(self, outputs) -> Predictions:
        """The network's raw outputs, decoded."""
        return decode_predictions(*(array.asnumpy() for array in outputs[:3]), self.anchors)

    def counts(self, targets: Targets, mask: np.ndarray) -> Terms:
        """What the sums are to be divided by."""
        return count_terms(targets.classes, mask, self.rules.faceless)

    def sums(self, outputs, targets: Targets, embeddings, rois: Rois) -> Terms:
        """The terms of a part, summed over its anchors and faces, where its outputs are; embeddings may be
        None.
        """
        device = outputs[0].ctx
        terms = self._detection(*outputs[:3], *(mx.nd.array(array, ctx=device) for array in targets))
        mimic = contrast = None
        if embeddings is not None:
            teacher, mask = (mx.nd.array(array, ctx=device) for array in (rois.embeddings, rois.mask))
            mimic = self._mimic(embeddings, teacher, mask)
            if self.rules.weights.contrast > 0:
                contrast = self._contrast(embeddings, teacher, mask, *self._banks[device])
        return Terms(*terms, mimic, contrast)

    def values(self, sums: Terms, counts: Terms) -> Terms:
        """The terms of Eq. (2) from sums and counts of a whole step."""
        return Terms(
            *(
                weight * value / max(count, 1.0)
                for value, count, weight in zip(sums, counts, self.rules.weights)
            )
        )


class LossScale:
    """The factor that keeps float16 gradients from vanishing: halved when they overflow, doubled after
    `window` good steps. Disabled, it is 1.
    """

    def __init__(self, enabled: bool, window: int = 2000):
        self.enabled, self.window = enabled, window
        self.value, self.good = (2.0**15 if enabled else 1.0), 0

    def update(self, finite: bool) -> bool:
        """Take note of whether a step's gradients were finite; whether that halved the scale, which may help.
        At 1 it stays.
        """
        if not self.enabled:
            return False
        self.good = self.good + 1 if finite else 0
        if self.good == self.window:
            self.value, self.good = self.value * 2, 0
        if finite or self.value == 1:
            return False
        self.value /= 2
        return True


class Step:
    """A training step, over all devices, workers and accumulated parts.

    Parameters
    ----------
    graphs : Graphs
    criteria : Criteria
    optimizer : Optimizer
    group : Group
    accumulate : int
        Parts that each device computes one after the other.
    clip : float, optional
        Largest norm of the whole gradient.
    scale : LossScale, optional
    """

    def __init__(
        self,
        graphs: Graphs,
        criteria: Criteria,
        optimizer: Optimizer,
        group: Group,
        accumulate: int = 1,
        clip: Optional[float] = None,
        scale: Optional[LossScale] = None,
    ):
        self.graphs, self.criteria, self.optimizer, self.group = graphs, criteria, optimizer, group
        self.accumulate, self.clip, self.scale = accumulate, clip, scale or LossScale(False)
        for parameter, _, _ in optimizer.learned:
            parameter.grad_req = 'add' if accumulate > 1 else 'write'

    def __call__(self, batch: Batch, rate: float, predicted: bool) -> Outcome:
        """Learn from a batch.

        Parameters
        ----------
        batch : Batch
            Of a size that devices times accumulated parts divide.
        rate : float
            Learning rate.
        predicted : bool
            Whether the ROIs are the network's own detections, or the ground truth.

        Returns
        -------
        Outcome
            Without an update where the loss or the gradient is not finite: then no weight has changed.
        """
        rounds = self._rounds(batch)
        counts = self._counts(rounds)
        if self.accumulate > 1:
            for parameter, _, _ in self.optimizer.learned:
                parameter.zero_grad()
        sums = np.zeros(len(Terms._fields))
        for parts in rounds:
            with autograd.record():
                outputs = [self.graphs.network(part.data) for part in parts]
            rois = [
                self.criteria.rois(part.label, self.criteria.predictions(output) if predicted else None)
                for part, output in zip(parts, outputs)
            ]
            with autograd.record():
                terms = [self._terms(*inputs) for inputs in zip(parts, outputs, rois)]
                losses = [
                    total(term, counts, self.criteria.rules.weights) * self.scale.value for term in terms
                ]
            sums += np.sum(
                [[0.0 if value is None else value.asscalar() for value in term] for term in terms], axis=0
            )
            # Batch norms' statistics, too, are written on the way back: what is not finite must not get
            # there.
            if np.isfinite(sums).all():
                autograd.backward(losses)
        values = self.criteria.values(Terms(*self.group.total('terms', sums)), counts)
        loss = float(sum(values))
        if not math.isfinite(loss):
            return Outcome(values, loss, math.nan, counts, False)
        norm = self._gather() / self.scale.value
        finite = math.isfinite(norm)
        if finite:
            shrink = min(1.0, self.clip / (norm + 1e-12)) if self.clip else 1.0
            self.optimizer.update(rate, shrink / self.scale.value)
        return Outcome(values, loss, norm, counts, finite, self.scale.update(finite))

    def _rounds(self, batch: Batch) -> List[List[Part]]:
        """The batch in equal parts, one a device, round after round."""
        devices, size = self.group.devices, len(batch.data) // (len(self.group.devices) * self.accumulate)
        parts = []
        for number in range(len(devices) * self.accumulate):
            share = slice(number * size, (number + 1) * size)
            label = batch.label[share]
            data = network_input(batch.data[share], devices[number % len(devices)])
            parts.append(Part(data, label, self.criteria.targets(label)))
        return [parts[first : first + len(devices)] for first in range(0, len(parts), len(devices))]

    def _counts(self, rounds: List[List[Part]]) -> Terms:
        counts = [
            self.criteria.counts(part.targets, self.criteria.rois(part.label).mask)
            for parts in rounds
            for part in parts
        ]
        return Terms(*self.group.total('counts', np.sum(counts, axis=0)))

    def _terms(self, part: Part, outputs, rois: Rois) -> Terms:
        embeddings = None
        if self.criteria.rules.recognition:
            embeddings = self.graphs.recognition(outputs[3], mx.nd.array(rois.faces, ctx=part.data.ctx))
        return self.criteria.sums(outputs, part.targets, embeddings, rois)

    def _gather(self) -> float:
        """Sum the gradients over devices and workers; their norm."""
        for parameter, _, _ in self.optimizer.learned:
            self.group.sum(parameter.name, parameter.list_grad())
        gradients = [parameter.list_grad()[0] for parameter, _, _ in self.optimizer.learned]
        return math.sqrt(mx.nd.multi_sum_sq(*gradients, num_arrays=len(gradients)).sum().asscalar())
