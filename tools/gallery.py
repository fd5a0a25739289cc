"""A gallery of people: enroll them from photos, and find them in other photos."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Callable, Dict

from uniface_mx.cli.photos import (
    add_model,
    add_predictor_options,
    add_threshold,
    chosen_threshold,
    face_entry,
    found_faces,
    load_predictor,
    refuse_overwriting,
    report_skipped,
    save_picture,
    say,
)
from uniface_mx.cli.program import DONE, PARTLY, STATUS, at_least, program
from uniface_mx.deploy.drawing import draw_faces
from uniface_mx.deploy.gallery import Gallery, open_gallery
from uniface_mx.deploy.predictor import Predictor
from uniface_mx.files import lines_file
from uniface_mx.photos import find_photos

LINES = 'people.jsonl'


def enroll(arguments: argparse.Namespace) -> int:
    """Add the largest face of each photo; `PARTLY` where one was skipped."""
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
    people, entries, whom = len(gallery.people()), len(gallery), ', '.join(sorted(names)) or 'nobody'
    summary = dict(enrolled=enrolled, names=sorted(names), several_faces=several, skipped=skipped)
    text = (
        f'{enrolled} photos enrolled as {whom} ({several} with several faces: the largest counts), '
        f'now {people} people on {entries} photos'
    )
    say(dict(summary, people=people, entries=entries), text, arguments.json)
    return PARTLY if skipped else DONE


def identify(arguments: argparse.Namespace) -> int:
    """Tell who is on photos; `PARTLY` where nobody was recognised or a photo was skipped."""
    gallery = Gallery.load(arguments.gallery)
    photos, out = find_photos(arguments.photos), arguments.out
    if out:
        refuse_overwriting([(photo.path, photo.picture(out)) for photo in photos], out / LINES)
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
                ' or '.join(f'{match.person} {match.similarity:.2f}' for match in matches) or 'unknown'
                for matches in people
            ]
            entries = [
                dict(face_entry(face), people=[match._asdict() for match in matches])
                for face, matches in zip(faces, people)
            ]
            text = f'{photo.path}: {", ".join(names) or "no face"}'
            say({'photo': str(photo.path), 'faces': entries}, text, arguments.json, file)
            if out:
                save_picture(photo.picture(out), draw_faces(image, faces, names))
        report_skipped(skipped, arguments.json, file)
    return DONE if known and not skipped else PARTLY


def list_people(arguments: argparse.Namespace) -> None:
    """Tell who is in the gallery."""
    gallery = Gallery.load(arguments.gallery)
    people = gallery.people()
    text = '\n'.join(f'{name}: {photos}' for name, photos in people.items()) or 'nobody'
    say({'model': gallery.model, 'people': people}, text, arguments.json)


def remove(arguments: argparse.Namespace) -> None:
    """Forget people, or photos of them."""
    gallery = Gallery.load(arguments.gallery)
    known = {entry.photo for entry in gallery.entries}
    photos = arguments.photo and [
        photo if photo in known else str(Path(photo).resolve()) for photo in arguments.photo
    ]
    removed = {person: gallery.remove(person, photos) for person in arguments.person}
    gallery.save(arguments.gallery)
    text = '\n'.join(f'{name}: {count} photos removed' for name, count in removed.items())
    say({'removed': removed}, text, arguments.json)


def check(arguments: argparse.Namespace) -> int:
    """Tell who may be mixed up; `PARTLY` where somebody may be."""
    gallery = Gallery.load(arguments.gallery)
    alike = unlike = arguments.threshold
    if alike is None:
        predictor = Predictor.load(arguments.model)
        gallery.require(predictor.identity, arguments.gallery)
        alike = chosen_threshold(arguments, predictor.identification_threshold)
        unlike = chosen_threshold(arguments, predictor.verification_threshold)
    doubts = gallery.doubts(alike, unlike)
    say({'doubts': doubts}, '\n'.join(doubts) or 'nothing looks wrong', arguments.json)
    return PARTLY if doubts else DONE


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the program can be told."""
    commands = parser.add_subparsers(dest='command', required=True)

    def add(
        name: str, run: Callable, text: str, partly: str, photos: bool = False
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text, epilog=STATUS.format(partly))
        command.set_defaults(run=run)
        command.add_argument('gallery', metavar='GALLERY', help='file, as people.npz')
        if photos:
            command.add_argument('photos', nargs='+', metavar='PHOTO', help='photos, folders, patterns')
            add_predictor_options(command)
        command.add_argument('--json', action='store_true', help='print JSON')
        return command

    command = add('enroll', enroll, 'add the largest face of each photo', 'a photo was skipped', photos=True)
    text = "whose photos they are (the name of each photo's folder)"
    command.add_argument('--person', metavar='NAME', help=text)
    partly = 'nobody was recognised or a photo was skipped'
    command = add('identify', identify, 'who is on these photos?', partly, photos=True)
    add_threshold(command)
    text = 'name the N most similar; 1 (the default) names nobody twice in a photo'
    command.add_argument('--people', type=at_least(1), default=1, metavar='N', help=text)
    command.add_argument('--out', type=Path, metavar='DIR', help='write photos with names here')
    add('list', list_people, 'who is in the gallery, on how many photos', 'it never is')
    command = add('remove', remove, 'forget people, or single photos of them', 'it never is')
    command.add_argument('person', nargs='+', metavar='NAME')
    command.add_argument('--photo', action='append', metavar='PHOTO', help='only this photo of theirs')
    command = add('check', check, 'is the file whole, and who may be mixed up?', 'something looks wrong')
    add_threshold(command)
    add_model(command, 'that it was made with')


main = program('gallery', __doc__, add_options=add_options)

if __name__ == '__main__':
    sys.exit(main())
