"""The losses of section III.E, as sums; who knows the counts of the whole step divides (:func:`weighted`).

Sums and counts of micro-batches (of devices, workers, accumulation) add up to those of the whole, because
hard negatives are chosen image by image. Everything is computed in float32, whatever the outputs are in.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple, Tuple

import numpy as np
from mxnet.gluon import HybridBlock

from uniface_mx.nn import Tensor


class Terms(NamedTuple):
    """One value a loss: sums (NDArrays or Symbols; None where not computed), counts, or weights."""

    classification: Any
    box: Any
    landmarks: Any
    mimic: Any
    contrast: Any

    def numbers(self) -> np.ndarray:
        """The sums (5,) on the CPU, 0 for those not computed."""
        return np.array([0.0 if value is None else value.asscalar() for value in self])


def count_terms(classes: np.ndarray, mask: np.ndarray, faceless: int = 4) -> Terms:
    """What the sums of a batch are to be divided by, known from its targets alone.

    Parameters
    ----------
    classes : (N, M) array
        ``Targets.classes``.
    mask : (R,) array
        ``Rois.mask``.
    faceless : int
        As in :class:`DetectionLoss`.

    Returns
    -------
    Terms of float
        Matched anchors for the detection terms (classification also counts the images without a face), faces
        with a teacher embedding for the recognition terms.
    """
    matched = (np.asarray(classes) == 1).sum(axis=1)
    anchors, faces = float(matched.sum()), float(np.sum(mask))
    return Terms(anchors + faceless * float((matched == 0).sum()), anchors, anchors, faces, faces)


def weighted(sums: Terms, counts: Terms, weights: Terms) -> Terms:
    """The terms of Equation (2): each sum divided by its count of the whole step, times its lambda.

    Parameters
    ----------
    sums : Terms
        Of any part of the step; None stays None.
    counts : Terms
        Of the whole step: of all devices, workers and micro-batches. A count below 1 divides by 1.
    weights : Terms
        The lambdas; ``mimic`` has weight 1 in the paper, ``contrast`` 0.
    """
    return Terms(
        *(
            value if value is None else value * (weight / max(count, 1.0))
            for value, count, weight in zip(sums, counts, weights)
        )
    )


def total(sums: Terms, counts: Terms, weights: Terms) -> Any:
    """Equation (2): the sum of the terms that are computed and have a weight (see :func:`weighted`).

    Returns
    -------
    Same type as the sums, shape (1,), or 0.0 where nothing is left
        Its gradient, summed over the micro-batches of the step, is the step's gradient.
    """
    terms = zip(weighted(sums, counts, weights), weights)
    return sum((term for term, weight in terms if term is not None and weight != 0), 0.0)


class DetectionLoss(HybridBlock):
    """Sums of classification, box and landmark loss over a batch (section III.E.1).

    Classification is the softmax cross-entropy of the matched anchors and, image by image, of the background
    anchors with the highest face confidence: three for each matched anchor. Boxes and landmarks are smooth-l1
    on encoded offsets.

    Parameters
    ----------
    negative_ratio : float
        Background anchors for each matched anchor of an image.
    faceless : int
        Matched anchors that an image without any counts as, so that it teaches its hardest
        ``negative_ratio * faceless`` background anchors, with the weight of an ordinary image.
    """

    def __init__(self, negative_ratio: float = 3, faceless: int = 4) -> None:
        super().__init__()
        self.negative_ratio, self.faceless = negative_ratio, faceless

    def hybrid_forward(
        self,
        F: ModuleType,
        logits: Tensor,
        boxes: Tensor,
        landmarks: Tensor,
        classes: Tensor,
        box_targets: Tensor,
        landmark_targets: Tensor,
        landmark_mask: Tensor,
    ) -> Tuple[Tensor, Tensor, Tensor]:
        """Sums (1,) float32 of the classification, box and landmark loss.

        Parameters
        ----------
        logits : (N, M, 2), background and face; boxes : (N, M, 4); landmarks : (N, M, 10)
            The network's raw outputs.
        classes, box_targets, landmark_targets, landmark_mask
            The fields of :class:`uniface_mx.train.targets.Targets`.
        """
        positive, negative = classes == 1, classes == 0
        margin = F.cast(logits, dtype='float32')
        margin = F.slice_axis(margin, axis=2, begin=1, end=2) - F.slice_axis(margin, axis=2, begin=0, end=1)
        margin = F.reshape(margin, shape=(0, -1))
        # The cross-entropy of two logits; for background it rises with the face confidence, so its largest
        # values are the hardest negatives, and however many are equal, no more than the quota counts.
        hardest = F.sort(F.Activation(margin, act_type='softrelu') * negative, axis=1, is_ascend=False)
        matched = F.sum(positive, axis=1, keepdims=True)
        quota = self.negative_ratio * F.where(matched > 0, matched, F.ones_like(matched) * self.faceless)
        rank = F.contrib.arange_like(F.slice_axis(hardest, axis=0, begin=0, end=1))
        taught = F.broadcast_lesser(rank, quota)
        missed = F.Activation(-margin, act_type='softrelu') * positive
        return (
            F.sum(missed) + F.sum(hardest * taught),
            _smooth_l1(F, boxes, box_targets, positive),
            _smooth_l1(F, landmarks, landmark_targets, landmark_mask),
        )


def _smooth_l1(F: ModuleType, values: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    deviation = F.smooth_l1(F.cast(values, dtype='float32') - targets, scalar=1.0)
    return F.sum(F.sum(deviation, axis=2) * mask)


class MimicLoss(HybridBlock):
    """Sum over the faces of the squared distance to the teacher's embedding (section III.E.2, Eq. (3))."""

    def hybrid_forward(self, F: ModuleType, embeddings: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
        """The sum (1,) float32.

        Parameters
        ----------
        embeddings, teacher : (R, D)
            The network's and the teacher's raw embeddings.
        mask : (R,)
            1 for faces, 0 for padding.
        """
        return F.sum(F.sum(F.square(F.cast(embeddings, dtype='float32') - teacher), axis=1) * mask)


class ContrastLoss(HybridBlock):
    """Sum over the faces of a cross-entropy that picks the face's own teacher embedding among others.

    An extension, not in the paper; like Eq. (3) it needs no identities. Embeddings are compared by their
    cosine after the mean embedding is taken off. Others that are near the face's own teacher embedding, maybe
    the same person, are left out.

    Parameters
    ----------
    temperature : float
        Divides the cosines; 0.03 or more, for float32's sake.
    nearest : float
        Others whose cosine to the own teacher embedding is above it are left out.
    """

    def __init__(self, temperature: float = 0.1, nearest: float = 0.5) -> None:
        super().__init__()
        self.temperature, self.nearest = temperature, nearest

    def hybrid_forward(
        self, F: ModuleType, embeddings: Tensor, teacher: Tensor, mask: Tensor, bank: Tensor, mean: Tensor
    ) -> Tensor:
        """The sum (1,) float32.

        Parameters
        ----------
        embeddings, teacher : (R, D); mask : (R,)
            As in :class:`MimicLoss`.
        bank : (B, D)
            Raw teacher embeddings of the training set; the faces' own may be among them.
        mean : (D,)
            Mean teacher embedding of the training set.
        """
        own = _centred_unit(F, F.cast(embeddings, dtype='float32'), mean)
        teacher = F.BlockGrad(_centred_unit(F, teacher, mean))
        bank = F.BlockGrad(_centred_unit(F, bank, mean))
        right = F.sum(own * teacher, axis=1)
        kept = F.dot(teacher, bank, transpose_b=True) <= self.nearest
        # Odds of the others against the own, of the cosine 1 in between: a softmax over a concatenation costs
        # five times more.
        others = F.exp((F.dot(own, bank, transpose_b=True) - 1) / self.temperature) * kept
        odds = F.sum(others, axis=1) * F.exp((1 - right) / self.temperature)
        return F.sum(F.log1p(odds) * mask)


def _centred_unit(F: ModuleType, vectors: Tensor, mean: Tensor) -> Tensor:
    # The epsilon bounds the gradient where a fresh network's embedding is the mean itself.
    return F.L2Normalization(F.broadcast_sub(vectors, F.reshape(mean, shape=(1, -1))), eps=1e-6)
