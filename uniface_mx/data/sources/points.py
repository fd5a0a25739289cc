"""Lists of five points: a path and ten numbers a line, one line a face."""
from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np

from uniface_mx.data.sources.base import (
    AnnotatedSource, SourceError, annotated, parse_numbers, read_lines, relative_key)


class PointsSource(AnnotatedSource):
    """Faces known by their points; their boxes are the teacher's. Lines that begin with `#` are comments.

    Parameters
    ----------
    path : str or Path
        The list. Points are ordered as in `SourceImage`.
    order : str
        `xy`: x1 y1 x2 y2 ... y5. `mtfl`: x1 ... x5 y1 ... y5, then whatever attributes (MTFL's own lists have four).
    root : str
        Folder that the list's paths are relative to; the list's own if not given.
    """

    kind = 'points'

    def __init__(self, path, *, order: str = 'xy', root: str = '', name: str = '', **common):
        if order not in ('xy', 'mtfl'):
            raise SourceError('%s: order=%s: there are xy and mtfl' % (path, order))
        root = Path(root or Path(path).parent)
        faces = defaultdict(list)
        for where, line in read_lines(path):
            if line.startswith('#'):
                continue
            fields = line.split()
            if order == 'mtfl':
                image, values = fields[0], parse_numbers(fields[1:11], 10, where, 'x1 ... x5 y1 ... y5 after the path')
                points = np.reshape(values, (2, 5)).T
            else:
                image = ' '.join(fields[:-10])
                points = np.reshape(parse_numbers(fields[-10:], 10, where, 'x1 y1 ... x5 y5 after the path'), (5, 2))
            faces[relative_key(image, where)].append(points)
        images = {key: annotated(key, root / key, landmarks=points) for key, points in faces.items()}
        super().__init__(root, images, name=name or Path(path).stem, **common)
