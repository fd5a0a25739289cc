"""What a source of images is, and the checks that its annotations pass on the way out."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from uniface_mx.errors import UnifaceError
from uniface_mx.image import ORIENTATION

TIFF_SIZE = (0x0100, 0x0101)


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
    keys : iterable of str
    name : str
        Of the source, in records and reports; the last part of the root if not given.
    licence : str, optional
        The kind's own if not given, as are the next two.
    complete : bool, optional
        Every face in the images is annotated: one that only a teacher sees is none.
    teacher_box : bool, optional
        The boxes have another habit than MTCNN's (forehead to chin): take the teacher's where they agree.
    part : str
        Only these images: a Python slice of the sorted keys (`:32`, `32:`, `::10`).

    Raises
    ------
    SourceError
        The root, or a file of annotations, is missing or malformed, or no image is left.
    """

    kind = ''
    licence = 'unknown'
    complete = False
    teacher_box = False

    def __init__(
        self,
        root,
        keys,
        *,
        name: str = '',
        licence: Optional[str] = None,
        complete: Optional[bool] = None,
        teacher_box: Optional[bool] = None,
        part: str = '',
    ):
        self.root = Path(root)
        self.name = name or self.root.resolve().name
        for attribute, value in (('licence', licence), ('complete', complete), ('teacher_box', teacher_box)):
            if value is not None:
                setattr(self, attribute, value)
        self.keys = sorted(keys)[_slice(part)]
        if not self.keys:
            raise SourceError(f'{root}: no image found for a source of kind {self.kind!r}')
        self._issues: Dict[str, Dict[str, None]] = {}

    def annotation(self, key: str) -> SourceImage:
        """What the source says about the image `key`, unchecked."""
        raise NotImplementedError

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
        image, reasons = check(self.annotation(self.keys[index]))
        for reason in reasons:
            self.note(image.key, reason)
        return image

    def __iter__(self) -> Iterator[SourceImage]:
        return (self[i] for i in range(len(self)))


class AnnotatedSource(Source):
    """A source that reads all annotations when it is opened, so that a malformed file is found at once."""

    def __init__(self, root, images: Mapping[str, SourceImage], **common):
        super().__init__(root, images, **common)
        self._images = images

    def annotation(self, key: str) -> SourceImage:
        return self._images[key]


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
        reasons += [
            'face %d: its box %s has no area in the image' % (i, _numbers(boxes[i]))
            for i in np.flatnonzero(~keep)
        ]
    if landmarks is not None:
        landmarks = landmarks.copy()
        for i in np.flatnonzero(keep & np.isfinite(landmarks).all((1, 2))):
            reason = _doubt(landmarks[i], None if boxes is None else boxes[i], size)
            if reason:
                reasons.append('face %d: its points %s %s' % (i, _numbers(landmarks[i]), reason))
                landmarks[i] = np.nan
                keep[i] = boxes is not None
    if not reasons:
        return image, reasons
    if boxes is None and not keep.any():
        return replace(image, landmarks=None, persons=None, masked=None, ignore=None), reasons

    def kept(rows):
        return None if rows is None else rows[keep]

    persons = image.persons and tuple(person for person, stays in zip(image.persons, keep) if stays)
    return replace(
        image,
        boxes=kept(boxes),
        landmarks=kept(landmarks),
        persons=persons,
        masked=kept(image.masked),
        ignore=kept(image.ignore),
    ), reasons


def _doubt(points, box, size) -> str:
    if np.ptp(points, axis=0).max() < 1e-3:
        return 'are one point'
    if size and ((points < 0) | (points > size)).any():
        return 'reach outside the image of %dx%d' % size
    if box is not None:
        half = (box[2:] - box[:2]) / 2
        if ((points < box[:2] - half) | (points > box[2:] + half)).any():
            return f'reach far outside its box {_numbers(box)}'
    return ''


def _numbers(values) -> str:
    return f'({", ".join(f"{value:g}" for value in np.ravel(values))})'


def _slice(text: str) -> slice:
    try:
        parts = [int(part) if part else None for part in text.split(':')] if text else [None, None]
    except ValueError:
        parts = []
    if len(parts) not in (2, 3) or parts[2:] == [0]:
        raise SourceError(f'part={text} is no slice such as :32, 32: or ::10')
    return slice(*parts)


