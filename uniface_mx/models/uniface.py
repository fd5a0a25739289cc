"""The unified network, Models A, C and D of the paper by what is left out, and Model B, and their symbolic graphs."""

from __future__ import annotations

from types import ModuleType
from typing import Any, Dict, NamedTuple, Tuple

import mxnet as mx
import numpy as np
from mxnet.gluon import HybridBlock

from uniface_mx.models.files import FACES, TRUNK, WHOLE
from uniface_mx.nn import Tensor
from uniface_mx.nn.anchors import centre_to_corner
from uniface_mx.nn.attention import EMBEDDING_DIM, FACE_ROW, Recognition
from uniface_mx.nn.coder import Decoder
from uniface_mx.nn.detection import DetectionHeads, Suppression


class SharedNetwork(HybridBlock):
    """What an image costs: pixels to detection outputs and the recognition map, from one bottom-up pathway.

    Parameters
    ----------
    normalize, bottom_up, recognition_map : HybridBlock
        Pixels to scaled pixels, to levels, to F_r.
    heads : DetectionHeads
    """

    def __init__(
        self,
        normalize: HybridBlock,
        bottom_up: HybridBlock,
        heads: DetectionHeads,
        recognition_map: HybridBlock,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.normalize, self.bottom_up = normalize, bottom_up
        self.heads, self.recognition_map = heads, recognition_map

    def hybrid_forward(self, F: ModuleType, data: Tensor) -> Tuple[Tensor, ...]:
        """Pixels (N, 3, 300, 300) to what `DetectionHeads` gives, and F_r."""
        levels = self.bottom_up(self.normalize(data))
        return self.heads(*levels) + (self.recognition_map(*levels),)


class SeparateNetworks(HybridBlock):
    """Model B: the outputs of `SharedNetwork`, from two pathways that share nothing (section IV.D.1).

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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.normalize = normalize
        self.detection_bottom_up, self.heads = detection_bottom_up, heads
        self.recognition_bottom_up, self.recognition_map = recognition_bottom_up, recognition_map

    def hybrid_forward(self, F: ModuleType, data: Tensor) -> Tuple[Tensor, ...]:
        """As `SharedNetwork`."""
        data = self.normalize(data)
        features = self.recognition_map(*self.recognition_bottom_up(data))
        return self.heads(*self.detection_bottom_up(data)) + (features,)


class Detector(HybridBlock):
    """Photo to faces and F_r, the first half of the inference graph."""

    def __init__(
        self, network: HybridBlock, decoder: Decoder, suppression: Suppression, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.network, self.decoder, self.suppression = network, decoder, suppression

    def hybrid_forward(self, F: ModuleType, data: Tensor) -> Tuple[Tensor, Tensor]:
        """Pixels (N, 3, 300, 300) to detections (N, K, 15) as `Suppression` gives them, and F_r."""
        class_logits, box_offsets, landmark_offsets, features = self.network(data)
        boxes, landmarks = self.decoder(box_offsets, landmark_offsets)
        return self.suppression(class_logits, boxes, landmarks), features


class Embedder(HybridBlock):
    """F_r and faces to unit-length embeddings (R, 128), the second half of the inference graph."""

    def __init__(self, recognition: Recognition, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.recognition = recognition

    def hybrid_forward(self, F: ModuleType, features: Tensor, faces: Tensor) -> Tensor:
        """F_r and rows (R, 15) as `Recognition` takes them."""
        raw = self.recognition(features, faces)
        length = F.sqrt(F.sum(F.square(raw), axis=1, keepdims=True) + 1e-12)
        return F.broadcast_div(raw, length)


class Uniface(HybridBlock):
    """A face detector, landmark locator and recogniser in one network.

    Called on ``data`` (N, 3, 300, 300), RGB, 0..255, it gives

    - ``detections`` (N, K, 15): score, box ``xyxy``, five landmarks, in input pixels, best first; rows of -1
      where there is no further face. A box or landmark may lie up to one frame outside the image.
    - ``embeddings`` (N, K, 128) of unit length; rows of 0 where there is no face.

    Training takes two other doors to the same weights: `network`, which gives the detection module's raw
    outputs and F_r, and `recognition`, which gives raw embeddings of faces that the trainer chooses.
    Deployment may take the two halves, `detector` and `embedder`.

    Parameters
    ----------
    network : HybridBlock
        (N, 3, size, size) to class logits, box offsets, landmark offsets, F_r.
    recognition : Recognition
    anchors : numpy.ndarray
        (M, 4) centre x, centre y, width, height in input pixels.
    size : int
        Side of the input.
    max_faces : int
        K.
    score_threshold, iou_threshold : float
        See `Suppression`.
    """

    def __init__(
        self,
        network: HybridBlock,
        recognition: Recognition,
        anchors: np.ndarray,
        size: int,
        max_faces: int,
        score_threshold: float,
        iou_threshold: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.size, self.max_faces = size, max_faces
        self.score_threshold, self.iou_threshold = score_threshold, iou_threshold
        self._anchors = anchors
        self.detector = Detector(
            network,
            Decoder(anchors, size, prefix='decoder_'),
            Suppression(max_faces, score_threshold, iou_threshold, prefix='suppression_'),
            prefix='detector_',
        )
        self.embedder = Embedder(recognition, prefix='embedder_')

    @property
    def network(self) -> HybridBlock:
        """The part that training runs on images."""
        return self.detector.network

    @property
    def decoder(self) -> Decoder:
        """Offsets to boxes and landmarks in input pixels."""
        return self.detector.decoder

    @property
    def recognition(self) -> Recognition:
        """The part that training runs on faces."""
        return self.embedder.recognition

    @property
    def anchors(self) -> np.ndarray:
        """(M, 4) float32 anchors ``xyxy`` in input pixels."""
        return centre_to_corner(self._anchors)

    def hybrid_forward(self, F: ModuleType, data: Tensor) -> Tuple[Tensor, Tensor]:
        """Pixels (N, 3, 300, 300) to detections and embeddings."""
        detections, features = self.detector(data)
        image = F.contrib.arange_like(F.slice_axis(detections, axis=1, begin=0, end=1), axis=0)
        scores = F.slice_axis(detections, axis=2, begin=0, end=1)
        image = F.broadcast_add(F.zeros_like(scores), F.reshape(image, shape=(-1, 1, 1)))
        faces = F.concat(image, F.slice_axis(detections, axis=2, begin=1, end=FACE_ROW), dim=2)
        embeddings = self.embedder(features, F.reshape(faces, shape=(-1, FACE_ROW)))
        embeddings = F.reshape(embeddings, shape=(-1, self.max_faces, EMBEDDING_DIM))
        # 1 where there is a face, 0 for a score of -1; comparisons do not export to ONNX.
        present = F.ceil(F.relu(scores))
        return detections, F.broadcast_mul(embeddings, present)


class Graph(NamedTuple):
    """A symbolic graph and the shapes of its inputs for one image or face."""

    symbol: mx.sym.Symbol
    inputs: Dict[str, Tuple[int, ...]]


def _group(**outputs: mx.sym.Symbol) -> mx.sym.Symbol:
    return mx.sym.Group([mx.sym.identity(symbol, name=name) for name, symbol in outputs.items()])


def inference_graphs(net: Uniface) -> Dict[str, Graph]:
    """The graphs of a model: the ``whole``, and its halves ``trunk`` and ``faces``.

    The whole takes ``data`` (N, 3, 300, 300) to ``detections`` (N, K, 15) and ``embeddings`` (N, K, 128). The
    trunk gives ``detections`` and ``features`` (F_r); the faces' graph takes ``features`` and ``faces`` (R,
    15), a row an image number, a box and five landmarks in input pixels, to ``embeddings`` (R, 128).
    """
    image = {'data': (1, 3, net.size, net.size)}
    with mx.name.NameManager():
        detections, embeddings = net(mx.sym.var('data'))
        whole = _group(detections=detections, embeddings=embeddings)
    with mx.name.NameManager():
        detections, features = net.detector(mx.sym.var('data'))
        trunk = _group(detections=detections, features=features)
    with mx.name.NameManager():
        faces = _group(embeddings=net.embedder(mx.sym.var('features'), mx.sym.var('faces')))
    features_shape = trunk.infer_shape(**image)[1][1]
    return {
        WHOLE: Graph(whole, image),
        TRUNK: Graph(trunk, image),
        FACES: Graph(faces, {'features': features_shape, 'faces': (1, FACE_ROW)}),
    }
