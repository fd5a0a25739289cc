"""CelebA: its official lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Sequence

from uniface_mx.data.sources.base import AnnotatedSource, PathLike, SourceError, annotated, require_folder
from uniface_mx.data.sources.lists import parse_numbers, read_lines, relative_key
from uniface_mx.geometry import xywh_to_xyxy

SPLITS = {'train': 0, 'val': 1, 'test': 2}
BOXES = 'list_bbox_celeba.txt'
POINTS = 'list_landmarks_celeba.txt'
ALIGNED_POINTS = 'list_landmarks_align_celeba.txt'
IDENTITIES = 'identity_CelebA.txt'
PARTITION = 'list_eval_partition.txt'


class CelebASource(AnnotatedSource):
    """CelebA in the wild (boxes, points, people) or aligned (points, people); one face a photo is annotated.

    The lists are looked for in the folder itself and in its `Anno` and `Eval`. Boxes reach well around the
    head.

    Parameters
    ----------
    path : str or Path
    aligned : bool
        The images are those of `img_align_celeba`.
    images : str
        Folder of the images below the path; `img_celeba` or `img_align_celeba`, in it or in its `Img`, if not
        given.
    split : str
        `train`, `val` or `test` of the official partition; all if not given.
    """

    kind = 'celeba'
    licence = 'CelebA, non-commercial research'
    teacher_box = True

    def __init__(
        self,
        path: PathLike,
        *,
        aligned: bool = False,
        images: str = '',
        split: str = '',
        name: str = 'celeba',
        **common: Any,
    ) -> None:
        root = require_folder(path, 'CelebA with its lists')
        if split and split not in SPLITS:
            raise SourceError(f'{path}: split={split}: there are {", ".join(SPLITS)}')
        points = _table(root, ALIGNED_POINTS if aligned else POINTS, 10, header=True)
        boxes = None if aligned else _table(root, BOXES, 4, header=True)
        people = _table(root, IDENTITIES, 1)
        wanted = list(points)
        if split:
            splits = _table(root, PARTITION, 1)
            wanted = [key for key in points if splits.get(key) == [SPLITS[split]]]
        folder = images or _find(root, 'img_align_celeba' if aligned else 'img_celeba', ('', 'Img'))
        found = {}
        for key in wanted:
            if boxes is not None and key not in boxes:
                raise SourceError(f'{root}: {key} is missing in {BOXES}')
            box = None if boxes is None else xywh_to_xyxy(boxes[key])
            person = f'{people[key][0]:.0f}' if key in people else None
            found[key] = annotated(key, root / folder / key, box, points[key], persons=(person,))
        super().__init__(root / folder, found, name=name, **common)


def _find(root: Path, name: str, folders: Sequence[str]) -> Path:
    for folder in folders:
        if (root / folder / name).exists():
            return Path(folder) / name
    raise SourceError(f'{root}: no {name} in it or its {", ".join(filter(None, folders))}')


def _table(root: Path, name: str, columns: int, header: bool = False) -> Dict[str, List[float]]:
    """The numbers of each image in one of the lists."""
    path = root / _find(root, name, ('', 'Anno', 'Eval'))
    lines = read_lines(path)
    if header:
        # A count and a line of column names stand first.
        (where, count), lines = lines[0] if lines else (f'{path}:1', ''), lines[2:]
        if count != str(len(lines)):
            raise SourceError(f'{where}: {count!r} images promised, {len(lines)} lines follow')
    table = {}
    for where, line in lines:
        image, *fields = line.split()
        table[relative_key(image, where)] = parse_numbers(fields, columns, where, 'columns of ' + name)
    return table
