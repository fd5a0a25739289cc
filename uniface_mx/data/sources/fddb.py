"""FDDB: ten folds of ellipses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Iterator

from uniface_mx.data.sources.base import AnnotatedSource, PathLike, SourceError, require_folder
from uniface_mx.data.sources.lists import Block, collect, counted_blocks, read_lines
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

    def __init__(
        self, path: PathLike, *, root: str = '', fold: str = '', name: str = 'fddb', **common: Any
    ) -> None:
        folds = require_folder(path, f'with {SUFFIX}')
        if (folds / 'FDDB-folds').is_dir():
            folds = folds / 'FDDB-folds'
        own = folds / 'images'
        folder = Path(root) if root else own if own.is_dir() else folds.parent / 'originalPics'
        images = collect(
            folder,
            (
                (where, f'{image}.jpg', {'boxes': [ellipse_to_box(row[:5]) for row in rows]})
                for where, image, rows in _blocks(folds, fold.lstrip('0'))
            ),
        )
        if not images:
            raise SourceError(f'{folds}: no {f"fold {fold} in " if fold else ""}...{SUFFIX}')
        super().__init__(folder, images, name=name, **common)


def _blocks(folds: Path, fold: str) -> Iterator[Block]:
    """The ellipses of each image, of all folds or of one."""
    for listed in sorted(folds.glob('*' + SUFFIX)):
        match = NAMES.fullmatch(listed.name)
        if not match or fold and match.group(1) != fold:
            continue
        blocks = list(counted_blocks(read_lines(listed), 6, 'radii, angle, centre and 1 of an ellipse'))
        names = listed.with_name(listed.name.replace(SUFFIX, '.txt'))
        if names.exists() and [line for _, line in read_lines(names)] != [block[1] for block in blocks]:
            raise SourceError(f'{names}: not the images of {listed.name}')
        yield from blocks
