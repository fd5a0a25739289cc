"""Which face of a photo is meant, and room around photos that are cut tightly."""

from __future__ import annotations

from typing import Optional, Sequence, Tuple

import numpy as np

from uniface_mx.deploy.predictor import Face
from uniface_mx.geometry import area

CHOICES = ('centre', 'largest')


def pad(image: np.ndarray, margin: float) -> Tuple[np.ndarray, int]:
    """Put an image into the middle of a black canvas, ``margin`` times its longer side wider on each side.

    Faces that were cut out tightly fill their picture, which a detector of faces in photos does not expect.

    Returns
    -------
    (array, int)
        The canvas, and the x and y by which the content has moved.
    """
    room = int(round(margin * max(image.shape[:2])))
    return np.pad(image, ((room, room), (room, room), (0, 0))), room


def boxes_of(faces: Sequence[Face]) -> np.ndarray:
    """Boxes (n, 4) float64 of faces."""
    return np.array([face.box for face in faces], np.float64).reshape(-1, 4)


def choose_face(faces: Sequence[Face], point: Sequence[float], rule: str = 'centre') -> Optional[Face]:
    """The face that a photo is about, None if there is no face.

    Parameters
    ----------
    faces : sequence of Face
    point : (2,) sequence
        x and y of what the photo shows in its middle.
    rule : {'centre', 'largest'}
        The face whose box has its centre nearest to ``point``, or the largest box.
    """
    if rule not in CHOICES:
        raise ValueError(f'choose by {" or ".join(CHOICES)}, not {rule!r}')
    boxes = boxes_of(faces)
    apart = np.sum(((boxes[:, :2] + boxes[:, 2:]) / 2 - point) ** 2, axis=1)
    return faces[int(np.argmin(-area(boxes) if rule == 'largest' else apart))] if len(faces) else None


def face_at(faces: Sequence[Face], point: np.ndarray) -> Optional[Face]:
    """The face whose box holds ``point`` (2,), the nearest by box centre if several do; None if none does."""
    boxes = boxes_of(faces)
    holds = (boxes[:, :2] <= point).all(axis=1) & (point < boxes[:, 2:]).all(axis=1)
    return choose_face([face for face, there in zip(faces, holds) if there], point)
