"""The photo itself: what is stored of it, and a hash of how it looks."""

from __future__ import annotations

import io
from typing import NamedTuple, Tuple

import cv2
import numpy as np
from PIL import Image

from uniface_mx.image import ImageError, encode_jpeg


def picture_hash(image: np.ndarray) -> int:
    """64-bit difference hash of a (H, W, 3) RGB image: which of 8x8 areas are darker than their right neighbours.

    The same picture at another size or JPEG quality differs in few bits.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA).astype(np.int16)
    return int.from_bytes(np.packbits(small[:, 1:] > small[:, :-1]).tobytes(), 'big')


class Header(NamedTuple):
    """What an image file's header states.

    pixels : how many.
    side : the longer one, in pixels.
    plain : is it a grey or colour JPEG without EXIF or other extras, which can go into a record as it is.
    """

    pixels: int
    side: int
    plain: bool


def read_header(data: bytes) -> Header:
    """The header of an image file.

    Raises
    ------
    ImageError
        There is none.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
            plain = (
                image.format == 'JPEG'
                and image.mode in ('RGB', 'L')
                and all(marker in ('APP0', 'APP14') for marker, _ in image.applist)
            )
            return Header(width * height, max(width, height), plain)
    except Exception:  # Pillow raises nearly anything on damaged files
        raise ImageError('no image') from None


def stored_jpeg(image: np.ndarray, size: int, quality: int) -> Tuple[bytes, int, int]:
    """An RGB image as a JPEG file whose longer side is at most `size`.

    Returns
    -------
    bytes, int, int
        The file, its width and height.
    """
    height, width = image.shape[:2]
    if max(height, width) > size:
        scale = size / max(height, width)
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return encode_jpeg(image, quality), width, height
