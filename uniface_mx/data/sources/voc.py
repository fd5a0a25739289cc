"""Pascal VOC: one XML file an image."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np

from uniface_mx.data.sources.base import (
    PathLike,
    Source,
    SourceError,
    SourceImage,
    annotated,
    require_folder,
    stored_size,
)
from uniface_mx.data.sources.folder import list_images
from uniface_mx.data.sources.lists import parse_numbers, relative_key

CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')
# What an EXIF orientation does to a box of an image that is stored with this width and height.
TURNS = {
    5: lambda b, w, h: b[:, [1, 0, 3, 2]],
    6: lambda b, w, h: np.stack([h - b[:, 3], b[:, 0], h - b[:, 1], b[:, 2]], 1),
    7: lambda b, w, h: np.stack([h - b[:, 3], w - b[:, 2], h - b[:, 1], w - b[:, 0]], 1),
    8: lambda b, w, h: np.stack([b[:, 1], w - b[:, 2], b[:, 3], w - b[:, 0]], 1),
}


def open_voc(
    path: PathLike,
    *,
    annotations: str = 'Annotations',
    images: str = 'JPEGImages',
    face: str = 'face',
    masked: str = '',
    **common: Any,
) -> Source:
    """Images with an XML file of the same stem; if there is none, the one that its `filename` names.

    Corners are taken as they stand: labelling programs write positions, not VOC's pixel numbers from 1. An
    object marked `difficult` is ignored. A program that does not heed EXIF annotates the picture as it is
    stored: boxes are turned with the image where the XML's `size` is that of the stored and not of the turned
    image.

    Parameters
    ----------
    annotations, images : str
        Folders below it.
    face : str
        Classes that are faces, separated by commas.
    masked : str
        Classes that are faces behind a mask. Objects of other classes are passed over.
    """
    root = require_folder(path, 'a VOC data set')
    classes = {name: False for name in _names(face)}
    classes.update((name, True) for name in _names(masked))
    found: Dict[str, str] = {}
    for name in list_images(root / images):
        stem = Path(name).with_suffix('').as_posix()
        if stem in found:
            raise SourceError(f'{root / images}: two images have the stem {stem}')
        found[stem] = name
    listed, sizes, seen = {}, {}, set()
    folder = require_folder(root / annotations, 'annotations=... names it')
    for xml in sorted(folder.rglob('*.xml')):
        try:
            tree = ET.parse(str(xml)).getroot()
        except (ET.ParseError, OSError) as error:
            raise SourceError(f'{xml}: {error}') from None
        stem = xml.relative_to(folder).with_suffix('').as_posix()
        filename = found.get(stem) or _text(tree, 'filename') or stem + '.jpg'
        key = relative_key(f'{images}/{filename}', str(xml))
        if key in listed:
            raise SourceError(f'{xml}: a second annotation of {key}')
        listed[key] = annotated(key, root / key, **_faces(tree, classes, str(xml)))
        sizes[key] = _text(tree, 'size/width'), _text(tree, 'size/height')
        seen.update(_text(element, 'name') for element in tree.iter('object'))
    if listed and not seen & set(classes):
        raise SourceError(
            f'{folder}: none of the classes {", ".join(classes)} occurs; there are: '
            f'{", ".join(sorted(seen)) or "no objects"}; set face= and masked='
        )
    return Source(root, listed, partial(_as_turned, listed, sizes), **common)


def _as_turned(listed: Dict[str, SourceImage], sizes: Dict[str, Tuple[str, str]], key: str) -> SourceImage:
    """What the source says about the image `key`, its boxes turned with it."""
    image = listed[key]
    stored = stored_size(image.path)
    if stored is None or stored[2] not in TURNS or stored[0] == stored[1]:
        return image
    width, height, orientation = stored
    if sizes[key] != (str(width), str(height)):
        return image
    return replace(image, boxes=TURNS[orientation](image.boxes, width, height))


def _faces(tree: ET.Element, classes: Dict[str, bool], where: str) -> Dict[str, List[Any]]:
    """Boxes and flags of the objects of some classes, for each of which it is said whether it is masked."""
    boxes, masked, ignore = [], [], []
    for number, element in enumerate(tree.iter('object'), 1):
        label = _text(element, 'name')
        if label in classes:
            corners = [_text(element, f'bndbox/{corner}') for corner in CORNERS]
            what = f'a bndbox of {", ".join(CORNERS)}'
            boxes.append(parse_numbers(corners, 4, f'{where}: object {number}', what))
            masked.append(classes[label])
            ignore.append(_text(element, 'difficult') == '1')
    return {'boxes': boxes, 'masked': masked, 'ignore': ignore}


def _names(text: str) -> List[str]:
    return [name.strip() for name in text.split(',') if name.strip()]


def _text(element: ET.Element, path: str) -> str:
    return (element.findtext(path) or '').strip()
