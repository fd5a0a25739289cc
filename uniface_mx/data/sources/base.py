"""What a source of images is, and the checks that its annotations pass on the way out."""
from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from uniface_mx.errors import UnifaceError

EXIF_ORIENTATION = 0x0112


class SourceError(UnifaceError):
    """A source, or a file of annotations in it, that cannot be read."""


@dataclass(frozen=True)
class SourceImage:
    """One image and what its source says about the faces in it.

    `boxes` None and `landmarks` None: the source says nothing, a teacher's faces are the truth. `boxes` None with
    landmarks: the face is known by its points only, its box is the teacher's that holds them. No rows in `boxes`:
    the source says that it knows no face here.

    Parameters
    ----------
    key : str
        Path below the source's root with forward slashes; unique in the source, the same on every machine.
    path : Path
        The image file (it need not exist: see `Source`).
    boxes : (G, 4) float32 or None
        xyxy in pixels of the image after its EXIF rotation, as annotated: they may reach outside the image.
    landmarks : (G, 5, 2) float32 or None
        Image-left eye, image-right eye, nose, image-left and image-right mouth corner, in the same pixels; all NaN
        for a face without points.
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
    """A sequence of `SourceImage`, sorted by key.

    Annotations are checked when an image is taken out, which reads the image's header and no pixel. A face whose box
    has no area inside the image is left out. Five points of which one lies outside the image, or outside its
    face's box by more than half the box's side, are left out as a set; the face keeps its box, and is left out
    if it has none. What was left out of the images taken so far stands in `issues`. An image that is missing or
    broken is handed on with annotations unchecked against its size: to skip it is the reader's task, who must open it.

    Parameters
    ----------
    root : str or Path
        What keys are relative to.
    keys : sequence of str
    name : str, optional
        Of the source in records and reports; the root's last part if not given.
    licence : str
    complete : bool
        All faces in the images are annotated: a face that only a teacher sees is none.
    teacher_box : bool
        The boxes have another habit than MTCNN's (forehead to chin): take the teacher's where they agree.
    """

    kind = ''

    def __init__(self, root, keys: Sequence[str], *, name: str = '', licence: str = 'unknown', complete: bool = False,
                 teacher_box: bool = False):
        self.root = Path(root)
        self.name = name or self.root.resolve().name
        self.licence = licence
        self.complete = complete
        self.teacher_box = teacher_box
        self.keys = sorted(keys)
        self._issues: Dict[str, Tuple[str, ...]] = {}

    def annotation(self, key: str) -> SourceImage:
        """What the source says about the image `key`, unchecked; every kind of source has its own."""
        raise NotImplementedError

    @property
    def issues(self) -> List[Tuple[str, str]]:
        """(key, reason) of every annotation left out of the images taken so far, sorted by key."""
        return [(key, reason) for key in sorted(self._issues) for reason in self._issues[key]]

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, index: int) -> SourceImage:
        image, reasons = check(self.annotation(self.keys[index]))
        if reasons:
            self._issues[image.key] = tuple(reasons)
        return image

    def __iter__(self) -> Iterator[SourceImage]:
        return (self[i] for i in range(len(self)))


def image_size(path) -> Optional[Tuple[int, int]]:
    """(width, height) of an image file after its EXIF rotation, from its header alone; None if it has no readable one."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(EXIF_ORIENTATION, 1) in (5, 6, 7, 8)
    except Exception:  # Pillow raises more kinds than it documents for broken files
        return None
    return (height, width) if turned else (width, height)


def check(image: SourceImage) -> Tuple[SourceImage, List[str]]:
    """Leave out the boxes and points that cannot be right, as `Source` says.

    Returns
    -------
    SourceImage, list of str
        The image with what is left, and a reason for each face or set of points that is not.
    """
    boxes, landmarks = image.boxes, image.landmarks
    if boxes is None and landmarks is None or boxes is not None and not len(boxes):
        return image, []
    count = len(landmarks if boxes is None else boxes)
    size = image_size(image.path)
    limit = np.array(size or (np.inf, np.inf), np.float32)
    keep = np.ones(count, bool)
    reasons = []
    if boxes is not None:
        low = np.maximum(boxes[:, :2], 0) if size else boxes[:, :2]
        keep = (np.minimum(boxes[:, 2:], limit) > low).all(1)
        reasons += ['face %d: its box %s has no area in the image' % (i, _numbers(boxes[i]))
                    for i in np.flatnonzero(~keep)]
    if landmarks is not None:
        landmarks = landmarks.copy()
        for i in np.flatnonzero(keep & np.isfinite(landmarks).all((1, 2))):
            reason = _points_reason(landmarks[i], None if boxes is None else boxes[i], size)
            if reason:
                reasons.append('face %d: %s' % (i, reason))
                landmarks[i] = np.nan
                keep[i] = boxes is not None
    if not reasons:
        return image, reasons
    if boxes is None and not keep.any():
        return replace(image, landmarks=None, persons=None, masked=None, ignore=None), reasons

    def kept(rows):
        return None if rows is None else rows[keep]

    persons = image.persons and tuple(p for p, k in zip(image.persons, keep) if k)
    return replace(image, boxes=kept(boxes), landmarks=kept(landmarks), persons=persons, masked=kept(image.masked),
                   ignore=kept(image.ignore)), reasons


def _points_reason(points, box, size) -> str:
    if size and ((points < 0).any() or (points > size).any()):
        return 'a point of %s is outside the image of %dx%d' % (_numbers(points), size[0], size[1])
    if box is not None:
        half = (box[2:] - box[:2]) / 2
        if (points < box[:2] - half).any() or (points > box[2:] + half).any():
            return 'a point of %s is far outside its box %s' % (_numbers(points), _numbers(box))
    return ''


def _numbers(values) -> str:
    return '(%s)' % ', '.join('%g' % v for v in np.ravel(values))
