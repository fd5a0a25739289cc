"""What the programs that look at photos share: the predictor, the faces of many photos, how to tell these."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Optional, Sequence, TextIO, Tuple

import numpy as np
from tqdm import tqdm

from uniface_mx.deploy.predictor import Face, Predictor
from uniface_mx.errors import UnifaceError
from uniface_mx.image import MAX_PIXELS, write_image
from uniface_mx.photos import Item, PhotoFile, batches, read_photos


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
        raise UnifaceError(
            f'{arguments.model}: its manifest holds no verification threshold; give --threshold'
        )
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


def face_entry(face: Face, embedding: bool = False) -> Dict[str, Any]:
    """A face as JSON has it: box and landmarks in pixels, to a hundredth."""
    entry = {
        'box': [round(float(value), 2) for value in face.box],
        'score': round(face.score, 4),
        'landmarks': [[round(float(value), 2) for value in point] for point in face.landmarks],
    }
    if embedding:
        entry['embedding'] = [float(value) for value in face.embedding]
    return entry


def say(entry: Dict[str, Any], text: str, as_json: bool, file: Optional[TextIO] = None) -> None:
    """A JSON line into the file, if there is one; on stdout the same or, for people, a text in its place."""
    line = json.dumps(entry)
    if file:
        print(line, file=file)
    if as_json:
        print(line, flush=True)
    elif text:
        tqdm.write(text)


def report_skipped(
    skipped: Dict[str, str], as_json: bool = False, file: Optional[TextIO] = None, most: int = 10
) -> None:
    """Tell what was left out and why: in JSON all, on stderr at most so many lines."""
    for path, reason in skipped.items():
        say({'photo': path, 'error': reason}, '', as_json, file)
    for reason in list(skipped.values())[:most]:
        print(f'skipped: {reason}', file=sys.stderr)
    if len(skipped) > most:
        print(f'skipped: {len(skipped) - most} more', file=sys.stderr)


def refuse_overwriting(marked: Sequence[Tuple[Path, Path]], lines: Path) -> None:
    """Refuse marked pictures that would take the place of what is there.

    Parameters
    ----------
    marked : sequence of (Path, Path)
        Each photo or video, and where its marked picture goes.
    lines : Path
        The JSON lines of an earlier run; where there is this file, all but the sources may be overwritten.

    Raises
    ------
    UnifaceError
        Something would be overwritten.
    """
    taken = {source.resolve() for source, _ in marked}
    for source, picture in marked:
        if picture.resolve() in taken or picture.exists() and not lines.exists():
            raise UnifaceError(
                f'{source}: marked, it would overwrite {picture}; choose another folder for --out'
            )


def save_picture(path: Path, image: np.ndarray) -> None:
    """Write an RGB (H, W, 3) uint8 image, into a folder that is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, image)
