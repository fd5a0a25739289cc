"""Label rows: what a record, and a canvas, says of each face, in `OBJECT_WIDTH` float32 values.

Boxes (xyxy) and the five landmarks (x, y) are shares of the photo's width and height in records, and pixels on
canvases. A face that is ignored is neither taught nor mined as background.
"""

from __future__ import annotations

from typing import Dict, Tuple

import numpy as np

from uniface_mx.nn.attention import EMBEDDING_DIM

CLASS = 0
BOX = slice(1, 5)
LANDMARKS = slice(5, 15)
HAS_LANDMARKS = 15
HAS_EMBEDDING = 16
IGNORE = 17
EMBEDDING = slice(18, 18 + EMBEDDING_DIM)
OBJECT_WIDTH = EMBEDDING.stop


def no_rows() -> np.ndarray:
    """Label rows of a photo without faces, (0, 146)."""
    return np.zeros((0, OBJECT_WIDTH), np.float32)


def label_rows(
    size: Tuple[int, int],
    boxes: np.ndarray,
    landmarks: np.ndarray,
    shown: np.ndarray,
    embeddings: np.ndarray,
    embedded: np.ndarray,
    ignore: np.ndarray,
) -> np.ndarray:
    """The label rows (G, 146) float32 of a photo of (width, height) `size`, from its faces in its pixels.

    Of landmarks (G, 5, 2) and embeddings (G, 128) those count that the masks `shown` and `embedded` (G,) name.
    """
    rows = np.zeros((len(boxes), OBJECT_WIDTH), np.float32)
    scale = np.array(size, np.float32)
    rows[:, BOX] = np.clip(boxes / np.tile(scale, 2), 0, 1)
    rows[shown, LANDMARKS] = np.clip(landmarks[shown] / scale, 0, 1).reshape(-1, 10)
    rows[embedded, EMBEDDING] = embeddings[embedded]
    rows[:, HAS_LANDMARKS], rows[:, HAS_EMBEDDING], rows[:, IGNORE] = shown, embedded, ignore
    return rows


def in_pixels(objects: np.ndarray, width: float, height: float) -> np.ndarray:
    """Label rows (G, 146) with boxes and landmarks in pixels in place of shares of the sides."""
    objects = objects.copy()
    objects[:, BOX] *= np.array([width, height] * 2, np.float32)
    objects[:, LANDMARKS] *= np.array([width, height] * 5, np.float32)
    return objects


def embeddings(objects: np.ndarray) -> np.ndarray:
    """The embeddings (E, 128) of those label rows (G, 146) that have one."""
    return objects[objects[:, HAS_EMBEDDING] == 1, EMBEDDING]


def count_faces(objects: np.ndarray) -> Dict[str, int]:
    """How many of the label rows (G, 146) are taught, ignored, and have landmarks or an embedding."""
    counted = {
        'faces': objects[:, IGNORE] == 0,
        'ignored': objects[:, IGNORE] == 1,
        'landmarks': objects[:, HAS_LANDMARKS] == 1,
        'embeddings': objects[:, HAS_EMBEDDING] == 1,
    }
    return {name: int(mask.sum()) for name, mask in counted.items()}
