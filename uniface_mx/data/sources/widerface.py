"""WIDER FACE: its official text, and the `label.txt` with five points a face of RetinaFace's authors."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from uniface_mx.data.sources.base import (
    AnnotatedSource,
    SourceError,
    annotated,
    counted_blocks,
    parse_numbers,
    read_lines,
    relative_key,
)
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

    def __init__(self, path, *, root: str = '', name: str = 'widerface', **common):
        lines = read_lines(path)
        five_points = bool(lines) and lines[0][1].startswith('#')
        root = Path(root) if root else _default_root(Path(path), five_points)
        images = {}
        blocks = _label_blocks(lines) if five_points else counted_blocks(lines, 10, OFFICIAL_ROW)
        for where, image, rows in blocks:
            key = relative_key(image, where)
            if key in images:
                raise SourceError(f'{where}: {key} is listed twice')
            if five_points:
                points = [np.reshape(row[4:19], (5, 3))[:, :2] for row in rows]
                faces = dict(landmarks=[np.where((p == UNKNOWN).any(), np.nan, p) for p in points])
            else:
                faces = dict(ignore=[row[INVALID] != 0 for row in rows])
            images[key] = annotated(key, root / key, [xywh_to_xyxy(row[:4]) for row in rows], **faces)
        super().__init__(root, images, name=name, **common)


def _label_blocks(lines):
    block = None
    for where, line in lines:
        if line.startswith('#'):
            if block:
                yield block
            block = (where, line[1:], [])
            continue
        fields = line.split()
        if len(fields) == 4:
            fields = fields + [str(UNKNOWN)] * 16
        block[2].append(parse_numbers(fields, 20, where, 'x y w h, five times x y flag, quality'))
    if block:
        yield block


def _default_root(path, five_points):
    if five_points:
        return path.parent / 'images'
    split = re.search('train|val|test', path.name)
    if not split:
        raise SourceError(f'{path}: its name says no split: give the folder of images by root=')
    return path.parent.parent / ('WIDER_' + split.group()) / 'images'
