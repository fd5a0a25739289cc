"""AFLW: Annotated Facial Landmarks in the Wild, from its SQLite file."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np

from uniface_mx.data.sources.base import PathLike, Source, SourceError, annotated
from uniface_mx.data.sources.lists import relative_key
from uniface_mx.geometry import xywh_to_xyxy

# AFLW names points as the viewer sees them: LeftEyeLeftCorner is the leftmost eye point of an upright face.
FEATURES = ('LeftEyeCenter', 'RightEyeCenter', 'NoseCenter', 'MouthLeftCorner', 'MouthRightCorner')
UNSEEN = (np.nan, np.nan)
FACES = """SELECT FaceImages.filepath, Faces.face_id, FaceRect.x, FaceRect.y, FaceRect.w, FaceRect.h
           FROM Faces JOIN FaceImages ON FaceImages.file_id = Faces.file_id
           LEFT JOIN FaceRect ON FaceRect.face_id = Faces.face_id ORDER BY Faces.face_id"""
POINTS = f"""SELECT FeatureCoords.face_id, FeatureCoordTypes.descr, FeatureCoords.x, FeatureCoords.y
            FROM FeatureCoords JOIN FeatureCoordTypes USING (feature_id)
            WHERE FeatureCoordTypes.descr IN ({', '.join('?' * len(FEATURES))})"""


def open_aflw(path: PathLike, *, root: str = '', **common: Any) -> Source:
    """Photos of AFLW with the square boxes and those of the 21 points that the paper uses.

    AFLW marks only the points that can be seen: a face with fewer than the five has no landmarks here. A face
    without a rectangle is left out, and counted.

    Parameters
    ----------
    path : str or Path
        `aflw.sqlite`.
    root : str
        Folder of the images; `flickr` beside the SQLite file if not given.
    """
    path = Path(path)
    folder = Path(root) if root else path.parent / 'flickr'
    faces, points = _read(path)
    marks: Dict[int, Dict[str, Tuple[float, float]]] = defaultdict(dict)
    for face, feature, x, y in points:
        marks[face][feature] = (x, y)
    rows, without = defaultdict(list), []
    for image, face, *rect in faces:
        key = relative_key(str(image), f'{path}: face {face}')
        if None in rect:
            without.append((key, f'face_id {face}: it has no rectangle'))
            rows[key] += []
            continue
        try:
            five = np.array([marks[face].get(feature, UNSEEN) for feature in FEATURES], np.float32)
            box = xywh_to_xyxy(np.array(rect, np.float32))
        except (TypeError, ValueError):
            raise SourceError(f'{path}: face_id {face}: not all numbers') from None
        rows[key].append((box, five if np.isfinite(five).all() else np.full_like(five, np.nan)))
    images = {}
    for key, found in rows.items():
        boxes, points = zip(*found) if found else ((), ())
        images[key] = annotated(key, folder / key, boxes, points)
    return Source(folder, images, images.__getitem__, left_out=without, **common)


def _read(path: Path) -> Tuple[List[tuple], List[tuple]]:
    if not path.is_file():
        raise SourceError(f"{path}: no such file (AFLW's aflw.sqlite)")
    try:
        connection = sqlite3.connect(path.resolve().as_uri() + '?mode=ro', uri=True)
        try:
            return connection.execute(FACES).fetchall(), connection.execute(POINTS, FEATURES).fetchall()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise SourceError(f"{path}: not AFLW's SQLite file ({error})") from None
