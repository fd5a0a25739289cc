"""What the report's tables are made of: folders of results, columns that say what to read there, and cells."""

from __future__ import annotations

import re
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from uniface_mx.evaluation.results import percent, read_results
from uniface_mx.train.log import METRICS, read_rows

LETTER = re.compile(
    r'^(?:uniface_|lite_|model_|ablation_)*([abcd])(?:_lite)?(?:_mimic)?(?:[_-]?(?:seed)?_?\d+)?$'
)

# A column: its title; where its value stands in a row (what the row's `read` takes, or a function of the row); and how
# it is written where it is not None, as a format or by a function.
Column = Tuple


def get(content: Any, where: str) -> Any:
    """The value below nested keys, as ``metrics/held_out/mean``; None where any is missing."""
    for key in where.split('/'):
        content = content.get(key) if isinstance(content, Mapping) else None
    return content


class Folder(NamedTuple):
    """A folder of results, which is a row of the ablation.

    ``name``; ``results`` by name; ``letter``, which of the paper's models it is, or None; ``views``, how many faces
    its run has seen in training, None where there is no ``metrics.jsonl``.
    """

    name: str
    results: Dict[str, Dict[str, Any]]
    letter: Optional[str]
    views: Optional[int] = None

    def read(self, where: str) -> Any:
        """A figure as ``RESULT/KEY/KEY``, None where it was not measured."""
        result, _, keys = where.partition('/')
        return get(self.results, f'{result}/metrics/{keys}')


class Result(NamedTuple):
    """One result of a folder, which is a row of most tables."""

    folder: Folder
    name: str
    content: Dict[str, Any]

    def read(self, where: str) -> Any:
        """What stands below nested keys, as ``metrics/error``; None if it ends with ``?`` and is not there."""
        if where.endswith('?'):
            return get(self.content, where[:-1])
        return reduce(getitem, where.split('/'), self.content)


def results(folders: Iterable[Folder], *names: str) -> List[Result]:
    """Results by the beginnings of their names, folder by folder; in the order of ``names``, then of their own."""
    return [
        Result(folder, name, content)
        for folder in folders
        for start in names
        for name, content in sorted(folder.results.items())
        if name == start or start.endswith('_') and name.startswith(start)
    ]


def _cell(
    row: Any, where: Union[str, Callable[[Any], Any]], form: Union[str, Callable[[Any], Any]] = ''
) -> Any:
    value = where(row) if callable(where) else row.read(where)
    return value if value is None else form(value) if callable(form) else format(value, form)


def markdown(titles: Iterable[str], rows: Iterable[Sequence[Any]]) -> List[str]:
    """Lines of a Markdown table; None is an empty cell."""
    titles = list(titles)
    lines = [titles, ['---'] * len(titles)]
    lines += [['' if cell is None else str(cell).replace('|', '\\|') for cell in row] for row in rows]
    return [f'| {" | ".join(line)} |' for line in lines] + ['']


def table(columns: Sequence[Column], rows: Iterable[Any], first: Sequence[Sequence[Any]] = ()) -> List[str]:
    """Lines of a Markdown table with these columns of some rows; ``first`` are rows of cells that come before."""
    cells = [[_cell(row, *column[1:]) for column in columns] for row in rows]
    return markdown([column[0] for column in columns], [*first, *cells])


def section(title: str, *texts: str) -> List[str]:
    """Lines of a heading and of paragraphs below it."""
    return [line for text in (f'## {title}', *texts) for line in (text, '')]


def picture(title: str, folder: str, file: str) -> List[str]:
    """Lines that show a picture."""
    return [f'![{title}]({folder}/{file})', '']


def name_of(row: Union[Folder, Result]) -> str:
    """The folder that a row is about."""
    return row.name if isinstance(row, Folder) else row.folder.name


def number(value: float) -> str:
    """To three digits."""
    return f'{value:.3f}'


def interval(figures: Optional[Mapping[str, Any]], form: Callable[[float], str] = number) -> Optional[str]:
    """``0.812 (0.800 to 0.823)`` of a mean or share with its interval; None where there is none."""
    value = None if figures is None else figures.get('mean', figures.get('share'))
    if value is None:
        return None
    low, high = figures['interval']
    return f'{form(value)} ({form(low)} to {form(high)})'


def read_folders(root: Union[str, Path]) -> List[Folder]:
    """Results of every folder below ``root``, by folder."""
    found: Dict[str, Dict[str, Dict[str, Any]]] = {}
    for path, result in read_results(root).items():
        found.setdefault(path.parent.name, {})[path.stem] = result
    folders = []
    for name, own in found.items():
        names = [get(result, 'subject/model/name') for result in own.values()] + [name]
        letter = next(filter(None, map(letter_of, names)), None)
        folders.append(Folder(name, own, letter, face_views(Path(root) / name / METRICS)))
    return folders


def letter_of(name: Any) -> Optional[str]:
    """Which of the paper's models a name is about, ``A`` to ``D``, or None."""
    found = LETTER.match(str(name).lower())
    return found.group(1).upper() if found else None


def face_views(path: Path) -> Optional[int]:
    """Faces that a run has seen so far, each as often as it was seen."""
    rows = read_rows(path) if path.is_file() else []
    return max((int(row.get('faces') or 0) for row in rows), default=None)


def trained(folder: Folder) -> Dict[str, Any]:
    """What a model's manifest says of its training; empty where it says nothing, or says it in words."""
    told = (get(result, 'subject/training') for result in folder.results.values())
    return next((one for one in told if isinstance(one, Mapping) and one), {})


def training(folder: Folder) -> Optional[str]:
    """What a model was trained on: the manifest's own words, or its record sets with their faces."""
    for result in folder.results.values():
        told = get(result, 'subject/training/data') or get(result, 'subject/training')
        if isinstance(told, str):
            return told
        if isinstance(told, list):
            return ', '.join(map(str, told))
        if get(told, 'records'):
            return ', '.join(
                f'{name} ({records.get("faces") or records.get("records", 0):,} '
                f'{"faces" if records.get("faces") else "photos without"})'
                for name, records in sorted(told['records'].items())
            )
    return None


def accuracy(folder: Folder, name: str = 'lfw') -> Optional[str]:
    """Accuracy in percent, with the standard deviation of the folds."""
    return percent(folder.read(f'{name}/accuracy'), folder.read(f'{name}/std'))
