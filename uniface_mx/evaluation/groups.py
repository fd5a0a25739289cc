"""Whom a model serves worse: figures by age and origin, for a model card.

Two collections tell age and origin in their files' names, one face a photo:

- UTKFace, ``AGE_SEX_ORIGIN_DATE.jpg``, origins by number;
- All-Age-Faces, ``NUMBERAAGE.jpg``, mostly Asian faces.

Nobody annotated landmarks there, so landmarks and embeddings are compared with the teachers'. Both labels are
guesses of those who made the collections.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple, Union

import numpy as np
from tqdm import tqdm

from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation.intervals import mean_with_interval, wilson
from uniface_mx.evaluation.lfw import choose_face
from uniface_mx.evaluation.photos import batches, face_at, pad, readable
from uniface_mx.evaluation.subject import FoundFace, Subject, similarities
from uniface_mx.geometry import SAME_FACE, iou, point_errors

AGES = ((0, 5), (6, 12), (13, 19), (20, 39), (40, 59), (60, None))
UTKFACE_ORIGINS = ('white', 'black', 'asian', 'indian', 'other')


class Person(NamedTuple):
    """One photo of one person: ``path``, ``age`` in years, ``origin``."""

    path: Path
    age: int
    origin: str


def _utkface(name: str) -> Optional[Tuple[int, str]]:
    found = re.match(r'(\d{1,3})_[01]_([0-4])_\d+', name)
    return (int(found.group(1)), UTKFACE_ORIGINS[int(found.group(2))]) if found else None


def _all_age_faces(name: str) -> Optional[Tuple[int, str]]:
    found = re.match(r'\d+[Aa](\d{1,3})\.', name)
    return (int(found.group(1)), 'mostly asian') if found else None


NAMES: Dict[str, Callable[[str], Optional[Tuple[int, str]]]] = {
    'utkface': _utkface,
    'all_age_faces': _all_age_faces,
}


def read_names(path: Union[str, Path], kind: str) -> Set[str]:
    """Photos' file names out of a list, a path a line, or out of a record set's ``.keys``, of which only
    those of the source ``kind`` count.
    """
    try:
        lines = Path(path).read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UnifaceError(f'{path}: cannot be read ({error})') from error
    parts = [line.rpartition('\t') for line in lines if line.strip()]
    return {Path(key.strip()).name for source, tab, key in parts if not tab or source == kind}


def read_people(
    root: Union[str, Path], kind: str, only: Optional[Set[str]] = None
) -> Tuple[List[Person], int]:
    """Photos below a folder whose names tell age and origin, sorted by name, and the number of those that do
    not.

    Parameters
    ----------
    root : path
    kind : str
        A key of ``NAMES``.
    only : set of str, optional
        Names of the photos to take: those that were not trained on.
    """
    if kind not in NAMES:
        raise UnifaceError(f'unknown collection {kind!r}: choose from {", ".join(sorted(NAMES))}')
    if not Path(root).is_dir():
        raise UnifaceError(f'{root}: no such folder')
    people, unnamed = [], 0
    for path in sorted(Path(root).rglob('*.jpg'), key=lambda path: path.name):
        if only is not None and path.name not in only:
            continue
        told = NAMES[kind](path.name)
        if told is None:
            unnamed += 1
        else:
            people.append(Person(path, *told))
    if not people:
        raise UnifaceError(
            '{}: no photo named like those of {}{}'.format(
                root, kind, '' if only is None else f' among the {len(only)} that were asked for'
            )
        )
    return people, unnamed


def age_group(age: int) -> str:
    """Name of the age group, ``20-39``."""
    low, high = [bounds for bounds in AGES if bounds[0] <= age][-1]
    return f'{low}+' if high is None else f'{low}-{high}'


def choose_people(people: Sequence[Person], limit: int, seed: int = 0) -> List[Person]:
    """At most ``limit`` people of each age group and origin, drawn with ``seed``, in their old order."""
    generator = np.random.default_rng(seed)
    by_group: Dict[Tuple[str, str], List[int]] = {}
    for number, person in enumerate(people):
        by_group.setdefault((age_group(person.age), person.origin), []).append(number)
    chosen: List[int] = []
    for _, numbers in sorted(by_group.items()):
        chosen += sorted(generator.permutation(numbers)[:limit].tolist())
    return [people[number] for number in sorted(chosen)]


class Outcome(NamedTuple):
    """What came of one photo; the last two are None where either side found no face."""

    person: Person
    found: bool
    found_by_teacher: bool
    landmark_error: Optional[float]
    cosine: Optional[float]


def find_person(
    faces: Sequence[FoundFace], teacher: Optional[FoundFace], middle: np.ndarray
) -> Optional[FoundFace]:
    """The face that overlaps the teacher's most, if by 0.5; where the teacher has none, the one whose box
    holds the photo's middle (2,).
    """
    if teacher is None or not len(faces):
        return face_at(faces, middle)
    overlap = iou(
        np.array([face.box for face in faces], np.float64), np.asarray(teacher.box, np.float64)[None]
    )
    best = int(overlap[:, 0].argmax())
    return faces[best] if overlap[best, 0] >= SAME_FACE else None


def compare(person: Person, face: Optional[FoundFace], teacher: Optional[FoundFace]) -> Outcome:
    """Compare the model's face with the teachers'; embeddings of both are unit vectors around the same
    mean.
    """
    if face is None or teacher is None or not np.isfinite(teacher.landmarks).all():
        return Outcome(person, face is not None, teacher is not None, None, None)
    error = float(point_errors(face.landmarks, teacher.landmarks).mean())
    cosine = float(similarities([face.embedding], [teacher.embedding], 'cosine')[0])
    return Outcome(person, True, True, error, cosine)


def summarise(outcomes: Sequence[Outcome]) -> Dict[str, Any]:
    """Figures of one group, each with a 95 % interval."""
    total = len(outcomes)
    found = sum(outcome.found for outcome in outcomes)
    by_teacher = sum(outcome.found_by_teacher for outcome in outcomes)
    errors = [outcome.landmark_error for outcome in outcomes if outcome.landmark_error is not None]
    cosines = [outcome.cosine for outcome in outcomes if outcome.cosine is not None]
    return {
        'faces': total,
        'recall': {'found': found, 'share': found / total, 'interval': wilson(found, total)},
        'teacher_recall': {
            'found': by_teacher,
            'share': by_teacher / total,
            'interval': wilson(by_teacher, total),
        },
        'landmark_error': mean_with_interval(errors),
        'cosine_to_teacher': mean_with_interval(cosines),
    }


def by_group(outcomes: Sequence[Outcome]) -> Dict[str, Any]:
    """Figures of all, of each age group, of each origin and of each of both together."""
    keys: Dict[str, Callable[[Outcome], str]] = {
        'age': lambda outcome: age_group(outcome.person.age),
        'origin': lambda outcome: outcome.person.origin,
        'origin_and_age': lambda outcome: f'{outcome.person.origin} {age_group(outcome.person.age)}',
    }

    def order(outcome: Outcome) -> Tuple[str, int]:
        return outcome.person.origin, outcome.person.age

    figures: Dict[str, Any] = {'all': summarise(outcomes)}
    for name, key in keys.items():
        members: Dict[str, List[Outcome]] = {}
        for outcome in sorted(outcomes, key=(lambda one: one.person.age) if name == 'age' else order):
            members.setdefault(key(outcome), []).append(outcome)
        figures[name] = {group: summarise(some) for group, some in members.items()}
    return figures


def evaluate(
    subject: Subject, teacher: Subject, people: Iterable[Person], margin: float = 0.5, progress: bool = True
) -> Dict[str, Any]:
    """Compare a model with the teachers on photos of one person each; of the teachers' faces the one nearest
    to the middle is the person's.

    Parameters
    ----------
    subject, teacher : Subject
        Embeddings must be around the same mean (``TeacherSubject(centre=...)``).
    people : iterable of Person
    margin : float
        Black room around each photo, in shares of its longer side.
    """
    people = list(people)
    outcomes: List[Outcome] = []
    skipped: List[str] = []

    with tqdm(total=len(people), unit='photo', disable=not progress) as bar:
        for batch in batches(readable(people, lambda person: person.path, skipped)):
            canvases = [pad(image, margin)[0] for _, image in batch]
            for (person, _), canvas, ours, theirs in zip(
                batch, canvases, subject(canvases), teacher(canvases)
            ):
                middle = np.array([canvas.shape[1], canvas.shape[0]]) / 2
                reference = choose_face(theirs, tuple(middle), 'centre')
                outcomes.append(compare(person, find_person(ours, reference, middle), reference))
            bar.update(len(batch))
    if not outcomes:
        raise UnifaceError(f'none of the {len(people)} photos could be read')
    return dict(by_group(outcomes), margin=margin, skipped=len(skipped), skipped_photos=skipped[:20])
