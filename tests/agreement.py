"""What it means that two runs of a model agree."""

from __future__ import annotations

import numpy as np


def difference(expected, actual) -> np.ndarray:
    """Element by element, relative to the value or to 1, whichever is larger."""
    return np.abs(expected - actual) / np.maximum(np.abs(expected), 1)


# Two units in the last place of a number between 128 and 256. A coordinate near 0 is the difference of two
# such numbers, of which each has been rounded.
ROUNDING = 2 * float(np.spacing(np.float32(128)))


def assert_same_row(expected, actual, tolerance: float) -> None:
    """Check one face's score, box and landmarks."""
    allowed = np.maximum(tolerance * np.maximum(np.abs(expected), 1), [tolerance] + [ROUNDING] * 14)
    assert np.all(np.abs(expected - actual) <= allowed), np.abs(expected - actual) / allowed


def on_an_edge(faces, frame, margin: float = 1e-3) -> np.ndarray:
    """Faces (..., 14), boxes and landmarks, of which ROIPooling may round a corner up or down: (...) bool."""
    box, points = faces[..., :4], faces[..., 4:].reshape(faces.shape[:-1] + (5, 2))
    centres = np.concatenate([points[..., :3, :], points[..., 3:, :].mean(axis=-2, keepdims=True)], axis=-2)
    half = np.maximum(box[..., 2:] - box[..., :2], 1)[..., None, :] * (7 / 48)
    corners = np.concatenate(
        [
            box,
            (centres - half).reshape(box.shape[:-1] + (8,)),
            (centres + half).reshape(box.shape[:-1] + (8,)),
        ],
        axis=-1,
    )
    cells = (corners - frame.origin) / frame.stride
    return (np.abs(cells - np.floor(cells) - 0.5) < margin).any(axis=-1)


def assert_same_faces(expected, actual, tolerance: float, frame=None) -> None:
    """Check detections (N, K, 15) and embeddings (N, K, 128) of two runs against each other.

    The same faces stand in the same order, but where scores differ by no more than the tolerance. Where the
    map's `frame` is given, embeddings of faces are left out whose regions are cut at the edge of rounding.
    """
    assert [array.shape for array in expected] == [array.shape for array in actual]
    # Sorted lists differ place by place by no more than their members do: other orders do not pass.
    assert np.max(np.abs(expected[0][..., 0] - actual[0][..., 0])) <= tolerance
    compared = 0
    for (detections, embeddings), (others, other_embeddings) in zip(zip(*expected), zip(*actual)):
        free = list(range(len(others)))
        for row, embedding in zip(detections, embeddings):
            near = [index for index in free if abs(others[index, 0] - row[0]) <= tolerance]
            assert near, f'no face of score {row[0]}'
            match = min(near, key=lambda index: np.max(difference(row, others[index])))
            free.remove(match)
            assert_same_row(row, others[match], tolerance)
            if frame is None or row[0] < 0 or not on_an_edge(row[1:], frame):
                assert np.max(difference(embedding, other_embeddings[match])) <= tolerance
                compared += row[0] >= 0
    assert compared >= 0.7 * np.count_nonzero(expected[0][..., 0] >= 0) > 0
