"""Folders of photos without boxes or points: flat, one folder a person, or the person in the file's name."""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path
from typing import Any, List, Optional, Pattern, Sequence

from uniface_mx.data.sources.base import PathLike, Source, SourceError, SourceImage, annotated, require_folder
from uniface_mx.image import PHOTO_ENDINGS


def open_folder(
    path: PathLike, *, person: str = '', pattern: str = '', faces: bool = True, **common: Any
) -> Source:
    """All images below a folder; hidden files and folders are passed over.

    Parameters
    ----------
    person : str
        `folder`: who the image shows is the name of the folder that it lies in (MS-Celeb, CASIA, LFW).
    pattern : str
        Regular expression, searched in the path below the folder. Files that do not match are no part of the
        source; its group `person`, if it has one, is who the image shows (`^(?P<person>[0-9]+)_` for CelebA
        samples).
    faces : bool
        0: the photos show no face that is to be taught, whatever a teacher may find in them.
    """
    if person not in ('', 'folder') or person and pattern:
        raise SourceError(
            f'{path}: person={person}: say person=folder, or give a pattern with (?P<person>...)'
        )
    try:
        named = re.compile(r'(?:(?P<person>[^/]+)/)?[^/]+$' if person else pattern)
    except re.error as error:
        raise SourceError(f'{path}: pattern {pattern!r}: {error}') from None
    annotate = partial(_annotate, Path(path), named, None if faces else ())
    return Source(path, filter(named.search, list_images(path)), annotate, **common)


def _annotate(root: Path, named: Pattern, boxes: Optional[Sequence], key: str) -> SourceImage:
    person = named.search(key).groupdict().get('person')
    return annotated(key, root / key, boxes, person=person)


def open_lfw(path: PathLike, **common: Any) -> Source:
    """Labeled Faces in the Wild: files `NAME/NAME_0001.jpg` below the folder. For evaluation only."""
    pattern = r'(?:^|/)(?P<person>[^/]+)/(?P=person)_[0-9]{4}\.[a-z]+$'
    return open_folder(path, pattern=pattern, **common)


def list_images(path: PathLike) -> List[str]:
    """Keys of all image files below a folder."""
    root = require_folder(path, 'a folder of images')
    keys = []
    for parent, folders, files in os.walk(str(root), followlinks=True):
        folders[:] = [name for name in folders if not name.startswith('.')]
        below = Path(parent).relative_to(root)
        photos = [name for name in files if os.path.splitext(name)[1].lower() in PHOTO_ENDINGS]
        keys += [(below / name).as_posix() for name in photos if not name.startswith('.')]
    return keys
