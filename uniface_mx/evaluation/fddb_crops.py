"""FDDB-crops: real photos that show some of FDDB's faces, cut out of FDDB's photos.

They are easier than FDDB, and no figure on them is a figure on FDDB. A face that is visible by less than a
half, and a detection on it, do not count.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Dict, NamedTuple, Tuple, Union

import numpy as np

from uniface_mx.evaluation import fddb
from uniface_mx.evaluation.subject import Subject

VISIBLE = 0.5


class Crops(NamedTuple):
    """Image name -> path, ellipses (n, 5) in the image's pixels, and (n,) bool of the faces that do not
    count.
    """

    photos: Dict[str, Path]
    ellipses: Dict[str, np.ndarray]
    ignored: Dict[str, np.ndarray]


def read_crops(directory: Union[str, Path]) -> Crops:
    """Read ``meta.json`` of a folder whose ``images`` are the crops.

    Raises
    ------
    FddbError
        If it is not in that form, or photos are missing.
    """
    directory = Path(directory)
    path = directory / 'meta.json'
    photos, ellipses, ignored = {}, {}, {}
    try:
        for image in json.loads(path.read_text(encoding='utf-8')):
            name, faces = image['image'], image['faces']
            photos[name] = directory / 'images' / (name + '.jpg')
            ellipses[name] = np.array([face['ellipse'] for face in faces], np.float64).reshape(len(faces), 5)
            ignored[name] = np.array([face['visible_fraction'] < VISIBLE for face in faces], bool)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise fddb.FddbError(f'{path}: not the description of FDDB-crops ({error!r})') from error
    fddb.find_photos(directory / 'images', photos)
    return Crops(photos, ellipses, ignored)


def evaluate(subject: Subject, crops: Crops, progress: bool = True) -> Tuple[fddb.Curve, Dict[str, int]]:
    """Curves as for FDDB, and how many photos and faces there are."""
    detections, sizes = fddb.detect(subject, crops.photos, progress)
    curve = fddb.evaluate(crops.ellipses, detections, sizes, crops.ignored)
    return curve, {
        'photos': len(crops.photos),
        'faces': curve.faces,
        'faces_that_do_not_count': int(sum(flags.sum() for flags in crops.ignored.values())),
    }
