"""What is computed of a batch, and how far it is from what is taught: shared by training and validation."""

from __future__ import annotations

from typing import NamedTuple, Optional, Sequence

import mxnet as mx
import numpy as np
from mxnet.gluon import HybridBlock

from uniface_mx.config.schema import LossesConfig
from uniface_mx.train.losses import ContrastLoss, DetectionLoss, MimicLoss, Terms, count_terms
from uniface_mx.train.targets import Rois, Targets, assign_targets, decode_predictions, select_rois


class Graphs(NamedTuple):
    """Image to raw outputs and F_r, and F_r and faces to raw embeddings (see `models.Uniface`)."""

    network: HybridBlock
    recognition: HybridBlock

    def embed(self, features: mx.nd.NDArray, rois: Rois) -> mx.nd.NDArray:
        """Raw embeddings (R, 128) of the faces."""
        return self.recognition(features, mx.nd.array(rois.faces, ctx=features.ctx))


class Criteria:
    """The losses as one function of the network's outputs.

    Parameters
    ----------
    settings : LossesConfig
        Its weights of the terms are the lambdas of Eq. (2).
    anchors : (M, 4) array
    devices : sequence of mxnet.Context
    bank : sequence of array
        Where the contrast has a weight: other faces' teacher embeddings (B, 128), and the mean one (128,).
    """

    def __init__(
        self,
        settings: LossesConfig,
        anchors: np.ndarray,
        devices: Sequence[mx.Context],
        bank: Sequence[np.ndarray] = (),
    ) -> None:
        self.settings, self.anchors = settings, anchors
        self.weights = Terms(*(getattr(settings, term) for term in Terms._fields))
        self._detection = DetectionLoss(settings.negative_ratio, settings.faceless)
        self._mimic = MimicLoss()
        self._contrast = ContrastLoss(settings.contrast_temperature, settings.contrast_nearest)
        for loss in (self._detection, self._mimic, self._contrast):
            loss.hybridize()
        self._banks = {device: [mx.nd.array(array, ctx=device) for array in bank] for device in devices}

    @property
    def recognition(self) -> bool:
        """Whether embeddings are taught at all."""
        return self.weights.mimic > 0 or self.weights.contrast > 0

    def predicted(self, iteration: Optional[int] = None) -> bool:
        """Whether faces are embedded where they are detected: at an iteration, or (None) at last."""
        warm = iteration is not None and iteration < self.settings.roi_warmup
        return self.settings.roi_source == 'predicted' and not warm

    def targets(self, label: np.ndarray) -> Targets:
        """Targets of label rows (N, G, 146) on the anchors."""
        settings = self.settings
        return assign_targets(label, self.anchors, settings.match_threshold, settings.ignore_threshold)

    def rois(self, label: np.ndarray, outputs: Optional[Sequence[mx.nd.NDArray]] = None) -> Rois:
        """The faces whose embeddings are taught: where outputs of the network find them, or where they are."""
        found = outputs and decode_predictions(*(array.asnumpy() for array in outputs[:3]), self.anchors)
        return select_rois(label, found, self.settings.roi_bucket, self.settings.roi_threshold)

    def counts(self, targets: Targets, mask: np.ndarray) -> Terms:
        """What the sums are to be divided by; `mask` is that of the ROIs."""
        return count_terms(targets.classes, mask, self.settings.faceless)

    def sums(
        self,
        outputs: Sequence[mx.nd.NDArray],
        targets: Targets,
        embeddings: Optional[mx.nd.NDArray],
        rois: Rois,
    ) -> Terms:
        """The terms of Eq. (2), summed over anchors and faces, where the outputs are."""
        device = outputs[0].ctx
        terms = self._detection(*outputs[:3], *(mx.nd.array(array, ctx=device) for array in targets))
        mimic = contrast = None
        if embeddings is not None:
            teacher, mask = (mx.nd.array(array, ctx=device) for array in (rois.embeddings, rois.mask))
            mimic = self._mimic(embeddings, teacher, mask)
            if self.weights.contrast > 0:
                contrast = self._contrast(embeddings, teacher, mask, *self._banks[device])
        return Terms(*terms, mimic, contrast)
