"""Reading and writing photos: whatever the file, an RGB image the right way up comes out."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Optional, Sequence, Tuple, Union

import cv2
import numpy as np
from PIL import Image, ImageFile, ImageOps

from uniface_mx.errors import UnifaceError
from uniface_mx.files import written_aside

try:
    # Its import makes Pillow read HEIC, what phones take photos in.
    from pillow_heif import HeifImagePlugin
except ImportError:
    HeifImagePlugin = None

MAX_PIXELS = 100_000_000
# Formats of photos (JPEG includes MPO). Pillow knows many more, and hands some of them (EPS) to other
# programs.
FORMATS = ('BMP', 'GIF', 'JPEG', 'PNG', 'PPM', 'TIFF', 'WEBP') + (('HEIF',) if HeifImagePlugin else ())
ORIENTATION = 0x0112  # EXIF's tag
# How the names of such files end, in lower case.
PHOTO_ENDINGS = frozenset(
    '.bmp .gif .heic .heif .jfif .jpeg .jpg .mpo .pbm .pgm .png .ppm .tif .tiff .webp'.split()
)

GREEN, YELLOW = (0, 200, 0), (255, 220, 0)


class ImageError(UnifaceError):
    """A file that cannot be used as a photo."""


def _to_rgb(image: Image.Image) -> np.ndarray:
    if image.mode.startswith(('I', 'F')):
        # Pillow clips 16-bit grey instead of scaling it.
        values = np.asarray(image, dtype=np.float64)
        largest = values.max(initial=0)
        if image.mode.startswith('I;16') or largest > 255:
            white = 65535
        else:
            white = 1 if image.mode == 'F' and largest <= 1 else 255
        grey = np.clip(values * (255 / white), 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode in ('RGBA', 'LA', 'PA') or 'transparency' in image.info:
        image = image.convert('RGBA')
        ground = Image.new('RGBA', image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(ground, image)
    return np.array(image if image.mode == 'RGB' else image.convert('RGB'))


def read_image(source: Union[str, os.PathLike, bytes], max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode a photo.

    EXIF orientation is applied; grey, palette, CMYK, 16-bit and floating-point images (whose white is 1, 255
    or 65,535) become 8-bit RGB; what is transparent lies on white; of an animation the first picture counts.
    The size is read from the header and checked before anything is decoded, so that a small file cannot claim
    much memory.

    Parameters
    ----------
    source : path or bytes
        The file, or its content.
    max_pixels : int
        Larger images are refused.

    Returns
    -------
    numpy.ndarray
        (H, W, 3) uint8, RGB.

    Raises
    ------
    ImageError
        The file is missing, is no image, is damaged, or is larger than ``max_pixels``.
    """
    name = f'image of {len(source)} bytes' if isinstance(source, bytes) else os.fspath(source)
    # Importing gluoncv.data makes Pillow accept files that end too early, in the whole process.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    if not isinstance(source, bytes) and Path(source).is_fifo():
        raise ImageError(f'{name}: a pipe; give a file')
    try:
        with Image.open(
            io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS
        ) as image:
            width, height = image.size
            if width * height > max_pixels:
                more = f'{width}x{height} pixels are more than the limit of {max_pixels}'
                raise ImageError(f'{name}: {more}; reduce it or raise the limit')
            image.load()
            # Pillow copies what it need not turn.
            turned = image.getexif().get(ORIENTATION, 1) != 1
            return np.ascontiguousarray(_to_rgb(ImageOps.exif_transpose(image) if turned else image))
    except ImageError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        raise ImageError(f'{name}: {_reason(error, name)}') from None


def _reason(error: Exception, name: str) -> str:
    if isinstance(error, FileNotFoundError):
        return 'no such file'
    if isinstance(error, IsADirectoryError):
        return 'no photo in this folder'
    if isinstance(error, Image.DecompressionBombError):
        return 'the image is too large; reduce it'
    if not isinstance(error, Image.UnidentifiedImageError):
        return f'cannot be read as an image ({" ".join(str(error).split()) or type(error).__name__})'
    if not HeifImagePlugin and name.lower().endswith(('.heic', '.heif')):
        return 'HEIC is read where pillow-heif is installed: pip install pillow-heif'
    return f'not an image, or of a kind that is not read ({", ".join(FORMATS)} are)'


def encode_jpeg(image: np.ndarray, quality: int = 95) -> bytes:
    """An RGB (H, W, 3) uint8 image as a JPEG file without EXIF."""
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode('.jpg', pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ImageError(f'an image of shape {image.shape} cannot be written as JPEG')
    return data.tobytes()


def write_image(path: Union[str, os.PathLike], image: np.ndarray) -> None:
    """Write an RGB (H, W, 3) uint8 image, in the format that the file's ending names, aside and renamed."""
    path = Path(path)
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    try:
        with written_aside(path) as aside:
            aside.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())
    except (cv2.error, OSError):  # OpenCV's of an ending that names no format
        raise ImageError(
            f'{path}: cannot be written; name a folder that exists and an ending such as .jpg'
        ) from None


def mark_face(
    image: np.ndarray,
    box: Sequence[float],
    landmarks: Optional[np.ndarray] = None,
    colour: Tuple[int, int, int] = GREEN,
    line: int = 1,
) -> None:
    """Draw a face's box and points into an RGB (H, W, 3) uint8 image.

    Parameters
    ----------
    image : numpy.ndarray
        It is changed.
    box : sequence of float
        ``xyxy`` in its pixels, right and bottom exclusive.
    landmarks : numpy.ndarray, optional
        (5, 2) in its pixels; yellow.
    colour : (int, int, int)
        RGB of the box.
    line : int
        Width of the lines, and radius of the points, in pixels.
    """
    left, top, right, bottom = (int(round(float(value))) for value in box)
    cv2.rectangle(image, (left, top), (right - 1, bottom - 1), colour, line)
    for x, y in () if landmarks is None else landmarks:
        cv2.circle(image, (int(x), int(y)), line, YELLOW, -1)
