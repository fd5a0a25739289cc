"""What the report's tables are made of: folders of results, and numbers as cells."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Union

from uniface_mx.provenance import ResultError, read_results
from uniface_mx.train.log import read_rows

LETTER = re.compile(
    r'^(?:uniface_|lite_|model_|ablation_)*([abcd])(?:_lite)?(?:_mimic)?(?:[_-]?(?:seed)?_?\d+)?$'
)

Result = Dict[str, Any]


class Subject(NamedTuple):
    """A folder of results: its name, its results by name, which of the paper's models it is (or None), and
    how many faces its run has seen in training (None where there is no ``metrics.jsonl``).
    """

    name: str
    results: Dict[str, Result]
    letter: Optional[str]
    views: Optional[int] = None


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> List[str]:
    """Lines of a Markdown table; None is an empty cell."""
    lines = [list(map(str, head)), ['---'] * len(head)]
    lines += [['' if cell is None else str(cell).replace('|', '\\|') for cell in row] for row in rows]
    return [f'| {" | ".join(line)} |' for line in lines] + ['']


def get(results: Mapping[str, Any], *keys: str) -> Any:
    """The value below nested keys, None where any is missing."""
    value: Any = results
    for key in keys:
        if not isinstance(value, Mapping) or value.get(key) is None:
            return None
        value = value[key]
    return value


def percent(value: Optional[float], spread: Optional[float] = None) -> Optional[str]:
    """``98.98 ± 0.39`` of shares; None stays None."""
    if value is None:
        return None
    return f'{100 * value:.2f}' + ('' if spread is None else f' ± {100 * spread:.2f}')


def number(value: Optional[float], form: str = '{:.3f}') -> Optional[str]:
    """A number in a form; None stays None."""
    return None if value is None else form.format(value)


def interval(part: Optional[Mapping[str, Any]], form) -> Optional[str]:
    """``0.812 (0.800 to 0.823)`` of a mean or share with its interval."""
    value = None if part is None else part.get('mean', part.get('share'))
    if value is None:
        return None
    low, high = part['interval']
    return f'{form(value)} ({form(low)} to {form(high)})'


def read_subjects(root: Union[str, Path]) -> List[Subject]:
    """Results of every folder below ``root``, by folder."""
    folders: Dict[str, Dict[str, Result]] = {}
    for result in map(_strict, read_results(root)):
        folders.setdefault(result['path'].parent.name, {})[result['path'].stem] = result
    subjects = []
    for name, results in folders.items():
        names = [get(result, 'subject', 'model', 'name') for result in results.values()] + [name]
        letter = next(filter(None, map(letter_of, names)), None)
        subjects.append(Subject(name, results, letter, face_views(Path(root) / name / 'metrics.jsonl')))
    return subjects


def _strict(result: Result) -> Result:
    """A result whose objects name its file where they are asked for what they lack."""

    class Strict(dict):
        def __missing__(self, key):
            raise ResultError(f'{result["path"]}: lacks {key!r}; run the evaluation anew')

    def convert(value: Any) -> Any:
        if isinstance(value, dict):
            return Strict((key, convert(item)) for key, item in value.items())
        return [convert(item) for item in value] if isinstance(value, list) else value

    return convert(result)


def letter_of(name: Any) -> Optional[str]:
    """Which of the paper's models a name is about, ``A`` to ``D``, or None."""
    found = LETTER.match(str(name).lower())
    return found.group(1).upper() if found else None


def face_views(path: Path) -> Optional[int]:
    """Faces that a run has seen so far, each as often as it was seen."""
    return (
        max((int(row.get('faces') or 0) for row in read_rows(path)), default=None) if path.is_file() else None
    )


def trained(subject: Subject) -> Dict[str, Any]:
    """What a model's manifest says of its training; empty where it says nothing, or says it in words."""
    told = (get(result, 'subject', 'training') for result in subject.results.values())
    return next((one for one in told if isinstance(one, Mapping) and one), {})


def training(subject: Subject) -> Optional[str]:
    """What a model was trained on: the manifest's own words, or its record sets with their faces."""
    for result in subject.results.values():
        told = get(result, 'subject', 'training', 'data') or get(result, 'subject', 'training')
        if isinstance(told, str):
            return told
        if isinstance(told, list):
            return ', '.join(map(str, told))
        if get(told or {}, 'records'):
            return ', '.join(
                f'{name} ({part.get("faces") or part.get("records", 0):,} {what})'
                for name, part in sorted(told['records'].items())
                for what in ['faces' if part.get('faces') else 'photos without']
            )
    return None


def metrics(subject: Subject, name: str) -> Dict[str, Any]:
    """Figures of one result, empty if it was not run."""
    return subject.results[name]['metrics'] if name in subject.results else {}


def accuracy(subject: Subject, name: str = 'lfw') -> Optional[str]:
    """Accuracy in percent, with the standard deviation of the folds."""
    figures = metrics(subject, name)
    return percent(figures.get('accuracy'), figures.get('std'))


def perturbed(subject: Subject) -> Dict[str, Any]:
    """Figures of the robustness test with the paper's 60 pixels."""
    return metrics(subject, 'lfw_perturb60')
