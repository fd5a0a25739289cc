"""Whom a model serves worse: figures by age and origin, for a model card.

Two collections tell age and origin in their files' names, one face a photo:

- UTKFace, ``AGE_SEX_ORIGIN_DATE.jpg``, origins by number;
- All-Age-Faces, ``NUMBERAAGE.jpg``, mostly Asian faces.

Nobody annotated landmarks there, so landmarks and embeddings are compared with the teachers'. Both labels are
guesses of those who made the collections.
"""

from __future__ import annotations

import argparse
import itertools
import re
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple, Union

import numpy as np

from uniface_mx.deploy.predictor import Face
from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation import options
from uniface_mx.evaluation.intervals import mean_with_interval, share_with_interval
from uniface_mx.evaluation.results import shown
from uniface_mx.evaluation.subject import Subject, boxes_of, choose_face, face_at, look, pad, similarities
from uniface_mx.geometry import SAME_FACE, iou, point_errors
from uniface_mx.photos import read_photos

HELP = 'by age and origin, beside the teachers'
AGES = ((0, 5), (6, 12), (13, 19), (20, 39), (40, 59), (60, None))
UTKFACE_ORIGINS = ('white', 'black', 'asian', 'indian', 'other')


class Person(NamedTuple):
    """One photo of one person: ``path``, ``age`` in years, ``origin``."""

    path: Path
    age: int
    origin: str


# By collection, the form of a name, and what its groups say.
NAMES: Dict[str, Tuple[str, Callable[[str, str], Tuple[int, str]]]] = {
    'utkface': (r'(\d{1,3})_[01]_([0-4])_\d+', lambda age, origin: (int(age), UTKFACE_ORIGINS[int(origin)])),
    'all_age_faces': (r'\d+[Aa](\d{1,3})(\.)', lambda age, _: (int(age), 'mostly asian')),
}


def read_names(path: Union[str, Path], kind: str) -> Set[str]:
    """Photos' file names out of a list, a path a line, or out of a record set's ``.keys``.

    Of the latter only those of the source ``kind`` count.
    """
    try:
        lines = Path(path).read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UnifaceError(f'{path}: cannot be read ({error})') from error
    rows = [line.rpartition('\t') for line in lines if line.strip()]
    return {Path(key.strip()).name for source, tab, key in rows if not tab or source == kind}


def read_people(
    root: Union[str, Path], kind: str, only: Optional[Set[str]] = None
) -> Tuple[List[Person], int]:
    """Photos below a folder whose names tell age and origin, sorted by name, and the number of those that do not.

    ``kind`` is a key of ``NAMES``, ``only`` are names of the photos to take: those that were not trained on.
    """
    if kind not in NAMES:
        raise UnifaceError(f'unknown collection {kind!r}: choose from {", ".join(sorted(NAMES))}')
    if not Path(root).is_dir():
        raise UnifaceError(f'{root}: no such folder')
    form, tell = NAMES[kind]
    paths = sorted(Path(root).rglob('*.jpg'), key=lambda path: path.name)
    found = [(path, re.match(form, path.name)) for path in paths if only is None or path.name in only]
    people = [Person(path, *tell(*match.groups())) for path, match in found if match]
    if not people:
        asked = '' if only is None else f' among the {len(only)} that were asked for'
        raise UnifaceError(f'{root}: no photo named like those of {kind}{asked}')
    return people, len(found) - len(people)


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


class Comparison(NamedTuple):
    """What came of one photo; the last two are None where either side found no face."""

    person: Person
    found: bool
    found_by_teacher: bool
    landmark_error: Optional[float]
    cosine: Optional[float]


def find_person(faces: Sequence[Face], teacher: Optional[Face], middle: np.ndarray) -> Optional[Face]:
    """The face that overlaps the teacher's most, if by 0.5.

    Where the teacher has none, the one whose box holds the photo's middle (2,).
    """
    if teacher is None or not len(faces):
        return face_at(faces, middle)
    overlap = iou(boxes_of(faces), boxes_of([teacher]))[:, 0]
    best = int(overlap.argmax())
    return faces[best] if overlap[best] >= SAME_FACE else None


def compare(person: Person, face: Optional[Face], teacher: Optional[Face]) -> Comparison:
    """Compare the model's face with the teachers'; embeddings of both are unit vectors around the same mean."""
    if face is None or teacher is None or not np.isfinite(teacher.landmarks).all():
        return Comparison(person, face is not None, teacher is not None, None, None)
    error = float(point_errors(face.landmarks, teacher.landmarks).mean())
    cosine = float(similarities([face.embedding], [teacher.embedding], 'cosine')[0])
    return Comparison(person, True, True, error, cosine)


