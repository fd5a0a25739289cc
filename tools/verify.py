"""Do two photos show the same person?"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Optional, Sequence

import numpy as np

from uniface_mx.cli.options import (
    add_predictor_options,
    add_threshold,
    chosen_threshold,
    face_entry,
    load_predictor,
)
from uniface_mx.cli.program import DONE, PARTLY, STATUS, run
from uniface_mx.deploy.drawing import face_crop
from uniface_mx.errors import UnifaceError
from uniface_mx.image import read_image, write_image


def parse(argv: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='verify',
        description=__doc__ + ' The largest face of each is compared.',
        epilog=STATUS.format('the two are different people').replace('success', 'the same person')
        + ' (a photo is unreadable or shows no face)',
    )
    parser.add_argument('photos', nargs=2, metavar='PHOTO')
    add_predictor_options(parser, max_faces=False)
    add_threshold(parser)
    parser.add_argument(
        '--any', action='store_true', help='compare all faces, and take the pair that is most alike'
    )
    parser.add_argument('--json', action='store_true', help='print JSON')
    parser.add_argument('--out', metavar='FILE', help='write a picture of the two faces that were compared')
    return parser.parse_args(argv)


def verify(arguments: argparse.Namespace) -> bool:
    if arguments.out and Path(arguments.out).resolve() in {Path(path).resolve() for path in arguments.photos}:
        raise UnifaceError(f'{arguments.out}: --out would overwrite this photo')
    predictor = load_predictor(arguments, max_faces=None if arguments.any else 1)
    threshold = chosen_threshold(arguments, predictor.verification_threshold)
    images = [read_image(path, arguments.max_pixels) for path in arguments.photos]
    found = predictor(images)
    for path, faces in zip(arguments.photos, found):
        if not faces:
            raise UnifaceError(f'{path}: no face found')
    first, second = max(
        ((a, b) for a in found[0] for b in found[1]), key=lambda pair: pair[0].similarity(pair[1])
    )
    similarity = first.similarity(second)
    same = similarity >= threshold
    if arguments.json:
        print(
            json.dumps(
                {
                    'same': same,
                    'similarity': round(similarity, 4),
                    'threshold': threshold,
                    'faces': [
                        dict(face_entry(face), photo=path)
                        for face, path in zip((first, second), arguments.photos)
                    ],
                }
            )
        )
    else:
        print(
            '{}: similarity {:.3f}, threshold {:.3f}'.format(
                'same person' if same else 'different people', similarity, threshold
            )
        )
        for face, path in zip((first, second), arguments.photos):
            left, top, right, bottom = (round(float(value)) for value in face.box)
            print(f'  {path}: face of {right - left}x{bottom - top} at {left},{top} ({face.score:.2f})')
    if arguments.out:
        write_image(
            arguments.out,
            np.hstack(
                [face_crop(image, face.landmarks, 320) for image, face in zip(images, (first, second))]
            ),
        )
    return same


def main(argv: Optional[Sequence[str]] = None) -> int:
    arguments = parse(argv)
    return run('verify', lambda: DONE if verify(arguments) else PARTLY)


if __name__ == '__main__':
    sys.exit(main())
