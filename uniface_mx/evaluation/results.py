"""Result files: what a run measured, on what, with what, so that a report needs nobody's memory.

A result is one JSON file, ``DIRECTORY/NAME.json``, with these keys:

``format``    1
``name``      what was measured: ``lfw``, ``fddb``, ``landmarks``, ``speed``, ...
``subject``   whom it is about: ``{"name": "uniface_a_lite", ...}``, with the sha256 of its files
``data``      what it was measured on: ``{"name": "LFW", "images": 7701, ...}``
``metrics``   the figures; their keys belong to the evaluation that wrote them
``command``   the program's arguments
``date``, ``revision``, ``versions``, ``machine``   as :func:`uniface_mx.provenance.provenance` has them
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Union

from uniface_mx.errors import UnifaceError
from uniface_mx.provenance import provenance, write_json

FORMAT = 1
REQUIRED = ('format', 'name', 'subject', 'data', 'metrics')


class ResultError(UnifaceError):
    """A result file that cannot be read, or was written by something else."""


def write_result(
    directory: Union[str, Path], name: str, *, command: Optional[Sequence[str]] = None, **content: Mapping
) -> Path:
    """Write ``directory/name.json`` in the form this module's docstring gives, as `write_json` does.

    Parameters
    ----------
    directory : path
        Made if missing; by custom ``experiments/results/SUBJECT``.
    name : str
        What was measured.
    command : sequence of str, optional
        The program's arguments; ``sys.argv`` by default. It is kept as :func:`uniface_mx.provenance.portable`
        gives it.
    content : mapping
        ``subject``, ``data`` and ``metrics``.
    """
    head = {'format': FORMAT, 'name': name}
    return write_json(Path(directory) / f'{name}.json', {**head, **content, **provenance(command)})


class Strict(dict):
    """An object of a result file, which is named where somebody asks for a key that it lacks."""

    path: Path

    def __missing__(self, key: str) -> Any:
        raise ResultError(f'{self.path}: lacks {key!r}; run the evaluation anew')


def _read(path: Path) -> Any:
    own = type('Own', (Strict,), {'path': path})
    try:
        return json.loads(path.read_text(encoding='utf-8'), object_hook=own)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise ResultError(f'{path}: not a readable result file ({error})') from error


def _checked(path: Path, result: Any) -> Dict[str, Any]:
    missing = [key for key in REQUIRED if not isinstance(result, dict) or key not in result]
    if missing:
        raise ResultError(f'{path}: not a result file, it lacks {", ".join(missing)}')
    if result['format'] != FORMAT:
        raise ResultError(f'{path}: result format {result["format"]}, this version reads {FORMAT}')
    return result


def read_result(path: Union[str, Path]) -> Dict[str, Any]:
    """Read one result file; :class:`ResultError` if it is broken or not a result."""
    return _checked(Path(path), _read(Path(path)))


def read_results(root: Union[str, Path]) -> Dict[Path, Dict[str, Any]]:
    """All results in ``root/*/*.json`` by path, sorted.

    JSON files that lack a ``format`` key altogether (training logs, summaries) are passed over.
    """
    contents = {path: _read(path) for path in sorted(Path(root).glob('*/*.json'))}
    return {
        path: _checked(path, content)
        for path, content in contents.items()
        if isinstance(content, dict) and 'format' in content
    }


def percent(value: Optional[float], spread: Optional[float] = None) -> Optional[str]:
    """A share in percent, ``98.98`` or ``98.98 ± 0.39``; None stays None."""
    if value is None:
        return None
    return f'{100 * value:.2f}' + ('' if spread is None else f' ± {100 * spread:.2f}')


def aligned(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> List[str]:
    """Lines of a printed table, its first column to the left and the others to the right."""
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    first, *widths = (max(map(len, column)) for column in zip(*cells))
    return ['  '.join([row[0].ljust(first), *map(str.rjust, row[1:], widths)]) for row in cells]


def shown(value: Optional[float]) -> str:
    """A share as programs print it: ``98.98 %``, or ``none``."""
    return 'none' if value is None else f'{percent(value)} %'
