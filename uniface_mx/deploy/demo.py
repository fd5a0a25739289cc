"""The demo's photos, and the table that sets what a model found beside what the teachers said."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Union

import numpy as np
from scipy.optimize import linear_sum_assignment

from uniface_mx.data.records import Record
from uniface_mx.data.rows import BOX, EMBEDDING, HAS_EMBEDDING, HAS_LANDMARKS, IGNORE, LANDMARKS
from uniface_mx.errors import UnifaceError
from uniface_mx.geometry import match_boxes, point_errors
from uniface_mx.image import PHOTO_ENDINGS
from uniface_mx.nn.attention import EMBEDDING_DIM
from uniface_mx.paths import data_root

# Of the photos in this archive only official portraits by employees of the United States' government are
# taken, which are in the public domain. Where a hash is given, pip unpacks nothing else.
PORTRAITS = 'face_recognition==1.3.0'
HASH = 'sha256:5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec'
MEMBERS = ('tests/test_images/obama.jpg', 'tests/test_images/obama2.jpg', 'tests/test_images/biden.jpg')
SAME_PERSON = 0.6


def _bring_portraits(out: Path) -> None:
    """Portraits out of an archive that pip brings, or `UnifaceError` with pip's own last words."""
    with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile('w', suffix='.txt') as wanted:
        print(f'{PORTRAITS} --hash={HASH}', file=wanted, flush=True)
        options = [
            '--quiet',
            '--no-deps',
            '--no-binary',
            ':all:',
            '--dest',
            folder,
            '--requirement',
            wanted.name,
        ]
        done = subprocess.run(
            [sys.executable, '-m', 'pip', 'download', *options], capture_output=True, text=True, check=False
        )
        if done.returncode:
            reason = done.stderr.strip().split('\n')[-1]
            raise UnifaceError(f'pip could not bring {PORTRAITS}: {reason}')
        for archive in Path(folder).iterdir():
            with tarfile.open(archive) as content:
                for member in MEMBERS:
                    photo = content.extractfile(f'{archive.name[: -len(".tar.gz")]}/{member}')
                    (out / Path(member).name).write_bytes(photo.read())


