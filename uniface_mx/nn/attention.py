"""Landmark attention: from F_r and detected faces to embeddings (section III.D)."""

from __future__ import annotations

from types import ModuleType
from typing import Any, Tuple

from mxnet.gluon import HybridBlock, nn

from uniface_mx.nn import Tensor
from uniface_mx.nn.anchors import MapFrame

FACE_POOL, LANDMARK_POOL = 48, 14
EMBEDDING_DIM = 128
FACE_FEATURES, LANDMARK_FEATURES = 512, 128
FACE_GRID, LANDMARK_GRID = 4, 2
FACE_ROW = 15
ROI_OPS = ('pool', 'align')


class RoiRegions(HybridBlock):
    """Cut the face and the surroundings of its landmarks out of a map.

    The landmarks' windows lie on the left eye, the right eye, the nose and the middle of the mouth, and have
    14/48 of the face box's sides, so that all regions are sampled equally densely. Windows keep their shape
    at the border; what lies outside the map is 0 (a 9x9 map has no cell beyond 281.5 pixels). They are held
    within half a frame beyond the border, and the image's number within the batch.

    Parameters
    ----------
    frame : MapFrame
        Where the map's cells lie in the image.
    size : int
        Side of the input in pixels.
    roi_op : {'pool', 'align'}
        Max-pooling over whole cells (the paper), or bilinear sampling.
    landmarks : bool
        Whether to cut the landmarks' windows, too.
    """

    def __init__(self, frame: MapFrame, size: int, roi_op: str, landmarks: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if roi_op not in ROI_OPS:
            raise ValueError(f'roi_op is {roi_op!r}; choose one of {", ".join(ROI_OPS)}')
        self._frame, self._size, self._align, self._landmarks = frame, size, roi_op == 'align', landmarks

    def _pool(self, F: ModuleType, features: Tensor, index: Tensor, corners: Tensor, side: int) -> Tensor:
        low, high = (F.slice_axis(corners, axis=1, begin=begin, end=begin + 2) for begin in (0, 2))
        low, high = ((edge - self._frame.origin) * (1.0 / self._frame.stride) for edge in (low, high))
        if self._align:
            # The operator widens what is smaller than a cell to the right: widen it to both sides.
            middle, half = (low + high) * 0.5, F.maximum((high - low) * 0.5, 0.5)
            low, high = middle - half, middle + half
            # It takes a cell's centre for its corner.
            rois = F.concat(index, low - 0.5, high - 0.5, dim=1)
            return F.contrib.ROIAlign(
                features, rois, pooled_size=(side, side), spatial_scale=1.0, sample_ratio=2
            )
        # The operator's right and bottom are inclusive.
        rois = F.concat(index, low, high - 1.0, dim=1)
        return F.ROIPooling(features, rois, pooled_size=(side, side), spatial_scale=1.0)

    def hybrid_forward(self, F: ModuleType, features: Tensor, faces: Tensor) -> Tuple[Tensor, ...]:
        """A map (N, C, H, W) and faces (R, 15) to (R, C, 48, 48), and with landmarks four times (R, C, 14, 14).

        A face is the number of its image in the batch, a box ``xyxy`` and five landmarks in input pixels.
        """
        last_image = F.max(F.contrib.arange_like(features, axis=0), axis=0, keepdims=True)
        index = F.maximum(F.slice_axis(faces, axis=1, begin=0, end=1), 0.0)
        index = F.broadcast_minimum(index, F.reshape(last_image, shape=(1, 1)))
        held = F.clip(F.slice_axis(faces, axis=1, begin=1, end=FACE_ROW), -0.5 * self._size, 1.5 * self._size)
        box = F.slice_axis(held, axis=1, begin=0, end=4)
        regions = [self._pool(F, features, index, box, FACE_POOL)]
        if self._landmarks:
            half = F.slice_axis(box, axis=1, begin=2, end=4) - F.slice_axis(box, axis=1, begin=0, end=2)
            half = F.maximum(half, 1.0) * (0.5 * LANDMARK_POOL / FACE_POOL)
            points = [F.slice_axis(held, axis=1, begin=begin, end=begin + 2) for begin in range(4, 14, 2)]
            left_eye, right_eye, nose, left_mouth, right_mouth = points
            for point in (left_eye, right_eye, nose, (left_mouth + right_mouth) * 0.5):
                window = F.concat(point - half, point + half, dim=1)
                regions.append(self._pool(F, features, index, window, LANDMARK_POOL))
        return tuple(regions)


def _branch(name: str, hidden: int, features: int, side: int, grid: int) -> nn.HybridSequential:
    """Two conv-relu-pooling layers: (R, C, side, side) to (R, features), read off `grid` x `grid` places."""
    half = side // 2
    stride = half // grid
    branch = nn.HybridSequential(prefix=name + '_')
    with branch.name_scope():
        branch.add(
            nn.Conv2D(hidden, 3, padding=1, activation='relu', prefix='conv1_'),
            nn.MaxPool2D(2, 2, prefix='pool1_'),
            nn.Conv2D(features // grid**2, 3, padding=1, activation='relu', prefix='conv2_'),
            nn.AvgPool2D(half - stride * (grid - 1), stride, prefix='pool2_'),
            nn.Flatten(),
        )
    return branch


class Recognition(HybridBlock):
    """The recognition module: regions of F_r to 128-D embeddings, as the teacher writes them.

    With landmarks (Models A, B, C) the face gives 512 features (32 at each of 4x4 places) and each landmark
    window, by a branch of its own, 128 (32 at each of 2x2); without (Model D) the face gives 1024. A
    fully-connected layer follows.

    Parameters
    ----------
    frame, size, roi_op
        See `RoiRegions`.
    face_hidden : int
        Channels between the face branch's two convolutions.
    landmark_hidden : int
        The same for the landmark branches; 0 for Model D.
    """

    def __init__(
        self, frame: MapFrame, size: int, roi_op: str, face_hidden: int, landmark_hidden: int, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.regions = RoiRegions(frame, size, roi_op, landmarks=landmark_hidden > 0, prefix='regions_')
            self.branches = nn.HybridSequential(prefix='')
            face = FACE_FEATURES if landmark_hidden else FACE_FEATURES + 4 * LANDMARK_FEATURES
            self.branches.add(_branch('face', face_hidden, face, FACE_POOL, FACE_GRID))
            for name in ('left_eye', 'right_eye', 'nose', 'mouth') if landmark_hidden else ():
                sizes = LANDMARK_FEATURES, LANDMARK_POOL, LANDMARK_GRID
                self.branches.add(_branch(name, landmark_hidden, *sizes))
            self.embedding = nn.Dense(EMBEDDING_DIM, prefix='embedding_')

    def hybrid_forward(self, F: ModuleType, features: Tensor, faces: Tensor) -> Tensor:
        """As `RoiRegions`, to (R, 128) raw embeddings: neither centred nor of unit length."""
        regions = self.regions(features, faces)
        vectors = [branch(region) for branch, region in zip(self.branches, regions)]
        return self.embedding(F.concat(*vectors, dim=1))
