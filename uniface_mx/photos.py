"""Photos by the names that people give them, files, folders and patterns, and the frames of videos."""

from __future__ import annotations

import glob
import itertools
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple, TypeVar, Union

import cv2
import numpy as np

from uniface_mx.errors import UnifaceError
from uniface_mx.image import MAX_PIXELS, PHOTO_ENDINGS, ImageError, read_image

VIDEO_ENDINGS = frozenset('.avi .m4v .mkv .mov .mp4 .mpeg .mpg .webm .wmv'.split())
Item = TypeVar('Item')


class PhotoFile(NamedTuple):
    """A photo and its name for files made from it: unique in a run, without ending."""

    path: Path
    name: str

    def picture(self, folder: Path) -> Path:
        """Where in a folder its marked picture goes."""
        return folder / f'{self.name}.jpg'


def _photos_below(folder: Path) -> List[Path]:
    """All files with a photo's ending but hidden ones, sorted."""
    return sorted(
        file
        for file in folder.rglob('*')
        if file.suffix.lower() in PHOTO_ENDINGS
        and file.is_file()
        and not any(part.startswith('.') for part in file.relative_to(folder).parts)
    )


def find_photos(arguments: Iterable[str]) -> List[PhotoFile]:
    """The photos that files, folders (with all below them) and patterns name, in this order, folders sorted.

    A file that does not exist is among them, and so is a folder without photos: reading it tells. In folders
    only files with a photo's ending count, and none that are hidden.

    Raises
    ------
    UnifaceError
        The arguments are folders, and none holds a photo.
    """
    found: List[Tuple[Path, Path]] = []
    for argument in arguments:
        matches = [argument] if Path(argument).exists() else sorted(glob.glob(argument, recursive=True))
        for path in map(Path, matches or [argument]):
            below = _photos_below(path) if path.is_dir() else []
            found += [(file, file.relative_to(path)) for file in below] or [(path, Path(path.name))]
    if all(path.is_dir() for path, _ in found):
        raise UnifaceError(f'{", ".join(str(path) for path, _ in found)}: no photo in this folder')
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
    photos: Iterable[Item], skipped: Dict[str, str], max_pixels: int = MAX_PIXELS
) -> Iterator[Tuple[Item, np.ndarray]]:
    """Photos, or whatever has a `path`, with their (H, W, 3) RGB images.

    `skipped` gets path and reason of those that cannot be read.
    """
    for photo in photos:
        try:
            yield photo, read_image(photo.path, max_pixels)
        except ImageError as error:
            skipped[str(photo.path)] = str(error)


def batches(items: Iterable[Item], size: int, pixels: Optional[int] = None) -> Iterator[List[Item]]:
    """Lists of at most `size` items, the last one shorter.

    With `pixels`, of pairs of anything and an image: they end earlier where their images have more in all.
    """
    batch, held = [], 0
    for item in items:
        batch.append(item)
        held += item[1].shape[0] * item[1].shape[1] if pixels else 0
        if len(batch) == size or held > (pixels or 0):
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


class Video:
    """Frames of a video file, or of a camera given by its number.

    Iterating gives number, seconds since the first frame, and the (H, W, 3) RGB frame.

    Raises
    ------
    UnifaceError
        It cannot be opened.
    """

    def __init__(self, source: Union[str, int]) -> None:
        self._capture = cv2.VideoCapture(source)
        if not self._capture.isOpened():
            kind = 'camera' if isinstance(source, int) else 'video'
            raise UnifaceError(f'{source}: cannot be opened as a {kind}')
        self.rate = self._capture.get(cv2.CAP_PROP_FPS) or 25.0

    def __iter__(self) -> Iterator[Tuple[int, float, np.ndarray]]:
        for number in itertools.count():
            there, frame = self._capture.read()
            if not there:
                return
            yield number, number / self.rate, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
