"""What the programs that look at photos share: options, predictor, faces of many photos, how to tell these."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Optional, Sequence, TextIO, Tuple

import numpy as np
from tqdm import tqdm

from uniface_mx.cli.program import at_least, within
from uniface_mx.deploy.backends import BACKENDS
from uniface_mx.deploy.predictor import Face, Predictor
from uniface_mx.errors import UnifaceError
from uniface_mx.image import MAX_PIXELS, write_image
from uniface_mx.photos import Item, PhotoFile, batches, read_photos

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
    text = 'average embeddings with those of the mirror image: better, takes longer'
    add('--mirror', action='store_true', help=f'{text} (see docs/deployment.md on thresholds)')
    add('--batch', type=int, default=8, metavar='N', help='photos that are looked at together (%(default)s)')
    add('--max-pixels', type=int, default=MAX_PIXELS, metavar='N', help='refuse larger photos (%(default)s)')
    if max_faces:
        add('--max-faces', type=int, metavar='N', help='only the N largest faces of a photo')


def add_threshold(parser: argparse.ArgumentParser) -> None:
    """``--threshold``, for `chosen_threshold`."""
    text = "least similarity of one person (the model's own)"
    parser.add_argument('--threshold', type=within(-1, 1, float), metavar='T', help=text)


def load_predictor(arguments: argparse.Namespace, max_faces: Optional[int] = None) -> Predictor:
    """The predictor that the options describe; what runs it, and where, is said on stderr."""
    predictor = Predictor.load(
        arguments.model,
        arguments.backend,
        arguments.device,
        score_threshold=arguments.score,
        min_size=arguments.min_size,
        tile=arguments.tile,
        mirror=arguments.mirror,
        batch=arguments.batch,
        max_pixels=arguments.max_pixels,
        max_faces=getattr(arguments, 'max_faces', max_faces),
    )
    print(f'{predictor.name} by {predictor.backend} on {predictor.device}', file=sys.stderr)
    return predictor


def chosen_threshold(arguments: argparse.Namespace, own: Optional[float]) -> float:
    """The similarity from which on two faces are one person: the option's, else the model's own."""
    threshold = own if arguments.threshold is None else arguments.threshold
    if threshold is None:
        lacks = 'its manifest holds no verification threshold'
        raise UnifaceError(f'{arguments.model}: {lacks}; give --threshold')
    return float(threshold)


def look(
    predictor: Predictor, images: Iterable[Tuple[Item, np.ndarray]], batch: int
) -> Iterator[Tuple[Item, np.ndarray, List[Face]]]:
    """Whatever comes with an image, one after the other, with the image and the faces in it."""
    for group in batches(images, batch, MAX_PIXELS):
        for (item, image), faces in zip(group, predictor([image for _, image in group])):
            yield item, image, faces


def found_faces(
    arguments: argparse.Namespace, predictor: Predictor, photos: Iterable[PhotoFile], skipped: Dict[str, str]
) -> Iterator[Tuple[PhotoFile, np.ndarray, List[Face]]]:
    """Photo, image and faces of each readable photo in turn, with a progress bar; see `read_photos`."""
    bar = tqdm(photos, unit='photo', disable=None)
    return look(predictor, read_photos(bar, skipped, arguments.max_pixels), arguments.batch)


def face_entry(face: Face) -> Dict[str, Any]:
    """A face as JSON has it: box and landmarks in pixels, to a hundredth."""
    return {
        'box': [round(float(value), 2) for value in face.box],
        'score': round(face.score, 4),
        'landmarks': [[round(float(value), 2) for value in point] for point in face.landmarks],
    }


def say(entry: Dict[str, Any], text: str, as_json: bool, file: Optional[TextIO] = None) -> None:
    """A JSON line into the file, if there is one; on stdout the same or, for people, a text in its place."""
    line = json.dumps(entry)
    if file:
        print(line, file=file)
    if as_json:
        print(line, flush=True)
    elif text:
        tqdm.write(text)


def report_skipped(skipped: Dict[str, str], as_json: bool = False, file: Optional[TextIO] = None) -> None:
    """Tell what was left out and why: in JSON all, on stderr at most ten."""
    for path, reason in skipped.items():
        say({'photo': path, 'error': reason}, '', as_json, file)
    for reason in list(skipped.values())[:10]:
        print(f'skipped: {reason}', file=sys.stderr)
    if len(skipped) > 10:
        print(f'skipped: {len(skipped) - 10} more', file=sys.stderr)


def refuse_overwriting(marked: Sequence[Tuple[Path, Path]], lines: Path) -> None:
    """Refuse marked pictures, given with their photos or videos, that would take the place of what is there.

    Where there are `lines`, an earlier run's, its pictures may be overwritten, but no source.

    Raises
    ------
    UnifaceError
        Something would be overwritten.
    """
    taken = {source.resolve() for source, _ in marked}
    for source, picture in marked:
        if picture.resolve() in taken or picture.exists() and not lines.exists():
            clash = f'{source}: marked, it would overwrite {picture}'
            raise UnifaceError(f'{clash}; choose another folder for --out')


def save_picture(path: Path, image: np.ndarray) -> None:
    """Write an RGB (H, W, 3) uint8 image, into a folder that is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, image)
