"""Options that several programs have."""

from __future__ import annotations

import argparse

from uniface_mx.cli.program import at_least, within
from uniface_mx.deploy.backends import BACKENDS
from uniface_mx.image import MAX_PIXELS

MODEL = 'uniface_a_lite'


def add_model(parser: argparse.ArgumentParser, text: str) -> None:
    """``--model`` of an exported model, by default the one that ships."""
    parser.add_argument('--model', default=MODEL, metavar='PREFIX', help=f'{text} (%(default)s)')


def add_predictor_options(parser: argparse.ArgumentParser, max_faces: bool = True) -> None:
    """Model, backend, device, and which faces count."""
    add = parser.add_argument
    add_model(parser, 'an exported model, as DIR/NAME of DIR/NAME.json, or one that ships')
    add('--backend', default='mxnet', help=f'{", ".join(BACKENDS)} (%(default)s)')
    add('--device', default='cpu', help='cpu, gpu or gpu(N) (%(default)s)')
    text = "leave out faces of a lower score (the model's own)"
    add('--score', type=within(0, 1, float), metavar='S', help=text)
    add('--min-size', type=at_least(0, float), default=0, metavar='PIXELS', help='leave out smaller faces')
    text = 'look at larger photos also in overlapping tiles of this side: finds small faces, takes longer'
    add('--tile', type=int, metavar='PIXELS', help=text)
    text = (
        'average embeddings with those of the mirror image: better, takes longer (see docs/deployment.md on '
        'thresholds)'
    )
    add('--mirror', action='store_true', help=text)
    add('--batch', type=int, default=8, metavar='N', help='photos that are looked at together (%(default)s)')
    add('--max-pixels', type=int, default=MAX_PIXELS, metavar='N', help='refuse larger photos (%(default)s)')
    if max_faces:
        add('--max-faces', type=int, metavar='N', help='only the N largest faces of a photo')


def add_threshold(parser: argparse.ArgumentParser) -> None:
    """``--threshold``, for `uniface_mx.cli.photos.chosen_threshold`."""
    text = "least similarity of one person (the model's own)"
    parser.add_argument('--threshold', type=within(-1, 1, float), metavar='T', help=text)
