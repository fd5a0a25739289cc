"""Photos of faces turned, lit and spoilt more strongly than training does by itself.

There the label stays the untouched photo's, here the teachers say what they still see.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable, Iterable, List, NamedTuple, Tuple, Union

import cv2
import numpy as np

from uniface_mx.data.prepare import PrepareError
from uniface_mx.data.prepare.sets import record_name
from uniface_mx.data.records import RecordReader
from uniface_mx.data.rows import BOX, HAS_LANDMARKS, IGNORE
from uniface_mx.data.transforms.photometric import colour, jpeg, low_resolution, noise
from uniface_mx.image import write_image

LIST = 'made.tsv'

# Degrees; the photo turns as a flat picture, seen from so many heights of the face.
YAW, PITCH, ROLL, DISTANCE = 40.0, 25.0, 35.0, 2.5
# Logarithm of gamma; brightness lost or won from the face's middle to its edge.
GAMMA, SHADE = 0.9, 0.7
# Pixels that are left of the face's height, grey levels, quality.
HEIGHTS, NOISE, QUALITIES = (24.0, 80.0), 14.0, (8, 40)
CHANCE = 0.6


class Changes(NamedTuple):
    """What is done to a photo.

    Parameters
    ----------
    yaw, pitch, roll : float
        Degrees.
    gamma, shade, direction : float
        Gamma; strength of a shade, and where it falls, in degrees from x to y.
    height, noise, quality : float, float, int
        Pixels to which the face's height is reduced (0: not at all); deviation in grey levels; JPEG quality
        (100: not stored).
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
    """The (3, 3) matrix on continuous coordinates that turns a picture around a point of it.

    It is seen from a distance in pixels at which it keeps its size there.
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


def alter(image: np.ndarray, box: np.ndarray, changes: Changes, rng: np.random.Generator) -> np.ndarray:
    """A photo (H, W, 3) RGB uint8 with its only face's box xyxy, changed; `rng` gives the noise."""
    height, width = image.shape[:2]
    middle, side = (box[:2] + box[2:]) / 2, max(box[3] - box[1], 1.0)
    if changes.yaw or changes.pitch or changes.roll:
        # OpenCV's coordinates are those of pixels' centres.
        matrix = turned(changes, middle - 0.5, DISTANCE * side)
        flags = dict(flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        image = cv2.warpPerspective(image, matrix, (width, height), **flags)
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


def find_portraits(names: Iterable[str]) -> List[Tuple[RecordReader, int]]:
    """Where the records of sets stand that show one face, with landmarks."""
    readers = [RecordReader(name) for name in names]
    found = []
    for reader in readers:
        flags = [record.objects[:, [HAS_LANDMARKS, IGNORE]].tolist() for record in reader]
        found += [(reader, i) for i, faces in enumerate(flags) if faces == [[1, 0]]]
    if not found:
        paths = ', '.join(str(reader.path) for reader in readers)
        raise PrepareError(f'{paths}: at least 1 of the records must show one face with landmarks')
    return found


def write_altered(
    names: Iterable[str],
    out: Union[str, os.PathLike],
    count: int,
    seed: int,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> int:
    """Write altered photos of faces drawn by lot, for the teachers to label as any others.

    They are ``SEED_000000.jpg`` and so on, in a folder; a line of each, its name, the record and its `Changes`,
    goes into ``made.tsv`` there, and what this tells of is kept. Leave sets out that hold people for validation.

    Parameters
    ----------
    names : iterable of str
        Record sets.
    count, seed : int
        Photo i follows from the seed and i.

    Returns
    -------
    int
        How many of these photos there are.

    Raises
    ------
    PrepareError
        No record serves, or a photo is there that was made of something else.
    """
    portraits, folder = find_portraits(names), Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    with open(str(folder / LIST), 'a+', encoding='utf-8', buffering=1) as file:
        file.seek(0)
        listed = {line.split('\t')[0]: line for line in file}
        for number in progress(range(count)):
            rng = np.random.default_rng((seed, number))
            reader, place = portraits[rng.integers(len(portraits))]
            record, changes = reader[place], draw_changes(rng)
            path = folder / f'{seed}_{number:06d}.jpg'
            line = '\t'.join((path.name, record_name(record), *(f'{value:.4g}' for value in changes))) + '\n'
            known = listed.get(path.name)
            if known not in (None, line):
                raise PrepareError(f'{path}: was made of something else; choose another folder for --out')
            if known is None or not path.is_file():
                box = record.objects[0, BOX] * np.array([record.width, record.height] * 2, np.float64)
                write_image(path, alter(record.decode(), box, changes, rng))
            if known is None:
                file.write(line)
    return count
