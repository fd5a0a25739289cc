"""The losses of section III.E, as sums; whoever knows the counts of the whole step divides (:func:`total`).

Sums and counts of parts (devices, workers, accumulated micro-batches) add up to those of the whole, because
hard negatives are chosen image by image. Everything is computed in float32, whatever the network's outputs
are in.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from mxnet.gluon import HybridBlock


class Terms(NamedTuple):
    """One value a loss: sums (NDArrays or Symbols; None where not computed), counts, or weights."""

    classification: Any
    box: Any
    landmarks: Any
    mimic: Any
    contrast: Any


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


def total(sums: Terms, counts: Terms, weights: Terms) -> Any:
    """Equation (2): the weighted sum of the terms, each divided by its count of the whole step.

    Parameters
    ----------
    sums : Terms
        Of this part of the step. A term that is None or has weight 0 is left out.
    counts : Terms
        Of the whole step: of all devices, workers and accumulated parts. A count below 1 divides by 1.
    weights : Terms
        The lambdas of Eq. (2); ``mimic`` has weight 1 in the paper, ``contrast`` 0.

    Returns
    -------
    Same type as the sums, shape (1,), or 0.0 where nothing is left
        Its gradient, summed over the parts of the step, is the step's gradient.
    """
    return sum(
        (
            value * (weight / max(count, 1.0))
            for value, count, weight in zip(sums, counts, weights)
            if value is not None and weight != 0
        ),
        0.0,
    )


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

    Inputs
    ------
    logits : (N, M, 2), background and face; boxes : (N, M, 4); landmarks : (N, M, 10)
        The network's raw outputs.
    classes, box_targets, landmark_targets, landmark_mask
        The fields of :class:`uniface_mx.train.targets.Targets`.

    Outputs
    -------
    classification, box, landmarks : (1,) float32 each
    """

    def __init__(self, negative_ratio: float = 3, faceless: int = 4, **kwargs):
        super().__init__(**kwargs)
        self.negative_ratio = negative_ratio
        self.faceless = faceless

    def hybrid_forward(
        self, F, logits, boxes, landmarks, classes, box_targets, landmark_targets, landmark_mask
    ):
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


def _smooth_l1(F, values, targets, mask):
    deviation = F.smooth_l1(F.cast(values, dtype='float32') - targets, scalar=1.0)
    return F.sum(F.sum(deviation, axis=2) * mask)


class MimicLoss(HybridBlock):
    """Sum over the faces of the squared distance to the teacher's embedding (section III.E.2, Eq. (3)).

    Inputs
    ------
    embeddings, teacher : (R, D)
        The network's and the teacher's raw embeddings.
    mask : (R,)
        1 for faces, 0 for padding.

    Outputs
    -------
    (1,) float32
    """

    def hybrid_forward(self, F, embeddings, teacher, mask):
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

    Inputs
    ------
    embeddings, teacher : (R, D); mask : (R,)
        As in :class:`MimicLoss`.
    bank : (B, D)
        Raw teacher embeddings of the training set; the faces' own may be among them.
    mean : (D,)
        Mean teacher embedding of the training set.

    Outputs
    -------
    (1,) float32
    """

    def __init__(self, temperature: float = 0.1, nearest: float = 0.5, **kwargs):
        super().__init__(**kwargs)
        self.temperature = temperature
        self.nearest = nearest

    def hybrid_forward(self, F, embeddings, teacher, mask, bank, mean):
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


def _centred_unit(F, vectors, mean):
    # The epsilon bounds the gradient where a fresh network's embedding is the mean itself.
    return F.L2Normalization(F.broadcast_sub(vectors, F.reshape(mean, shape=(1, -1))), eps=1e-6)
