"""Model B: detection and recognition as two networks that share nothing (section IV.D.1)."""

from __future__ import annotations

from mxnet.gluon import HybridBlock

from uniface_mx.nn.detection import DetectionHeads


class SeparateNetworks(HybridBlock):
    """The outputs of `uniface.SharedNetwork`, from two bottom-up pathways with weights of their own.

    Parameters
    ----------
    normalize : HybridBlock
    detection_bottom_up, recognition_bottom_up : HybridBlock
        Pixels to levels, for the heads and for F_r.
    heads : DetectionHeads
    recognition_map : HybridBlock
    """

    def __init__(
        self,
        normalize: HybridBlock,
        detection_bottom_up: HybridBlock,
        heads: DetectionHeads,
        recognition_bottom_up: HybridBlock,
        recognition_map: HybridBlock,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.normalize = normalize
        self.detection_bottom_up, self.heads = detection_bottom_up, heads
        self.recognition_bottom_up, self.recognition_map = recognition_bottom_up, recognition_map

    def hybrid_forward(self, F, data):
        data = self.normalize(data)
        features = self.recognition_map(*self.recognition_bottom_up(data))
        return self.heads(*self.detection_bottom_up(data)) + (features,)
