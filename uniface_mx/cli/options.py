"""What the programs that take photos share: finding and reading them, and the predictor's options."""

from __future__ import annotations

import argparse
import contextlib
import glob
import sys
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, TextIO, Tuple, Union

import cv2
import numpy as np
from tqdm import tqdm

from uniface_mx.cli.program import at_least, within
from uniface_mx.deploy.backends import BACKENDS
from uniface_mx.deploy.predictor import Face, Predictor
from uniface_mx.errors import UnifaceError
from uniface_mx.files import written_aside
from uniface_mx.image import MAX_PIXELS, PHOTO_ENDINGS, ImageError, read_image

MODEL = 'uniface_a_lite'
VIDEO_ENDINGS = frozenset('.avi .m4v .mkv .mov .mp4 .mpeg .mpg .webm .wmv'.split())


class PhotoFile(NamedTuple):
    """A photo and its name for files made from it: unique in a run, without ending."""

    path: Path
    name: str


def find_photos(arguments: Iterable[str]) -> List[PhotoFile]:
    """The photos that files, folders (with all below them) and patterns name, in this order, folders sorted.

    A file that does not exist is among them, and so is a folder without photos: reading it tells. In folders only
    files with a photo's ending count, and none that are hidden.

    Raises
    ------
    UnifaceError
        The arguments are folders, and none holds a photo.
    """
    found: List[Tuple[Path, Path]] = []
    for argument in arguments:
        matches = [argument] if Path(argument).exists() else sorted(glob.glob(argument, recursive=True))
        for path in map(Path, matches or [argument]):
            if path.is_dir():
                below = sorted(
                    file
                    for file in path.rglob('*')
                    if file.suffix.lower() in PHOTO_ENDINGS
                    and file.is_file()
                    and not any(part.startswith('.') for part in file.relative_to(path).parts)
                )
                found += [(file, file.relative_to(path)) for file in below] or [(path, Path(path.name))]
            else:
                found.append((path, Path(path.name)))
    if all(path.is_dir() for path, _ in found):
        raise UnifaceError(f'{", ".join((str(path) for path, _ in found))}: no photo in this folder')
    photos, seen = [], {}
    for path, relative in found:
        name = relative.with_suffix('').as_posix()
        while name in seen:
            seen[name] += 1
            name = f'{name}-{seen[name]}'
        seen[name] = 1
        photos.append(PhotoFile(path, name))
    return photos


def read_photos(
    photos: Iterable[PhotoFile], skipped: Dict[str, str], max_pixels: int = MAX_PIXELS
) -> Iterator[Tuple[PhotoFile, np.ndarray]]:
    """Photos with their (H, W, 3) RGB images; of one that cannot be read, `skipped` gets path and reason."""
    for photo in photos:
        try:
            yield photo, read_image(photo.path, max_pixels)
        except ImageError as error:
            skipped[str(photo.path)] = str(error)


def batches(
    items: Iterable[Tuple[Any, np.ndarray]], size: int, pixels: int = MAX_PIXELS
) -> Iterator[List[Tuple[Any, np.ndarray]]]:
    """Lists of at most `size` items with their images, shorter where these have more pixels in all."""
    batch, held = [], 0
    for item in items:
        batch.append(item)
        held += item[1].shape[0] * item[1].shape[1]
        if len(batch) == size or held > pixels:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def marked_photos(photos: Iterable[PhotoFile], directory: Path) -> List[Tuple[Path, Path]]:
    """Each photo, and where its marked picture goes: ``DIRECTORY/NAME.jpg``."""
    return [(photo.path, directory / (photo.name + '.jpg')) for photo in photos]


def refuse_overwriting(marked: Sequence[Tuple[Path, Path]], lines: Path) -> None:
    """Raise `UnifaceError` where a marked picture, the second beside its source, would take a source's place, or
    that of anything else where there is no file `lines` of an earlier run.
    """
    taken = {source.resolve() for source, _ in marked}
    earlier = lines.exists()
    for source, picture in marked:
        if picture.resolve() in taken or picture.exists() and not earlier:
            raise UnifaceError(
                f'{source}: marked, it would overwrite {picture}; choose another folder for --out'
            )


@contextlib.contextmanager
def lines_file(path: Optional[Path]) -> Iterator[Optional[TextIO]]:
    """A file of JSON lines, written aside; an interrupted run leaves the lines that it had. None for None."""
    if path is None:
        yield None
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    interrupt = None
    with written_aside(path) as aside, open(str(aside), 'w', encoding='utf-8') as file:
        try:
            yield file
        except KeyboardInterrupt as error:
            interrupt = error
    if interrupt:
        raise interrupt


