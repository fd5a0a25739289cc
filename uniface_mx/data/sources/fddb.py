"""FDDB: ten folds of ellipses."""

from __future__ import annotations

import re
from pathlib import Path

from uniface_mx.data.sources.base import (
    AnnotatedSource,
    SourceError,
    annotated,
    counted_blocks,
    read_lines,
    relative_key,
    require_folder,
)
from uniface_mx.geometry import ellipse_to_box

SUFFIX = '-ellipseList.txt'
NAMES = re.compile(r'.*fold-0*(\d+)' + re.escape(SUFFIX))


class FDDBSource(AnnotatedSource):
    """Images of FDDB with the upright boxes around its ellipses. For evaluation only.

    A fold's list of images (`FDDB-fold-01.txt`) must name the same images as its ellipses do, where it is
    there.

    Parameters
    ----------
    path : str or Path
        Folder with `FDDB-fold-01-ellipseList.txt` to `-10-`, or with such of FDDB-crops; or the folder above
        `FDDB-folds`.
    root : str
        Folder of the images (`2002/08/11/big/img_591.jpg`); if not given `images` in the path, else
        `originalPics` beside the folder of the ellipses.
    fold : str
        Number of the one fold wanted.
    """

    kind = 'fddb'
    licence = 'research, evaluation only'
    complete = True
    teacher_box = True

    def __init__(self, path, *, root: str = '', fold: str = '', name: str = 'fddb', **common):
        folds = require_folder(path, 'with ' + SUFFIX)
        if (folds / 'FDDB-folds').is_dir():
            folds = folds / 'FDDB-folds'
        if root:
            root = Path(root)
        else:
            root = folds / 'images' if (folds / 'images').is_dir() else folds.parent / 'originalPics'
        images = {}
        for listed in sorted(folds.glob('*' + SUFFIX)):
            match = NAMES.fullmatch(listed.name)
            if not match or fold and match.group(1) != fold.lstrip('0'):
                continue
            blocks = list(counted_blocks(read_lines(listed), 6, 'radii, angle, centre and 1 of an ellipse'))
            names = listed.with_name(listed.name.replace(SUFFIX, '.txt'))
            if names.exists() and [line for _, line in read_lines(names)] != [block[1] for block in blocks]:
                raise SourceError(f'{names}: not the images of {listed.name}')
            for where, image, rows in blocks:
                key = relative_key(image + '.jpg', where)
                if key in images:
                    raise SourceError(f'{where}: {key} is listed twice')
                images[key] = annotated(key, root / key, [ellipse_to_box(row[:5]) for row in rows])
        if not images:
            raise SourceError(f'{folds}: no {(f"fold {fold} in " if fold else "")}{"..." + SUFFIX}')
        super().__init__(root, images, name=name, **common)