def stored_size(path) -> Optional[Tuple[int, int, int]]:
    """(width, height, EXIF orientation) of an image as it is stored, from its header; None if it has none."""
    try:
        with Image.open(path) as image:
            # Pillow gives a TIFF's size after its turn; a PNG's own getexif decodes the picture.
            size = tuple(image.tag_v2[tag] for tag in TIFF_SIZE) if image.format == 'TIFF' else image.size
            return size + (Image.Image.getexif(image).get(ORIENTATION, 1),)
    except Exception:  # Pillow raises more kinds of error on broken files than it documents
        return None


def image_size(path) -> Optional[Tuple[int, int]]:
    """(width, height) of an image file after its EXIF rotation, from its header; None if it has none."""
    stored = stored_size(path)
    if stored is None:
        return None
    width, height, orientation = stored
    return (height, width) if orientation in (5, 6, 7, 8) else (width, height)


def annotated(key: str, path, boxes=None, landmarks=None, masked=None, ignore=None, **names) -> SourceImage:
    """A `SourceImage` from lists: of boxes, of five points in any nesting, of flags."""
    return SourceImage(
        key,
        Path(path),
        boxes=None if boxes is None else np.array(boxes, np.float32).reshape(-1, 4),
        landmarks=None if landmarks is None else np.array(landmarks, np.float32).reshape(-1, 5, 2),
        masked=None if masked is None else np.array(masked, bool),
        ignore=None if ignore is None else np.array(ignore, bool),
        **names,
    )


def relative_key(text: str, where: str) -> str:
    """A path from a list as a key; refuses one that leaves the root."""
    parts = [part for part in text.strip().replace('\\', '/').split('/') if part not in ('', '.')]
    if not parts or '..' in parts:
        raise SourceError(f'{where}: {text!r} is no path below the root')
    return '/'.join(parts)


def require_folder(path, what: str) -> Path:
    """`path` as a Path, if it is a folder."""
    path = Path(path)
    if not path.is_dir():
        raise SourceError(f'{path}: no such folder ({what})')
    return path


def read_lines(path) -> List[Tuple[str, str]]:
    """The lines of a text file that are not blank, each with `FILE:LINE`, for messages."""
    try:
        text = Path(path).read_text(encoding='utf-8-sig')
    except OSError as error:
        raise SourceError(f'{path}: {error.strerror or error}') from None
    except UnicodeDecodeError:
        raise SourceError(f'{path}: no text file in UTF-8') from None
    return [
        ('%s:%d' % (path, number), line.strip())
        for number, line in enumerate(text.split('\n'), 1)
        if line.strip()
    ]


def parse_numbers(fields: Sequence[str], count: int, where: str, what: str) -> List[float]:
    """Exactly `count` finite numbers."""
    try:
        values = [float(field) for field in fields]
    except ValueError:
        values = []
    if len(values) != count or not all(map(math.isfinite, values)):
        raise SourceError('%s: expected %s (%d numbers), found %r' % (where, what, count, ' '.join(fields)))
    return values


def counted_blocks(lines, columns: int, what: str) -> Iterator[Tuple[str, str, List[List[float]]]]:
    """(`FILE:LINE`, image, rows) of each block of a path, a number of faces, and a row of numbers for each.

    WIDER FACE writes a row of zeros after a number of 0: it is passed over.
    """
    at = 0
    while at < len(lines):
        where, image = lines[at]
        if at + 1 == len(lines) or not lines[at + 1][1].isdigit():
            raise SourceError(f'{where}: {image!r}: expected an image and then the number of its faces')
        count = int(lines[at + 1][1])
        rows = [
            parse_numbers(line.split(), columns, place, what)
            for place, line in lines[at + 2 : at + 2 + count]
        ]
        if len(rows) < count:
            raise SourceError('%s: %s: the file ends before its %d faces' % (where, image, count))
        at += 2 + count
        if not count and at < len(lines) and not set(lines[at][1].split()) - {'0'}:
            at += 1
        yield where, image, rows
