"""Pictures for people to look at: faces marked in their photo, and cut out upright."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional, Sequence

import cv2
import numpy as np

from uniface_mx.geometry import similarity_transform, warp
from uniface_mx.image import GREEN, mark_face

if TYPE_CHECKING:
    from uniface_mx.deploy.predictor import Face

BLACK = (0, 0, 0)
FONT = cv2.FONT_HERSHEY_SIMPLEX
# Where the five landmarks lie in an upright crop, in shares of its side.
UPRIGHT = np.array([[0.34, 0.44], [0.66, 0.44], [0.50, 0.62], [0.37, 0.79], [0.63, 0.79]])


def draw_faces(
    image: np.ndarray, faces: Sequence[Face], captions: Optional[Sequence[str]] = None
) -> np.ndarray:
    """A copy of a photo with a box, five points and a caption for each face.

    Parameters
    ----------
    image : numpy.ndarray
        (H, W, 3) uint8, RGB.
    faces : sequence of Face
    captions : sequence of str, optional
        One a face; its score by default. OpenCV's letters are ASCII, others become question marks.
    """
    drawn = image.copy()
    line = max(1, int(round(max(image.shape[:2]) / 400)))
    for number, face in enumerate(faces):
        mark_face(drawn, face.box, face.landmarks, line=line)
        text = f'{face.score:.2f}' if captions is None else captions[number]
        text = text.encode('ascii', 'replace').decode('ascii')
        (width, height), below = cv2.getTextSize(text, FONT, 0.4 * line, line)
        left, top = (int(round(float(value))) for value in face.box[:2])
        left, bottom = max(min(left, drawn.shape[1] - width), 0), max(top, height + below)
        cv2.rectangle(drawn, (left, bottom - height - below), (left + width, bottom), GREEN, -1)
        cv2.putText(drawn, text, (left, bottom - below // 2), FONT, 0.4 * line, BLACK, line)
    return drawn


def face_crop(image: np.ndarray, landmarks: np.ndarray, size: int = 160) -> np.ndarray:
    """A face cut out of a photo, turned and scaled so that its landmarks lie where an upright face has them.

    Parameters
    ----------
    image : numpy.ndarray
        (H, W, 3) uint8.
    landmarks : numpy.ndarray
        (5, 2), in pixels of the image.
    size : int
        Side of the result in pixels. What lies outside the photo is black.

    Returns
    -------
    numpy.ndarray
        (size, size, 3) uint8.
    """
    return warp(image, similarity_transform(landmarks, UPRIGHT * size), size, size)
