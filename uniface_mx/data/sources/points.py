"""Lists of five points: a path and ten numbers a line, one line a face."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from uniface_mx.data.sources.base import AnnotatedSource, PathLike, SourceError, annotated
from uniface_mx.data.sources.lists import parse_numbers, read_lines, relative_key


class PointsSource(AnnotatedSource):
    """Faces known by their points; their boxes are the teacher's. Lines that begin with `#` are comments.

    Parameters
    ----------
    path : str or Path
        The list. Points are ordered as in `SourceImage`.
    order : str
        `xy`: x1 y1 x2 y2 ... y5. `mtfl`: x1 ... x5 y1 ... y5, then whatever attributes (MTFL's own lists have
        four).
    root : str
        Folder that the list's paths are relative to; the list's own if not given.
    """

    kind = 'points'

    def __init__(
        self, path: PathLike, *, order: str = 'xy', root: str = '', name: str = '', **common: Any
    ) -> None:
        if order not in ('xy', 'mtfl'):
            raise SourceError(f'{path}: order={order}: there are xy and mtfl')
        root = Path(root or Path(path).parent)
        faces = defaultdict(list)
        for where, line in read_lines(path):
            if line.startswith('#'):
                continue
            fields = line.split()
            image, numbers = (fields[:-10], fields[-10:]) if order == 'xy' else (fields[:1], fields[1:11])
            values = parse_numbers(numbers, 10, where, f'five points after the path, in order {order}')
            points = np.reshape(values, (5, 2)) if order == 'xy' else np.reshape(values, (2, 5)).T
            faces[relative_key(' '.join(image), where)].append(points)
        images = {key: annotated(key, root / key, landmarks=points) for key, points in faces.items()}
        super().__init__(root, images, name=name or Path(path).stem, **common)
