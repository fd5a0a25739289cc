"""WIDER FACE: its official text, and the `label.txt` with five points a face of RetinaFace's authors."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import numpy as np

from uniface_mx.data.sources.base import AnnotatedSource, PathLike, SourceError
from uniface_mx.data.sources.lists import Block, collect, counted_blocks, parse_numbers, read_lines
from uniface_mx.geometry import xywh_to_xyxy

OFFICIAL_ROW = 'x y w h blur expression illumination invalid occlusion pose'
INVALID = OFFICIAL_ROW.split().index('invalid')
UNKNOWN = -1


class WiderFaceSource(AnnotatedSource):
    """WIDER FACE with all its boxes; those marked invalid are to be ignored.

    The form is seen from the first line. Official: a path, the number of faces, and a row of four box numbers
    (left, top, width, height) and six attributes for each; for 0 faces a row of zeros stands there all the
    same. `label.txt`: `# path`, then a row for each face of its box, five points with a flag each (image-left
    eye first, -1 where a point is unknown), and a quality; or of its box alone. A face with an unknown point
    has no landmarks.

    Parameters
    ----------
    path : str or Path
        `wider_face_train_bbx_gt.txt`, `wider_face_val_bbx_gt.txt` or a `label.txt`.
    root : str
        Folder that paths are relative to. If not given: `../WIDER_train/images` (`val`) beside the official
        file's folder, `images` beside a `label.txt`.
    """

    kind = 'widerface'
    licence = 'CC BY-NC-ND 4.0 (WIDER FACE)'
    complete = True

    def __init__(self, path: PathLike, *, root: str = '', name: str = 'widerface', **common: Any) -> None:
        lines = read_lines(path)
        five_points = bool(lines) and lines[0][1].startswith('#')
        folder = Path(root) if root else _default_root(Path(path), five_points)
        blocks = _label_blocks(lines) if five_points else counted_blocks(lines, 10, OFFICIAL_ROW)
        faces = _label_faces if five_points else _official_faces
        images = collect(folder, ((where, image, faces(rows)) for where, image, rows in blocks))
        super().__init__(folder, images, name=name, **common)


def _official_faces(rows: List[List[float]]) -> Dict[str, Any]:
    boxes = [xywh_to_xyxy(row[:4]) for row in rows]
    return {'boxes': boxes, 'ignore': [row[INVALID] != 0 for row in rows]}


def _label_faces(rows: List[List[float]]) -> Dict[str, Any]:
    points = [np.reshape(row[4:19], (5, 3))[:, :2] for row in rows]
    landmarks = [np.where((five == UNKNOWN).any(), np.nan, five) for five in points]
    return {'boxes': [xywh_to_xyxy(row[:4]) for row in rows], 'landmarks': landmarks}


def _label_blocks(lines: List[Tuple[str, str]]) -> Iterator[Block]:
    image, rows = lines[0], []
    for where, line in lines[1:]:
        if line.startswith('#'):
            yield image[0], image[1][1:], rows
            image, rows = (where, line), []
            continue
        fields = line.split()
        if len(fields) == 4:
            fields += [str(UNKNOWN)] * 16
        rows.append(parse_numbers(fields, 20, where, 'x y w h, five times x y flag, quality'))
    yield image[0], image[1][1:], rows


def _default_root(path: Path, five_points: bool) -> Path:
    if five_points:
        return path.parent / 'images'
    split = re.search('train|val|test', path.name)
    if not split:
        raise SourceError(f'{path}: its name says no split: give the folder of images by root=')
    return path.parent.parent / f'WIDER_{split.group()}' / 'images'
