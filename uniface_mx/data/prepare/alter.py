"""Photos turned, lit and spoilt more strongly than training does by itself: there the label stays the untouched
photo's, here the teachers say what they still see.
"""

from __future__ import annotations

from typing import Iterable, NamedTuple

import cv2
import numpy as np

from uniface_mx.data.prepare.duplicates import record_name
from uniface_mx.data.prepare.portraits import Made, Make, Portrait, find_portraits, portrait
from uniface_mx.data.transforms.photometric import colour, jpeg, low_resolution, noise

# Degrees; the photo turns as a flat picture, seen from so many heights of the face.
YAW, PITCH, ROLL, DISTANCE = 40.0, 25.0, 35.0, 2.5
# Logarithm of gamma; brightness lost or won from the face's middle to its edge.
GAMMA, SHADE = 0.9, 0.7
# Pixels that are left of the face's height, grey levels, quality.
HEIGHTS, NOISE, QUALITIES = (24.0, 80.0), 14.0, (8, 40)
CHANCE = 0.6


class Changes(NamedTuple):
    """What is done to a photo: degrees of yaw, pitch and roll; gamma, and strength and direction (degrees from x to
    y) of a shade; the height in pixels to which the face is reduced (0: not at all), deviation of the noise in grey
    levels, JPEG quality (100: not stored).
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    gamma: float = 1.0
    shade: float = 0.0
    direction: float = 0.0
    height: float = 0.0
    noise: float = 0.0
    quality: int = 100


def draw_changes(rng: np.random.Generator) -> Changes:
    """Pose, light and quality, each by lot, and at least one of them."""
    pose = dict(zip(('yaw', 'pitch', 'roll'), rng.uniform(-1, 1, 3) * (YAW, PITCH, ROLL)))
    light = {
        'gamma': float(np.exp(rng.uniform(-GAMMA, GAMMA))),
        'shade': rng.uniform(0, SHADE),
        'direction': rng.uniform(0, 360),
    }
    quality = {
        'height': float(np.exp(rng.uniform(*np.log(HEIGHTS)))),
        'noise': rng.uniform(0, NOISE),
        'quality': int(rng.integers(*QUALITIES)),
    }
    groups = pose, light, quality
    chosen = rng.random(3) < CHANCE
    chosen[rng.integers(3)] = True
    return Changes(
        **{name: value for group, taken in zip(groups, chosen) if taken for name, value in group.items()}
    )


def turned(changes: Changes, middle: np.ndarray, distance: float) -> np.ndarray:
    """The (3, 3) matrix on continuous coordinates that turns a picture around a point of it, seen from a distance in
    pixels at which it keeps its size there.
    """
    yaw, pitch, roll = np.radians((changes.yaw, changes.pitch, changes.roll))
    turn = (
        np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
        @ np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
        @ np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    )
    # The point (x, y) lies at (x, y, 0) before the turn; from the eye it is seen at x / (1 + z / distance).
    onto = np.array([turn[0, :2], turn[1, :2], turn[2, :2] / distance])
    seen = np.column_stack([onto, [0, 0, 1]])
    shift = np.array([[1, 0, middle[0]], [0, 1, middle[1]], [0, 0, 1]])
    return shift @ seen @ np.linalg.inv(shift)


def alter(face: Portrait, changes: Changes, rng: np.random.Generator) -> np.ndarray:
    """A photo (H, W, 3) RGB uint8 of a portrait's size with its changes; `rng` gives the noise."""
    image = face.image
    height, width = image.shape[:2]
    middle, side = (face.box[:2] + face.box[2:]) / 2, max(face.box[3] - face.box[1], 1.0)
    if changes.yaw or changes.pitch or changes.roll:
        # OpenCV's coordinates are those of pixels' centres.
        matrix = turned(changes, middle - 0.5, DISTANCE * side)
        image = cv2.warpPerspective(
            image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
    if changes.gamma != 1:
        image = colour(image, gamma=changes.gamma)
    if changes.shade:
        x, y = np.arange(width) + 0.5 - middle[0], np.arange(height) + 0.5 - middle[1]
        angle = np.radians(changes.direction)
        along = (np.cos(angle) * x + np.sin(angle) * y[:, None]) / (side / 2)
        gain = 1 + changes.shade * np.clip(along, -1, 1)
        image = np.clip(np.rint(image * gain[..., None]), 0, 255).astype(np.uint8)
    if 0 < changes.height < side:
        image = low_resolution(image, side / changes.height)
    if changes.noise:
        image = noise(image, changes.noise, rng)
    return jpeg(image, changes.quality) if changes.quality < 100 else image


def alterations(names: Iterable[str]) -> Make:
    """What `write_photos` makes altered photos with; columns are the record and its `Changes`.

    Each is made of a record with one face and its landmarks, drawn by lot. Leave sets out that hold people for
    validation.

    Raises
    ------
    PrepareError
        No record serves.
    """
    usable = find_portraits(names, 1)

    def make(rng: np.random.Generator) -> Made:
        record, changes = usable[rng.integers(len(usable))].read(), draw_changes(rng)
        columns = (record_name(record), *(f'{value:.4g}' for value in changes))
        return columns, lambda: alter(portrait(record), changes, rng)

    return make