def collect_photos(out: Union[str, os.PathLike]) -> str:
    """Put the demo's photos into a folder.

    They are those of the real data where it is there (`paths.data_root`), else portraits in the public domain
    out of an archive that pip brings and whose hash is checked.

    Returns
    -------
    str
        Where they come from.

    Raises
    ------
    UnifaceError
        There is no real data, and pip cannot reach an index.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    local = data_root() / 'photos'
    if local.is_dir():
        for photo in sorted(local.iterdir()):
            if photo.suffix.lower() in PHOTO_ENDINGS:
                shutil.copyfile(str(photo), str(out / photo.name))
        return str(local)
    try:
        _bring_portraits(out)
    except UnifaceError as error:
        missing = f'{local} does not exist, and {error}'
        raise UnifaceError(f'no photos for the demo: {missing}; put photos into {local} yourself') from None
    return PORTRAITS


class PhotoComparison(NamedTuple):
    """What the teachers labelled in a photo, and what the model found there."""

    key: str
    labelled: int
    found: int
    extra: int
    landmark_errors: np.ndarray


class Comparison(NamedTuple):
    """`photos` one by one, and the distances (1 - cosine) of all pairs of found faces.

    They are apart for those that are the same and different people to the teacher.
    """

    photos: List[PhotoComparison]
    same: np.ndarray
    different: np.ndarray


def read_faces(path: Union[str, os.PathLike]) -> Dict[str, Dict[str, Any]]:
    """``width``, ``height``, ``faces`` by the photo's file name, from what ``detect --embeddings`` writes."""
    try:
        lines = [json.loads(line) for line in Path(path).read_text(encoding='utf-8').splitlines()]
        return {
            Path(line['photo']).name: {key: line[key] for key in ('width', 'height', 'faces')}
            for line in lines
            if 'faces' in line
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnifaceError(f'{path}: not the JSON lines that detect writes ({error})') from None


def compare(records: Sequence[Record], photos_found: Dict[str, Dict[str, Any]]) -> Comparison:
    """Set found faces beside labelled ones, one to one, as `match_boxes` has them.

    A photo that no record shows has no labelled face. A found face that lies on one to be ignored counts
    neither as found nor as extra. Two faces are the same person where the teacher's vectors are closer than
    0.6. Records may hold smaller copies of the photos. Landmark errors are means over the five points, over
    the distance of the eyes.

    Raises
    ------
    UnifaceError
        A photo was labelled in which no face was looked for, or the faces have no embeddings.
    """
    _require_embeddings(photos_found)
    photos, vectors = [], []
    for record in records:
        name = Path(record.key).name
        if name not in photos_found:
            raise UnifaceError(f'{record.key}: labelled, but no face was looked for in it')
        size = np.array([photos_found[name]['width'], photos_found[name]['height']], dtype=np.float64)
        labels, found = record.objects, photos_found[name]['faces']
        ignored = labels[:, IGNORE] > 0
        boxes, scores = [face['box'] for face in found], [face['score'] for face in found]
        outcome = match_boxes(boxes, scores, labels[:, BOX] * np.tile(size, 2), ignored)
        hit = outcome.by >= 0
        errors = []
        for label, number in zip(labels[~ignored][hit], outcome.by[hit]):
            if label[HAS_LANDMARKS]:
                points = label[LANDMARKS].reshape(5, 2) * size
                errors.append(point_errors(np.array(found[number]['landmarks']), points).mean())
            if label[HAS_EMBEDDING]:
                vectors.append((label[EMBEDDING], found[number]['embedding']))
        counts = (len(hit), int(hit.sum()), int((~outcome.hits).sum()))
        photos.append(PhotoComparison(record.key, *counts, np.array(errors)))
    for name in sorted(set(photos_found) - {Path(record.key).name for record in records}):
        photos.append(PhotoComparison(name, 0, 0, len(photos_found[name]['faces']), np.zeros(0)))
    teacher, own = np.array(vectors).reshape(-1, 2, EMBEDDING_DIM).transpose(1, 0, 2)
    first, second = np.triu_indices(len(own), 1)
    same = np.linalg.norm(teacher[first] - teacher[second], axis=1) < SAME_PERSON
    distances = 1 - np.sum(own[first] * own[second], axis=1)
    return Comparison(photos, distances[same], distances[~same])


def _table(head: str, rows: Iterable[Sequence[Any]]) -> List[str]:
    """Lines of a Markdown table."""
    divider = '| --- ' * (head.count('|') - 1) + '|'
    return [head, divider, *(f'| {" | ".join(map(str, row))} |' for row in rows)]


def format_comparison(comparison: Comparison) -> str:
    """The comparison as a Markdown table and two lines."""

    def row(key: str, photos: Sequence[PhotoComparison]) -> List[Any]:
        errors = np.concatenate([photo.landmark_errors for photo in photos])
        counts = [sum(getattr(photo, name) for photo in photos) for name in ('labelled', 'found', 'extra')]
        return [key, *counts, f'{100 * errors.mean():.1f} %' if len(errors) else '-']

    rows = [row(photo.key, [photo]) for photo in comparison.photos]
    if rows:
        rows.append(row('all', comparison.photos))
    lines = _table('| photo | labelled | found | extra | landmark error |', rows)
    for name, values in (('the same person', comparison.same), ('different people', comparison.different)):
        mean, spread = '-', ''
        if len(values):
            mean, spread = f'{values.mean():.2f}', f', {values.min():.2f} to {values.max():.2f}'
        lines.append(f'distance of {name}: {mean} ({len(values)} pairs{spread})')
    return '\n'.join(lines)


def shortcomings(comparison: Comparison) -> Optional[str]:
    """Labelled faces that were not found, and faces found where nobody labelled one; None if all is well."""
    told = []
    for photo in comparison.photos:
        if photo.found < photo.labelled:
            told.append(f'{photo.key}: {photo.labelled - photo.found} of {photo.labelled} faces not found')
        if photo.extra and not photo.labelled:
            told.append(f'{photo.key}: {photo.extra} faces found where there is none')
    return '; '.join(told) or None


def _require_embeddings(photos_found: Dict[str, Dict[str, Any]]) -> None:
    if any('embedding' not in face for photo in photos_found.values() for face in photo['faces']):
        raise UnifaceError('the faces have no embeddings: find them with detect --embeddings')


def format_people(photos_found: Dict[str, Dict[str, Any]], threshold: float) -> str:
    """Who is who, as a Markdown table of the photos' largest faces, and the faces that are one person.

    Faces of different photos are one person if at least as similar as `threshold`, nobody twice in a photo,
    the most similar first.
    """
    _require_embeddings(photos_found)
    photos, names, vectors = [], [], []
    for photo, found in sorted(photos_found.items()):
        stem, start = Path(photo).stem, len(names)
        names += [f'{stem} {number}' if number > 1 else stem for number in range(1, len(found['faces']) + 1)]
        vectors += [face['embedding'] for face in found['faces']]
        photos.append(range(start, len(names)))
    similarity = np.array(vectors).reshape(-1, EMBEDDING_DIM)
    similarity = similarity @ similarity.T
    largest = [rows[0] for rows in photos if rows]

    def cell(row: int, column: int) -> str:
        value = f'{similarity[row, column]:.2f}'
        return '' if row == column else f'**{value}**' if similarity[row, column] >= threshold else value

    table = [[names[row], *(cell(row, column) for column in largest)] for row in largest]
    pairs = []
    for rows, columns in itertools.combinations(photos, 2):
        worth = similarity[np.ix_(rows, columns)]
        for first, second in zip(*linear_sum_assignment(np.where(worth >= threshold, -worth, 0))):
            if worth[first, second] >= threshold:
                pairs.append((worth[first, second], names[rows[first]], names[columns[second]]))
    lines = _table(f'| | {" | ".join(names[row] for row in largest)} |', table)
    rule = f'one person, from a similarity of {threshold:.2f} on:'
    lines.append(f'{len(names)} faces, numbered from the largest down; {rule}')
    lines += [f'{first} and {second} ({value:.2f})' for value, first, second in sorted(pairs, reverse=True)]
    return '\n'.join(lines)
