"""`wider64`: a JSON object from the image's name to its boxes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from uniface_mx.data.sources.base import AnnotatedSource, PathLike, SourceError, require_folder
from uniface_mx.data.sources.lists import collect


class Wider64Source(AnnotatedSource):
    """Photos of WIDER FACE: `images/` and `boxes_xyxy.json`, {name: [[left, top, right, bottom], ...]}.

    Parameters
    ----------
    path : str or Path
    """

    kind = 'wider64'
    licence = 'CC BY-NC-ND 4.0 (WIDER FACE)'
    complete = True

    def __init__(self, path: PathLike, **common: Any) -> None:
        root = require_folder(path, 'with images/ and boxes_xyxy.json')
        listed = root / 'boxes_xyxy.json'
        try:
            content = json.loads(listed.read_text(encoding='utf-8'))
        except (OSError, ValueError) as error:
            raise SourceError(f'{listed}: {error}') from None
        if not isinstance(content, dict):
            raise SourceError(f'{listed}: expected an object {{image: boxes}}')
        entries = []
        for name, rows in content.items():
            where = f'{listed}: {name}'
            try:
                boxes = np.array(rows, np.float64)
            except (TypeError, ValueError):
                boxes = np.array(np.nan)
            if boxes.size and (boxes.ndim != 2 or boxes.shape[1] != 4) or not np.isfinite(boxes).all():
                raise SourceError(f'{where}: expected a list of boxes [left, top, right, bottom]')
            entries.append((where, f'images/{name}', {'boxes': boxes}))
        super().__init__(root, collect(root, entries), **common)