class Video:
    """Frames of a video file, or of a camera given by its number.

    Iterating gives number, seconds since the first frame, and the (H, W, 3) RGB frame.

    Raises
    ------
    UnifaceError
        It cannot be opened.
    """

    def __init__(self, source: Union[str, int]):
        self._capture = cv2.VideoCapture(source)
        if not self._capture.isOpened():
            raise UnifaceError(
                f'{source}: cannot be opened as a {"camera" if isinstance(source, int) else "video"}'
            )
        self.rate = self._capture.get(cv2.CAP_PROP_FPS) or 25.0

    def __iter__(self) -> Iterator[Tuple[int, float, np.ndarray]]:
        number = 0
        try:
            while True:
                there, frame = self._capture.read()
                if not there:
                    return
                yield number, number / self.rate, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
                number += 1
        finally:
            self._capture.release()


def add_predictor_options(parser: argparse.ArgumentParser, max_faces: bool = True) -> None:
    """Model, backend, device, and which faces count."""
    parser.add_argument(
        '--model',
        default=MODEL,
        metavar='PREFIX',
        help='an exported model, as DIR/NAME of DIR/NAME.json, or one that ships (%(default)s)',
    )
    parser.add_argument('--backend', default='mxnet', help=f'{", ".join(BACKENDS)} (%(default)s)')
    parser.add_argument('--device', default='cpu', help='cpu, gpu or gpu(N) (%(default)s)')
    parser.add_argument(
        '--score',
        type=within(0, 1, float),
        metavar='S',
        help="leave out faces of a lower score (the model's own)",
    )
    parser.add_argument(
        '--min-size', type=at_least(0, float), default=0, metavar='PIXELS', help='leave out smaller faces'
    )
    parser.add_argument(
        '--tile',
        type=int,
        metavar='PIXELS',
        help='look at larger photos also in overlapping tiles of this side: finds small faces, takes longer',
    )
    parser.add_argument(
        '--mirror',
        action='store_true',
        help='average embeddings with those of the mirror image: better, takes longer (see docs/deployment.md on thresholds)',
    )
    parser.add_argument(
        '--batch', type=int, default=8, metavar='N', help='photos that are looked at together (%(default)s)'
    )
    parser.add_argument(
        '--max-pixels', type=int, default=MAX_PIXELS, metavar='N', help='refuse larger photos (%(default)s)'
    )
    if max_faces:
        parser.add_argument('--max-faces', type=int, metavar='N', help='only the N largest faces of a photo')


def load_predictor(arguments: argparse.Namespace, **options) -> Predictor:
    """The predictor that the options describe; what runs it, and where, is said on stderr."""
    options = dict(
        dict(
            score_threshold=arguments.score,
            min_size=arguments.min_size,
            tile=arguments.tile,
            mirror=arguments.mirror,
            batch=arguments.batch,
            max_pixels=arguments.max_pixels,
            max_faces=getattr(arguments, 'max_faces', None),
        ),
        **options,
    )
    predictor = Predictor.load(arguments.model, arguments.backend, arguments.device, **options)
    print(f'{predictor.name} by {predictor.backend} on {predictor.device}', file=sys.stderr)
    return predictor


def add_threshold(parser: argparse.ArgumentParser) -> None:
    """``--threshold``, for `chosen_threshold`."""
    parser.add_argument(
        '--threshold',
        type=within(-1, 1, float),
        metavar='T',
        help="least similarity of one person (the model's own)",
    )


def found_faces(
    arguments: argparse.Namespace, predictor: Predictor, photos: Sequence[PhotoFile], skipped: Dict[str, str]
) -> Iterator[Tuple[PhotoFile, np.ndarray, List[Face]]]:
    """Photo, image and faces of one readable photo after the other, with a progress bar; see `read_photos`."""
    seen = 0
    with tqdm(total=len(photos), unit='photo', disable=None) as bar:
        for batch in batches(read_photos(photos, skipped, arguments.max_pixels), arguments.batch):
            for (photo, image), faces in zip(batch, predictor([image for _, image in batch])):
                yield photo, image, faces
            seen += len(batch)
            bar.update(seen + len(skipped) - bar.n)


def chosen_threshold(arguments: argparse.Namespace, own: Optional[float]) -> float:
    """The similarity from which on two faces are one person: the option's, else the model's own."""
    threshold = own if arguments.threshold is None else arguments.threshold
    if threshold is None:
        raise UnifaceError(
            f'{arguments.model}: its manifest holds no verification threshold; give --threshold'
        )
    return float(threshold)


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


def report_skipped(skipped: Dict[str, str], most: int = 10) -> None:
    """Say on stderr what was left out and why, at most so many lines."""
    for reason in list(skipped.values())[:most]:
        print('skipped: ' + reason, file=sys.stderr)
    if len(skipped) > most:
        print(f'skipped: {len(skipped) - most} more', file=sys.stderr)
