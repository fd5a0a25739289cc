"""Pictures for people to look at: faces marked in their photo, and cut out upright."""

from __future__ import annotations

from typing import Optional, Sequence

import cv2
import numpy as np

from uniface_mx.geometry import similarity_transform, warp

GREEN, YELLOW, BLACK = (0, 200, 0), (255, 220, 0), (0, 0, 0)
# Where the five landmarks lie in an upright crop, in shares of its side.
UPRIGHT = np.array([[0.34, 0.44], [0.66, 0.44], [0.50, 0.62], [0.37, 0.79], [0.63, 0.79]])


def draw_faces(image: np.ndarray, faces: Sequence, captions: Optional[Sequence[str]] = None) -> np.ndarray:
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
        left, top, right, bottom = (int(round(float(value))) for value in face.box)
        cv2.rectangle(drawn, (left, top), (right - 1, bottom - 1), GREEN, line)
        for x, y in face.landmarks:
            cv2.circle(drawn, (int(x), int(y)), line, YELLOW, -1)
        text = f'{face.score:.2f}' if captions is None else captions[number]
        text = text.encode('ascii', 'replace').decode('ascii')
        (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.4 * line, line)
        corner = (max(min(left, drawn.shape[1] - width), 0), max(top, height + below))
        cv2.rectangle(
            drawn, (corner[0], corner[1] - height - below), (corner[0] + width, corner[1]), GREEN, -1
        )
        cv2.putText(
            drawn,
            text,
            (corner[0], corner[1] - below // 2),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.4 * line,
            BLACK,
            line,
        )
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