def summarise(comparisons: Sequence[Comparison]) -> Dict[str, Any]:
    """Figures of one group, each with a 95 % interval."""
    columns = Comparison(*zip(*comparisons))
    known = [[value for value in values if value is not None] for values in columns[3:]]
    return {
        'faces': len(comparisons),
        'recall': share_with_interval(sum(columns.found), len(comparisons)),
        'teacher_recall': share_with_interval(sum(columns.found_by_teacher), len(comparisons)),
        'landmark_error': mean_with_interval(known[0]),
        'cosine_to_teacher': mean_with_interval(known[1]),
    }


def by_group(comparisons: Sequence[Comparison]) -> Dict[str, Any]:
    """Figures of all, of each age group, of each origin and of each of both together."""
    by_age = sorted(comparisons, key=lambda one: one.person.age)
    by_both = sorted(by_age, key=lambda one: one.person.origin)
    kinds: Dict[str, Tuple[List[Comparison], Callable[[Comparison], str]]] = {
        'age': (by_age, lambda one: age_group(one.person.age)),
        'origin': (by_both, lambda one: one.person.origin),
        'origin_and_age': (by_both, lambda one: f'{one.person.origin} {age_group(one.person.age)}'),
    }
    figures: Dict[str, Any] = {'all': summarise(comparisons)}
    for kind, (ordered, name) in kinds.items():
        figures[kind] = {group: summarise(list(some)) for group, some in itertools.groupby(ordered, name)}
    return figures


def evaluate(
    subject: Subject, teacher: Subject, people: Iterable[Person], margin: float = 0.5, progress: bool = True
) -> Dict[str, Any]:
    """Compare a model with the teachers on photos of one person each.

    Of the teachers' faces the one nearest to the middle is the person's. Embeddings of both must be around the same
    mean (``TeacherSubject(centre=...)``); ``margin`` is as in `pad`.
    """
    people = list(people)
    comparisons: List[Comparison] = []
    skipped: Dict[str, str] = {}
    photos = ((person, pad(image, margin)[0]) for person, image in read_photos(people, skipped))

    def both(images: List[np.ndarray]) -> Iterable[Tuple[List[Face], List[Face]]]:
        return zip(subject(images), teacher(images))

    for person, canvas, (ours, theirs) in look(both, photos, len(people), progress):
        middle = np.array([canvas.shape[1], canvas.shape[0]]) / 2
        reference = choose_face(theirs, middle)
        comparisons.append(compare(person, find_person(ours, reference, middle), reference))
    if not comparisons:
        raise UnifaceError(f'none of the {len(people)} photos could be read')
    told = list(skipped.values())[:20]
    return dict(by_group(comparisons), margin=margin, skipped=len(skipped), skipped_photos=told)


def add_options(command: argparse.ArgumentParser) -> None:
    """Options of :func:`run`."""
    options.add_subject(command)
    add = command.add_argument
    add('--images', required=True, metavar='DIR')
    add('--kind', required=True, choices=sorted(NAMES), help='whose names the photos have')
    text = "photos to take, those not trained on: a list of names, or a record set's .keys"
    add('--only', metavar='FILE', help=text)
    text = 'of each age group and origin (%(default)s)'
    add('--limit', type=options.COUNT, default=200, metavar='N', help=text)
    add('--sample-seed', type=options.WHOLE, default=0, metavar='S', help='of their choice')
    text = 'black room around each photo (%(default)s)'
    add('--margin', type=options.SHARE, default=0.5, metavar='F', help=text)
    options.add_mean(command)


def run(arguments: argparse.Namespace) -> None:
    """By age and origin, beside the teachers."""
    kind = arguments.kind
    only = read_names(arguments.only, kind) if arguments.only else None
    people, unnamed = read_people(arguments.images, kind, only)
    people = choose_people(people, arguments.limit, arguments.sample_seed)
    mean = options.mean_embedding(arguments)
    chosen, reference = (make(arguments, centre=mean) for make in (options.subject, options.teacher))
    figures = evaluate(chosen, reference, people, arguments.margin, arguments.progress)
    figures.update(photos_of_other_names=unnamed, reference=reference.identity)
    for group, row in (*figures['age'].items(), *figures['origin'].items()):
        cosine = row['cosine_to_teacher']['mean']
        print(
            f'{group:<14} {row["faces"]:>6} faces, recall {shown(row["recall"]["share"])}, '
            f'landmark error {shown(row["landmark_error"]["mean"])}, '
            f'cosine to the teacher {"none" if cosine is None else f"{cosine:.3f}"}'
        )
    held_out, limit = bool(arguments.only), arguments.limit
    data = {'name': kind, 'photos': len(people), 'limit_per_group': limit, 'held_out': held_out}
    options.write(arguments, f'groups_{kind}', chosen, data, figures)
