"""What a source of images is, and the checks that its annotations pass on the way out."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple, Union

import numpy as np
from PIL import Image

from uniface_mx.errors import UnifaceError
from uniface_mx.image import ORIENTATION

TIFF_SIZE = (0x0100, 0x0101)
PathLike = Union[str, os.PathLike]
ArrayLike = Union[np.ndarray, Sequence]


class SourceError(UnifaceError):
    """A source, or a file of annotations in it, that cannot be read."""


@dataclass(frozen=True)
class SourceImage:
    """One image and what its source says about the faces in it.

    `boxes` None and `landmarks` None: the source says nothing, a teacher's faces are the truth. `boxes` None
    with landmarks: the faces are known by their points only, the box is the teacher's that holds them. No
    rows in `boxes`: the source knows no face here.

    Parameters
    ----------
    key : str
        Path below the source's root with forward slashes; unique in the source, the same on every machine.
    path : Path
        The image file (it need not exist: see `Source`).
    boxes : (G, 4) float32 or None
        xyxy in pixels of the image after its EXIF rotation, as annotated: they may reach outside the image.
    landmarks : (G, 5, 2) float32 or None
        Image-left eye, image-right eye, nose, image-left and image-right mouth corner, in the same pixels;
        all NaN for a face without points.
    persons : tuple of (str or None), or None
        Who each face is, in the order of `boxes`.
    person : str or None
        Who the image shows, where the source names one person an image and not one a face: its main face.
    masked : (G,) bool or None
        Faces behind a mask: they have a box, but no points and no embedding to learn.
    ignore : (G,) bool or None
        Faces that are neither to be taught nor to be mined as background.
    """

    key: str
    path: Path
    boxes: Optional[np.ndarray] = None
    landmarks: Optional[np.ndarray] = None
    persons: Optional[Tuple[Optional[str], ...]] = None
    person: Optional[str] = None
    masked: Optional[np.ndarray] = None
    ignore: Optional[np.ndarray] = None


class Source:
    """A sequence of `SourceImage`, sorted by key. Iteration reads headers of images and no pixel.

    Annotations are checked when an image is taken out. A face whose box has no area inside the image is left
    out. Five points of which one lies outside the image, or outside its face's box by more than half the
    box's side, are left out as a set: the face keeps its box, and is left out if it has none. What was left
    out of the images taken so far stands in `issues`. An image that is missing or broken is handed on, its
    annotations unchecked against its size: to skip it is the task of who opens it.

    Parameters
    ----------
    root : str or Path
        What keys are relative to.
    annotate : callable
        What the source says about the image of a key, unchecked.
    left_out : iterable of (str, str)
        Keys and reasons of annotations that were left out already.
    name : str
        Of the source, in records and reports; the last part of the root if not given.
    complete : bool
        Every face in the images is annotated: one that only a teacher sees is none.
    teacher_box : bool
        The boxes have another habit than MTCNN's (forehead to chin): take the teacher's where they agree.
    part : str
        Only these images: a Python slice of the sorted keys (`:32`, `32:`, `::10`).

    Raises
    ------
    SourceError
        No image is left.
    """

    def __init__(
        self,
        root: PathLike,
        keys: Iterable[str],
        annotate: Callable[[str], SourceImage],
        kind: str,
        left_out: Iterable[Tuple[str, str]] = (),
        *,
        name: str = '',
        licence: str = 'unknown',
        complete: bool = False,
        teacher_box: bool = False,
        part: str = '',
    ) -> None:
        self.root, self.annotate, self.kind = Path(root), annotate, kind
        self.name = name or self.root.resolve().name
        self.licence, self.complete, self.teacher_box = licence, complete, teacher_box
        self.keys = sorted(keys)[_slice(part)]
        if not self.keys:
            raise SourceError(f'{root}: no image found for a source of kind {kind!r}')
        self._issues: Dict[str, Dict[str, None]] = {}
        chosen = set(self.keys)
        for key, reason in left_out:
            if key in chosen:
                self.note(key, reason)

    def note(self, key: str, reason: str) -> None:
        """Count an annotation that was left out."""
        self._issues.setdefault(key, {})[reason] = None

    @property
    def issues(self) -> List[Tuple[str, str]]:
        """(key, reason) of every annotation left out of the images taken so far, sorted by key."""
        return [(key, reason) for key in sorted(self._issues) for reason in self._issues[key]]

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, index: int) -> SourceImage:
        image, reasons = check(self.annotate(self.keys[index]))
        for reason in reasons:
            self.note(image.key, reason)
        return image

    def __iter__(self) -> Iterator[SourceImage]:
        return (self[i] for i in range(len(self)))


def check(image: SourceImage) -> Tuple[SourceImage, List[str]]:
    """Leave out the boxes and points that cannot be right, as `Source` says.

    Returns
    -------
    SourceImage, list of str
        The image with what is left, and a reason for each face or set of points that is not.
    """
    boxes, landmarks = image.boxes, image.landmarks
    count = len(boxes if boxes is not None else landmarks if landmarks is not None else ())
    if not count:
        return image, []
    size = image_size(image.path)
    keep = np.ones(count, bool)
    reasons = []
    if boxes is not None:
        keep = (boxes[:, 2:].clip(max=size or np.inf) > boxes[:, :2].clip(min=0)).all(1)
        for i in np.flatnonzero(~keep):
            reasons.append(f'face {i}: its box {_numbers(boxes[i])} has no area in the image')
    if landmarks is not None:
        landmarks = landmarks.copy()
        for i in np.flatnonzero(keep & np.isfinite(landmarks).all((1, 2))):
            reason = _doubt(landmarks[i], None if boxes is None else boxes[i], size)
            if reason:
                reasons.append(f'face {i}: its points {_numbers(landmarks[i])} {reason}')
                landmarks[i] = np.nan
                keep[i] = boxes is not None
    if not reasons:
        return image, reasons
    rows = {'boxes': boxes, 'landmarks': landmarks, 'masked': image.masked, 'ignore': image.ignore}
    if boxes is None and not keep.any():
        return replace(image, persons=None, **dict.fromkeys(rows)), reasons
    kept = {name: None if values is None else values[keep] for name, values in rows.items()}
    persons = image.persons and tuple(np.array(image.persons, object)[keep])
    return replace(image, persons=persons, **kept), reasons


def _doubt(points: np.ndarray, box: Optional[np.ndarray], size: Optional[Tuple[int, int]]) -> str:
    if np.ptp(points, axis=0).max() < 1e-3:
        return 'are one point'
    if size and ((points < 0) | (points > size)).any():
        return f'reach outside the image of {size[0]}x{size[1]}'
    if box is not None:
        half = (box[2:] - box[:2]) / 2
        if ((points < box[:2] - half) | (points > box[2:] + half)).any():
            return f'reach far outside its box {_numbers(box)}'
    return ''


def _numbers(values: np.ndarray) -> str:
    return f'({", ".join(f"{value:g}" for value in np.ravel(values))})'


def _slice(text: str) -> slice:
    try:
        limits = [int(limit) if limit else None for limit in text.split(':')] if text else [None, None]
    except ValueError:
        limits = []
    if len(limits) not in (2, 3) or limits[2:] == [0]:
        raise SourceError(f'part={text} is no slice such as :32, 32: or ::10')
    return slice(*limits)


def stored_size(path: PathLike) -> Optional[Tuple[int, int, int]]:
    """(width, height, EXIF orientation) of an image as it is stored, from its header; None if it has none."""
    try:
        with Image.open(path) as image:
            # Pillow gives a TIFF's size after its turn; a PNG's own getexif decodes the picture.
            size = tuple(image.tag_v2[tag] for tag in TIFF_SIZE) if image.format == 'TIFF' else image.size
            return size + (Image.Image.getexif(image).get(ORIENTATION, 1),)
    except Exception:  # Pillow raises more kinds of error on broken files than it documents
        return None


def image_size(path: PathLike) -> Optional[Tuple[int, int]]:
    """(width, height) of an image file after its EXIF rotation, from its header; None if it has none."""
    stored = stored_size(path)
    if stored is None:
        return None
    width, height, orientation = stored
    return (height, width) if orientation in (5, 6, 7, 8) else (width, height)


def annotated(
    key: str,
    path: PathLike,
    boxes: Optional[ArrayLike] = None,
    landmarks: Optional[ArrayLike] = None,
    **more: Any,
) -> SourceImage:
    """A `SourceImage` from lists: of boxes, of five points in any nesting, of flags."""
    boxes = None if boxes is None else np.array(boxes, np.float32).reshape(-1, 4)
    landmarks = None if landmarks is None else np.array(landmarks, np.float32).reshape(-1, 5, 2)
    flags = {name: np.array(more[name], bool) for name in ('masked', 'ignore') if name in more}
    return SourceImage(key, Path(path), boxes, landmarks, **{**more, **flags})


def require_folder(path: PathLike, what: str) -> Path:
    """`path` as a Path, if it is a folder."""
    path = Path(path)
    if not path.is_dir():
        raise SourceError(f'{path}: no such folder ({what})')
    return path
