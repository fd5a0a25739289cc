"""Do two photos show the same person? The largest face of each is compared."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from uniface_mx.cli.photos import (
    add_predictor_options,
    add_threshold,
    chosen_threshold,
    face_entry,
    load_predictor,
)
from uniface_mx.cli.program import DONE, PARTLY, program
from uniface_mx.deploy.drawing import face_crop
from uniface_mx.errors import UnifaceError
from uniface_mx.image import read_image, write_image


def verify(arguments: argparse.Namespace) -> int:
    """Compare two photos; `DONE` where they show one person, else `PARTLY`."""
    if arguments.out and Path(arguments.out).resolve() in {Path(path).resolve() for path in arguments.photos}:
        raise UnifaceError(f'{arguments.out}: --out would overwrite this photo')
    predictor = load_predictor(arguments, max_faces=None if arguments.any else 1)
    threshold = chosen_threshold(arguments, predictor.verification_threshold)
    images = [read_image(path, arguments.max_pixels) for path in arguments.photos]
    found = predictor(images)
    for path, faces in zip(arguments.photos, found):
        if not faces:
            raise UnifaceError(f'{path}: no face found')
    pair = max(((a, b) for a in found[0] for b in found[1]), key=lambda pair: pair[0].similarity(pair[1]))
    similarity = pair[0].similarity(pair[1])
    same = similarity >= threshold
    if arguments.json:
        faces = [dict(face_entry(face), photo=path) for face, path in zip(pair, arguments.photos)]
        told = {'same': same, 'similarity': round(similarity, 4), 'threshold': threshold, 'faces': faces}
        print(json.dumps(told))
    else:
        answer = 'same person' if same else 'different people'
        print(f'{answer}: similarity {similarity:.3f}, threshold {threshold:.3f}')
        for face, path in zip(pair, arguments.photos):
            left, top, right, bottom = (round(float(value)) for value in face.box)
            print(f'  {path}: face of {right - left}x{bottom - top} at {left},{top} ({face.score:.2f})')
    if arguments.out:
        crops = [face_crop(image, face.landmarks, 320) for image, face in zip(images, pair)]
        write_image(arguments.out, np.hstack(crops))
    return DONE if same else PARTLY


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the program can be told."""
    parser.add_argument('photos', nargs=2, metavar='PHOTO')
    add_predictor_options(parser, max_faces=False)
    add_threshold(parser)
    text = 'compare all faces, and take the pair that is most alike'
    parser.add_argument('--any', action='store_true', help=text)
    parser.add_argument('--json', action='store_true', help='print JSON')
    parser.add_argument('--out', metavar='FILE', help='write a picture of the two faces that were compared')


main = program('verify', __doc__, verify, add_options, partly='the two are different people')

if __name__ == '__main__':
    sys.exit(main())
