"""A gallery of people: enroll them from photos, and find them in other photos."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Dict, Optional, Sequence

from tqdm import tqdm

from uniface_mx.cli.options import (
    MODEL,
    add_predictor_options,
    add_threshold,
    chosen_threshold,
    face_entry,
    find_photos,
    found_faces,
    lines_file,
    load_predictor,
    marked_photos,
    refuse_overwriting,
    report_skipped,
)
from uniface_mx.cli.program import DONE, PARTLY, STATUS, at_least, run
from uniface_mx.deploy.drawing import draw_faces
from uniface_mx.deploy.gallery import Gallery, open_gallery
from uniface_mx.deploy.predictor import Predictor
from uniface_mx.image import write_image

LINES = 'people.jsonl'


def enroll(arguments: argparse.Namespace) -> int:
    predictor = load_predictor(arguments)
    gallery = open_gallery(arguments.gallery, predictor)
    skipped: Dict[str, str] = {}
    enrolled = several = 0
    names = set()
    for photo, _, faces in found_faces(arguments, predictor, find_photos(arguments.photos), skipped):
        if not faces:
            skipped[str(photo.path)] = f'{photo.path}: no face found'
            continue
        several += len(faces) > 1
        path = photo.path.resolve()
        name = path.parent.name if arguments.person is None else arguments.person
        gallery.add(name, str(path), faces[0])
        names.add(name)
        enrolled += 1
    if enrolled:
        gallery.save(arguments.gallery)
    report_skipped(skipped)
    summary = {
        'enrolled': enrolled,
        'names': sorted(names),
        'several_faces': several,
        'skipped': skipped,
        'people': len(gallery.people()),
        'entries': len(gallery),
    }
    say(
        arguments,
        summary,
        '{enrolled} photos enrolled as {0} ({several_faces} with several faces: the largest counts), now '
        '{people} people on {entries} photos'.format(', '.join(sorted(names)) or 'nobody', **summary),
    )
    return PARTLY if skipped else DONE


def identify(arguments: argparse.Namespace) -> int:
    gallery = Gallery.load(arguments.gallery)
    photos, out = find_photos(arguments.photos), Path(arguments.out) if arguments.out else None
    if out:
        refuse_overwriting(marked_photos(photos, out), out / LINES)
    predictor = load_predictor(arguments)
    threshold = chosen_threshold(arguments, predictor.identification_threshold)
    gallery.require(predictor.identity, arguments.gallery)
    skipped: Dict[str, str] = {}
    known = 0
    with lines_file(out and out / LINES) as file:
        for photo, image, faces in found_faces(arguments, predictor, photos, skipped):
            people = gallery.identify(faces, threshold, arguments.people)
            known += sum(map(bool, people))
            names = [
                ' or '.join('{} {:.2f}'.format(*match[:2]) for match in matches) or 'unknown'
                for matches in people
            ]
            entry = {
                'photo': str(photo.path),
                'faces': [
                    dict(face_entry(face), people=[match._asdict() for match in matches])
                    for face, matches in zip(faces, people)
                ],
            }
            say(arguments, entry, f'{photo.path}: {", ".join(names) or "no face"}')
            if out:
                print(json.dumps(entry), file=file)
                path = out / (photo.name + '.jpg')
                path.parent.mkdir(parents=True, exist_ok=True)
                write_image(path, draw_faces(image, faces, names))
        for path, reason in skipped.items():
            line = json.dumps({'photo': path, 'error': reason})
            if arguments.json:
                print(line)
            if out:
                print(line, file=file)
    report_skipped(skipped)
    return DONE if known and not skipped else PARTLY


def list_people(arguments: argparse.Namespace) -> int:
    gallery = Gallery.load(arguments.gallery)
    say(
        arguments,
        {'model': gallery.model, 'people': gallery.people()},
        '\n'.join('{}: {}'.format(*item) for item in gallery.people().items()) or 'nobody',
    )
    return DONE


def remove(arguments: argparse.Namespace) -> int:
    gallery = Gallery.load(arguments.gallery)
    known = {entry.photo for entry in gallery.entries}
    photos = arguments.photo and [
        photo if photo in known else str(Path(photo).resolve()) for photo in arguments.photo
    ]
    removed = {person: gallery.remove(person, photos) for person in arguments.person}
    gallery.save(arguments.gallery)
    say(
        arguments,
        {'removed': removed},
        '\n'.join('{}: {} photos removed'.format(*item) for item in removed.items()),
    )
    return DONE


def check(arguments: argparse.Namespace) -> int:
    gallery = Gallery.load(arguments.gallery)
    alike = unlike = arguments.threshold
    if alike is None:
        predictor = Predictor.load(arguments.model)
        gallery.require(predictor.identity, arguments.gallery)
        alike = chosen_threshold(arguments, predictor.identification_threshold)
        unlike = chosen_threshold(arguments, predictor.verification_threshold)
    doubts = gallery.doubts(alike, unlike)
    say(arguments, {'doubts': doubts}, '\n'.join(doubts) or 'nothing looks wrong')
    return PARTLY if doubts else DONE


def say(arguments: argparse.Namespace, entry: Dict, text: str) -> None:
    """One JSON line or a text on stdout."""
    tqdm.write(json.dumps(entry) if arguments.json else text)


def parse(argv: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='gallery', description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True)

    def add(name: str, run, text: str, partly: str, photos: bool = False) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text, epilog=STATUS.format(partly))
        command.set_defaults(run=run)
        command.add_argument('gallery', metavar='GALLERY', help='file, as people.npz')
        if photos:
            command.add_argument('photos', nargs='+', metavar='PHOTO', help='photos, folders, patterns')
            add_predictor_options(command)
        command.add_argument('--json', action='store_true', help='print JSON')
        return command

    command = add('enroll', enroll, 'add the largest face of each photo', 'a photo was skipped', photos=True)
    command.add_argument(
        '--person', metavar='NAME', help="whose photos they are (the name of each photo's folder)"
    )
    partly = 'nobody was recognised or a photo was skipped'
    command = add('identify', identify, 'who is on these photos?', partly, photos=True)
    add_threshold(command)
    command.add_argument(
        '--people',
        type=at_least(1),
        default=1,
        metavar='N',
        help='name the N most similar; 1 (the default) names nobody twice in a photo',
    )
    command.add_argument('--out', metavar='DIR', help='write photos with names here')
    add('list', list_people, 'who is in the gallery, on how many photos', 'it never is')
    command = add('remove', remove, 'forget people, or single photos of them', 'it never is')
    command.add_argument('person', nargs='+', metavar='NAME')
    command.add_argument('--photo', action='append', metavar='PHOTO', help='only this photo of theirs')
    command = add('check', check, 'is the file whole, and who may be mixed up?', 'something looks wrong')
    add_threshold(command)
    command.add_argument(
        '--model', default=MODEL, metavar='PREFIX', help='that it was made with (%(default)s)'
    )
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> int:
    arguments = parse(argv)
    return run('gallery', lambda: arguments.run(arguments))


if __name__ == '__main__':
    sys.exit(main())
