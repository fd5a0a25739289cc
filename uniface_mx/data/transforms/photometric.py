"""Photometric transforms: uint8 in, uint8 out, nothing moves."""

from __future__ import annotations

from typing import Sequence

import cv2
import numpy as np

_LUMA = np.array([0.299, 0.587, 0.114])
# Luma and two chroma axes (YIQ): hue turns the chroma plane, saturation scales it.
_TO_YIQ = np.array([_LUMA, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
_FROM_YIQ = np.linalg.inv(_TO_YIQ)


def colour_matrix(saturation: float, hue: float) -> np.ndarray:
    """The (3, 3) float32 matrix on RGB that scales saturation (0: grey) and turns hue by degrees."""
    cos, sin = saturation * np.cos(np.radians(hue)), saturation * np.sin(np.radians(hue))
    return (_FROM_YIQ @ np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]]) @ _TO_YIQ).astype(np.float32)


def tone_table(brightness: float, contrast: float, gamma: float, cast: Sequence[float]) -> np.ndarray:
    """A look-up table (1, 256, 3) uint8: gamma, contrast around mid-grey, brightness times `cast`'s factors.

    All ones change nothing.
    """
    tone = (np.arange(256) / 255) ** gamma
    tone = np.maximum((tone - 0.5) * contrast + 0.5, 0)
    values = 255 * brightness * tone[:, None] * np.asarray(cast)[None]
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)[None]


def colour(
    image: np.ndarray,
    brightness: float = 1,
    contrast: float = 1,
    gamma: float = 1,
    saturation: float = 1,
    hue: float = 0,
    cast: Sequence[float] = (1, 1, 1),
) -> np.ndarray:
    """Change tones and colours of an (H, W, 3) uint8 RGB image; see `tone_table` and `colour_matrix`."""
    if saturation != 1 or hue != 0:
        image = cv2.transform(image, colour_matrix(saturation, hue))
    return cv2.LUT(image, tone_table(brightness, contrast, gamma, cast))


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur, `sigma` in pixels; (H, W, 3) uint8."""
    return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)


def low_resolution(image: np.ndarray, factor: float, smooth: bool = True) -> np.ndarray:
    """Reduce an (H, W, 3) uint8 image by `factor`, averaging, and enlarge it again, smoothly or in blocks."""
    height, width = image.shape[:2]
    size = max(1, round(width / factor)), max(1, round(height / factor))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST)


def noise(image: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """Add noise of a standard deviation in grey levels to an (H, W, 3) uint8 image.

    The difference of two uniform bytes is near enough to a normal variate, at a tenth of its cost.
    """
    a, b = np.frombuffer(rng.bytes(2 * image.size), np.uint8).reshape((2,) + image.shape)
    grain = cv2.subtract(a, b, dtype=cv2.CV_16S)
    return cv2.addWeighted(image, 1, grain, deviation * np.sqrt(6) / 256, 0, dtype=cv2.CV_8U)


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """An (H, W, 3) uint8 image after storage as JPEG of a quality of 1 to 100."""
    done, data = cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
