"""The detection module: 16 outputs an anchor, then non-maximum suppression (section III.C)."""

from __future__ import annotations

from types import ModuleType
from typing import Any, Tuple

from mxnet.gluon import HybridBlock, nn

from uniface_mx.nn import Tensor

OUTPUTS = 16
CANDIDATES = 400


class DetectionHeads(HybridBlock):
    """One 3x3 convolution a level: 2 class logits, 4 box and 10 landmark offsets for each anchor of a cell.

    Parameters
    ----------
    num_levels : int
        Number of input maps, finest first.
    anchors_per_cell : int
        3 for the paper's aspect ratios.
    """

    def __init__(self, num_levels: int, anchors_per_cell: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.heads = nn.HybridSequential(prefix='')
            for number in range(num_levels):
                self.heads.add(nn.Conv2D(anchors_per_cell * OUTPUTS, 3, padding=1, prefix=f'level{number}_'))

    def hybrid_forward(self, F: ModuleType, *levels: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        """Maps, finest first, to class logits (N, M, 2), box offsets (N, M, 4) and landmark offsets (N, M, 10).

        Background comes first, x and y by turns; the order along M is that of `anchors.anchor_grid`.
        """
        rows = [
            F.reshape(F.transpose(head(level), axes=(0, 2, 3, 1)), shape=(0, -1, OUTPUTS))
            for head, level in zip(self.heads, levels)
        ]
        outputs = F.concat(*rows, dim=1)
        return tuple(
            F.slice_axis(outputs, axis=2, begin=begin, end=end) for begin, end in ((0, 2), (2, 6), (6, 16))
        )


class Suppression(HybridBlock):
    """From scored boxes to at most K faces an image, best first.

    Parameters
    ----------
    max_faces : int
        K, the rows of the result.
    score_threshold, iou_threshold : float
        What scores less is no face; what overlaps a better face by more is the same face.
    candidates : int
        How many of the best scores enter the suppression.
    """

    def __init__(
        self,
        max_faces: int,
        score_threshold: float,
        iou_threshold: float,
        candidates: int = CANDIDATES,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._max_faces = max_faces
        self._nms = dict(valid_thresh=score_threshold, overlap_thresh=iou_threshold, topk=candidates)

    def hybrid_forward(self, F: ModuleType, class_logits: Tensor, boxes: Tensor, landmarks: Tensor) -> Tensor:
        """Logits (N, M, 2), boxes (N, M, 4) and landmarks (N, M, 10) in input pixels to faces (N, K, 15).

        A face is a score, a box ``xyxy`` and five landmarks; rows of -1 stand behind the last.
        """
        scores = F.slice_axis(F.softmax(class_logits, axis=2), axis=2, begin=1, end=2)
        rows = F.contrib.box_nms(
            F.concat(scores, boxes, landmarks, dim=2),
            coord_start=1,
            score_index=0,
            id_index=-1,
            force_suppress=True,
            in_format='corner',
            out_format='corner',
            **self._nms,
        )
        return F.slice_axis(rows, axis=1, begin=0, end=self._max_faces)
