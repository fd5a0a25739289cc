"""Collect the demo's photos, and say who is who in what a model found there."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Union

import numpy as np
from scipy.optimize import linear_sum_assignment

from uniface_mx.cli.photos import add_model, add_threshold, chosen_threshold
from uniface_mx.cli.program import program
from uniface_mx.deploy.predictor import Predictor
from uniface_mx.errors import UnifaceError
from uniface_mx.image import PHOTO_ENDINGS
from uniface_mx.nn.attention import EMBEDDING_DIM
from uniface_mx.paths import data_root

# Of the photos in this archive only official portraits by employees of the United States' government are
# taken, which are in the public domain. Where a hash is given, pip unpacks nothing else.
PORTRAITS = 'face_recognition==1.3.0'
HASH = 'sha256:5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec'
MEMBERS = ('tests/test_images/obama.jpg', 'tests/test_images/obama2.jpg', 'tests/test_images/biden.jpg')


def _bring_portraits(out: Path) -> None:
    """Portraits out of an archive that pip brings, or `UnifaceError` with pip's own last words."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / 'wanted.txt'
        wanted.write_text(f'{PORTRAITS} --hash={HASH}\n')
        pip = [sys.executable, '-m', 'pip', 'download', '--quiet', '--no-deps', '--no-binary', ':all:']
        command = [*pip, '--dest', folder, '--requirement', str(wanted)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = done.stderr.strip().split('\n')[-1]
            raise UnifaceError(f'pip could not bring {PORTRAITS}: {reason}')
        for archive in Path(folder).glob('*.tar.gz'):
            with tarfile.open(archive) as content:
                for member in MEMBERS:
                    photo = content.extractfile(f'{archive.name[: -len(".tar.gz")]}/{member}')
                    (out / Path(member).name).write_bytes(photo.read())


def collect_photos(out: Union[str, os.PathLike]) -> str:
    """Put the demo's photos into a folder; where they come from.

    They are those of the real data where it is there (`paths.data_root`), else portraits in the public domain
    out of an archive that pip brings and whose hash is checked.

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
                shutil.copyfile(photo, out / photo.name)
        return str(local)
    try:
        _bring_portraits(out)
    except UnifaceError as error:
        missing = f'{local} does not exist, and {error}'
        raise UnifaceError(f'no photos for the demo: {missing}; put photos into {local} yourself') from None
    return PORTRAITS


def read_faces(path: Union[str, os.PathLike]) -> Dict[str, List[Dict[str, Any]]]:
    """Faces by the photo's file name, from what ``detect --embeddings`` writes."""
    try:
        lines = [json.loads(line) for line in Path(path).read_text(encoding='utf-8').splitlines()]
        return {Path(line['photo']).name: line['faces'] for line in lines if 'faces' in line}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnifaceError(f'{path}: not the JSON lines that detect writes ({error})') from None


def format_people(photos_found: Dict[str, List[Dict[str, Any]]], threshold: float) -> str:
    """Who is who, as a Markdown table of the photos' largest faces, and the faces that are one person.

    Faces of different photos are one person if at least as similar as `threshold`, nobody twice in a photo,
    the most similar first.
    """
    if any('embedding' not in face for faces in photos_found.values() for face in faces):
        raise UnifaceError('the faces have no embeddings: find them with detect --embeddings')
    photos, names, vectors = [], [], []
    for photo, faces in sorted(photos_found.items()):
        stem, start = Path(photo).stem, len(names)
        names += [f'{stem} {number}' if number > 1 else stem for number in range(1, len(faces) + 1)]
        vectors += [face['embedding'] for face in faces]
        photos.append(range(start, len(names)))
    similarity = np.array(vectors).reshape(-1, EMBEDDING_DIM)
    similarity = similarity @ similarity.T
    largest = [rows[0] for rows in photos if rows]

    def cell(row: int, column: int) -> str:
        value = f'{similarity[row, column]:.2f}'
        return '' if row == column else f'**{value}**' if similarity[row, column] >= threshold else value

    lines = [f'| | {" | ".join(names[row] for row in largest)} |', '| --- ' * (len(largest) + 1) + '|']
    for row in largest:
        lines.append(f'| {" | ".join([names[row], *(cell(row, column) for column in largest)])} |')
    pairs = []
    for rows, columns in itertools.combinations(photos, 2):
        worth = similarity[np.ix_(rows, columns)]
        for first, second in zip(*linear_sum_assignment(np.where(worth >= threshold, -worth, 0))):
            if worth[first, second] >= threshold:
                pairs.append((worth[first, second], names[rows[first]], names[columns[second]]))
    rule = f'one person, from a similarity of {threshold:.2f} on:'
    lines.append(f'{len(names)} faces, numbered from the largest down; {rule}')
    lines += [f'{first} and {second} ({value:.2f})' for value, first, second in sorted(pairs, reverse=True)]
    return '\n'.join(lines)


def show_photos(arguments: argparse.Namespace) -> None:
    """Put the photos into a folder."""
    print(f'photos from {collect_photos(arguments.out)}')


def show_people(arguments: argparse.Namespace) -> None:
    """Print who is who."""
    threshold = chosen_threshold(arguments, Predictor.load(arguments.model).identification_threshold)
    print(format_people(read_faces(arguments.faces), threshold))


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the program can be told."""
    commands = parser.add_subparsers(required=True, metavar='COMMAND')
    text = "collect photos: the real data's, or portraits in the public domain"
    command = commands.add_parser('photos', help=text)
    command.add_argument('--out', required=True, metavar='DIR')
    command.set_defaults(run=show_photos)
    text = 'who is who: a table of similarities, and the pairs that are one person'
    command = commands.add_parser('people', help=text)
    text = 'faces.jsonl of detect --embeddings'
    command.add_argument('--faces', required=True, metavar='FILE', help=text)
    add_model(command, 'that found them')
    add_threshold(command)
    command.set_defaults(run=show_people)


main = program('demo', __doc__, add_options=add_options)

if __name__ == '__main__':
    sys.exit(main())
