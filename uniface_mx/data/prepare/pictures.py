"""The photo itself: what is stored of it, and a hash of how it looks."""

from __future__ import annotations

import io
from typing import Tuple

import cv2
import numpy as np
from PIL import Image

from uniface_mx.image import ImageError, encode_jpeg


def picture_hash(image: np.ndarray) -> int:
    """64-bit difference hash of a (H, W, 3) RGB image: is each of 8x8 areas darker than its right neighbour?

    The same picture at another size or JPEG quality differs in few bits.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA).astype(np.int16)
    return int.from_bytes(np.packbits(small[:, 1:] > small[:, :-1]).tobytes(), 'big')


def header_pixels(data: bytes) -> int:
    """The number of pixels that an image file's header states.

    Raises
    ------
    ImageError
        There is no such header.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.size[0] * image.size[1]
    except Exception:  # Pillow raises nearly anything on damaged files
        raise ImageError('no image') from None


def storable(data: bytes, size: int) -> bool:
    """Can an image file go into a record as it is: a grey or colour JPEG without EXIF or other extras, and
    not too large?

    Parameters
    ----------
    data : bytes
        The file, known to be decodable.
    size : int
        Largest side that is stored, in pixels.
    """
    with Image.open(io.BytesIO(data)) as image:
        return (
            image.format == 'JPEG'
            and image.mode in ('RGB', 'L')
            and max(image.size) <= size
            and all(marker in ('APP0', 'APP14') for marker, _ in image.applist)
        )


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
