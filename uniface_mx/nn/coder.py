"""Encode and decode of boxes and landmarks relative to the anchors (section III.C), in NumPy and as a graph.

A centre's or landmark's offset counts a tenth of the anchor's side; a side's counts 0.2 in the logarithm, as in SSD.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, Tuple

import numpy as np
from mxnet.gluon import HybridBlock

from uniface_mx.nn import Tensor

CENTRE_VARIANCE, SIZE_VARIANCE = 0.1, 0.2
MAX_LOG_SIZE = 4.0


def _centre_and_size(boxes: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    return (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]


def encode_boxes(boxes: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Offsets (..., 4) of boxes to anchors, both (..., 4): x, y of the centre, then log width and log height."""
    centre, size = _centre_and_size(boxes)
    anchor_centre, anchor_size = _centre_and_size(anchors)
    shift = (centre - anchor_centre) / (anchor_size * CENTRE_VARIANCE)
    return np.concatenate([shift, np.log(size / anchor_size) / SIZE_VARIANCE], axis=-1)


def decode_boxes(offsets: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Boxes (..., 4) from offsets and anchors, both (..., 4): the inverse of `encode_boxes`.

    Sides are held between e^-4 and e^4 times the anchor's, as in the graph.
    """
    anchor_centre, anchor_size = _centre_and_size(anchors)
    centre = offsets[..., :2] * CENTRE_VARIANCE * anchor_size + anchor_centre
    half = np.exp(np.clip(offsets[..., 2:] * SIZE_VARIANCE, -MAX_LOG_SIZE, MAX_LOG_SIZE)) * anchor_size / 2
    return np.concatenate([centre - half, centre + half], axis=-1)


def encode_landmarks(landmarks: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Offsets (..., 10) of landmarks (..., 5, 2) to centres of anchors (..., 4)."""
    centre, size = _centre_and_size(anchors)
    offsets = (landmarks - centre[..., None, :]) / (size[..., None, :] * CENTRE_VARIANCE)
    return offsets.reshape(offsets.shape[:-2] + (10,))


def decode_landmarks(offsets: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Landmarks (..., 5, 2) of offsets (..., 10) to anchors (..., 4): inverse of `encode_landmarks`."""
    centre, size = _centre_and_size(anchors)
    points = offsets.reshape(offsets.shape[:-1] + (5, 2))
    return points * CENTRE_VARIANCE * size[..., None, :] + centre[..., None, :]


class Decoder(HybridBlock):
    """The graph's `decode_boxes` and `decode_landmarks`: offsets to the anchors, to input pixels.

    Results are held within one frame beyond the border, so that no offset can leave the range of a float.

    Parameters
    ----------
    anchors : numpy.ndarray
        (M, 4) centre x, centre y, width, height.
    size : int
        Side of the input in pixels.
    """

    def __init__(self, anchors: np.ndarray, size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._low, self._high = -float(size), 2.0 * size
        with self.name_scope():
            self.anchors = self.params.get_constant('anchors', anchors[None])
        # Module updates what Gluon calls a constant; these two make its optimizer leave it alone.
        self.anchors.lr_mult = self.anchors.wd_mult = 0.0
        # Gluon calls a constant's initializer by its address in memory: every exported graph would be another.
        self.anchors.var()._set_attr(__init__=self.anchors.name)

    def hybrid_forward(
        self, F: ModuleType, box_offsets: Tensor, landmark_offsets: Tensor, anchors: Tensor
    ) -> Tuple[Tensor, Tensor]:
        """Offsets (N, M, 4) and (N, M, 10) to boxes ``xyxy`` and landmarks of the same shapes."""
        anchors = F.BlockGrad(anchors)
        centre = F.slice_axis(anchors, axis=2, begin=0, end=2)
        shape = F.slice_axis(anchors, axis=2, begin=2, end=4)
        shift = F.slice_axis(box_offsets, axis=2, begin=0, end=2) * CENTRE_VARIANCE
        log_size = F.slice_axis(box_offsets, axis=2, begin=2, end=4) * SIZE_VARIANCE
        middle = F.broadcast_add(F.broadcast_mul(shift, shape), centre)
        half = F.broadcast_mul(F.exp(F.clip(log_size, -MAX_LOG_SIZE, MAX_LOG_SIZE)), shape) * 0.5
        boxes = F.concat(middle - half, middle + half, dim=2)
        centres = F.tile(centre, reps=(1, 1, 5))
        shapes = F.tile(shape, reps=(1, 1, 5)) * CENTRE_VARIANCE
        landmarks = F.broadcast_add(F.broadcast_mul(landmark_offsets, shapes), centres)
        return F.clip(boxes, self._low, self._high), F.clip(landmarks, self._low, self._high)
