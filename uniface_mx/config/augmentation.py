"""What training pictures are made of: which records, and every switch and number of the augmentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

from uniface_mx.errors import UnifaceError


class AugmentError(UnifaceError):
    """Settings of the augmentation that make no sense."""


@dataclass(frozen=True)
class RecordShare:
    """A record set and what it is used for.

    Parameters
    ----------
    path : str
        NAME of the set, or any of its files.
    photo, tile, background : float
        How often one of its records is shown relative to a record of weight 1, as a whole photo (letterbox,
        crop), in a mosaic's cell, and behind other photos (only for sets without faces); 0 for never.
    """

    path: str
    photo: float = 1.0
    tile: float = 1.0
    background: float = 0.0


@dataclass(frozen=True)
class AugmentSettings:
    """How canvases are made from photos.

    A face's *side* is the square root of its box's area. Probabilities lie in 0..1, and 0 switches a
    transform off; ranges are (low, high).

    Parameters
    ----------
    letterbox, crop, mosaic : float
        Shares of the three kinds of canvas: the whole photo as in inference; an SSD-style crop or expansion;
        cells, each with a photo around one of its faces.
    mosaic_cells, mosaic_weights : tuple
        Numbers of cells (1 is a zoom on one face), and how often each occurs.
    size_edges, size_weights : tuple
        The wanted sides of faces in cells, in canvas pixels: bins between successive edges, and how often
        each occurs; within a bin sides are drawn log-uniformly. A side that its cell or `max_zoom` does not
        allow is reduced.
    max_zoom : float
        No photo is enlarged more than this.
    crop_overlaps : tuple
        The SSD rule: a crop must show one face with at least this overlap, drawn from these; 0 accepts any
        crop.
    crop_scale : tuple
        Sides of the crop as parts of the photo's sides.
    expand_probability, max_expand : float
        How often an SSD canvas shows the photo reduced instead, and the largest ratio of the sides.
    background_probability : float
        How often the area that no photo covers shows a photo without faces (where there are record sets of
        those); otherwise it is black or of one colour.
    flip_probability : float
    rotate_probability, max_rotation : float
        Turns by up to `max_rotation` degrees.
    colour_probability, brightness, contrast, saturation, hue, gamma, cast : float
        Each number is the largest relative change, `hue` in degrees, `cast` per channel.
    grey_probability : float
    low_resolution_probability, low_resolution_max : float
        Reduces by a factor of up to `low_resolution_max` and enlarges again, but no face with an embedding
        below `embedding_side`, and no other below `min_side`.
    blur_probability, blur_max : float
        Gaussian blur, sigma up to `blur_max` pixels, and up to a fortieth of the smallest face's side.
    noise_probability, noise_max : float
        Noise of a deviation up to `noise_max` grey levels.
    jpeg_probability : float
    jpeg_quality : tuple of int
    drop_visible, keep_visible : float
        A face cut by its cell or the canvas: less than `drop_visible` of the box visible, it is left out;
        less than `keep_visible`, it is marked to be ignored; otherwise its box ends at the cut.
    embedding_visible : float
        With less of the box visible, or one of the five points cut away, a face has no embedding to learn.
    embedding_side : float
        With fewer real pixels to its side (after enlarging nothing is gained, after low resolution much is
        lost), a face has no embedding to learn.
    min_side : float
        Smaller faces are marked to be ignored.
    """

    letterbox: float = 0.1
    crop: float = 0.2
    mosaic: float = 0.7
    mosaic_cells: Tuple[int, ...] = (1, 2, 4, 6, 9)
    mosaic_weights: Tuple[float, ...] = (1.0, 1.0, 3.0, 2.0, 1.0)
    size_edges: Tuple[float, ...] = (24.0, 48.0, 96.0, 144.0, 300.0)
    size_weights: Tuple[float, ...] = (1.0, 2.0, 2.0, 1.0)
    max_zoom: float = 2.0
    crop_overlaps: Tuple[float, ...] = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
    crop_scale: Tuple[float, float] = (0.3, 1.0)
    expand_probability: float = 0.3
    max_expand: float = 3.0
    background_probability: float = 0.7
    flip_probability: float = 0.5
    rotate_probability: float = 0.5
    max_rotation: float = 15.0
    colour_probability: float = 0.7
    brightness: float = 0.15
    contrast: float = 0.2
    saturation: float = 0.35
    hue: float = 8.0
    gamma: float = 0.25
    cast: float = 0.08
    grey_probability: float = 0.05
    low_resolution_probability: float = 0.15
    low_resolution_max: float = 3.0
    blur_probability: float = 0.1
    blur_max: float = 2.0
    noise_probability: float = 0.1
    noise_max: float = 8.0
    jpeg_probability: float = 0.2
    jpeg_quality: Tuple[int, int] = (35, 90)
    drop_visible: float = 0.1
    keep_visible: float = 0.6
    embedding_visible: float = 0.9
    embedding_side: float = 24.0
    min_side: float = 12.0

    def __post_init__(self):
        for name, value in vars(self).items():
            if name.endswith(('_probability', '_visible')) and not 0 <= value <= 1:
                raise AugmentError(f'{name}: {value!r} is not between 0 and 1')
        checks = (
            (
                min(self.kinds) >= 0 and sum(self.kinds) > 0,
                'letterbox, crop, mosaic: shares must not be negative, nor all 0',
            ),
            (
                0 < len(self.mosaic_cells) == len(self.mosaic_weights),
                'mosaic_weights: one for each of mosaic_cells',
            ),
            (min(self.mosaic_cells, default=1) >= 1, 'mosaic_cells: at least 1'),
            (
                min(self.mosaic_weights, default=1) >= 0 and sum(self.mosaic_weights) > 0,
                'mosaic_weights: must not be negative, nor all 0',
            ),
            (
                0 < len(self.size_weights) == len(self.size_edges) - 1,
                'size_weights: one fewer than size_edges',
            ),
            (
                min(self.size_weights, default=1) >= 0 and sum(self.size_weights) > 0,
                'size_weights: must not be negative, nor all 0',
            ),
            (
                all(0 < a < b for a, b in zip(self.size_edges, self.size_edges[1:])),
                'size_edges: positive and rising',
            ),
            (self.max_zoom > 0, 'max_zoom: above 0'),
            (len(self.crop_overlaps) > 0, 'crop_overlaps: at least one'),
            (0 < self.crop_scale[0] <= self.crop_scale[1] <= 1, 'crop_scale: low, high within 0..1'),
            (self.max_expand >= 1, 'max_expand: at least 1'),
            (self.low_resolution_max >= 1, 'low_resolution_max: at least 1'),
            (
                1 <= self.jpeg_quality[0] <= self.jpeg_quality[1] <= 100,
                'jpeg_quality: low, high within 1..100',
            ),
            (
                max(self.brightness, self.contrast, self.saturation, self.gamma, self.cast) < 1,
                'brightness, contrast, saturation, gamma, cast: relative changes below 1',
            ),
            (self.drop_visible <= self.keep_visible, 'drop_visible: at most keep_visible'),
        )
        for good, text in checks:
            if not good:
                raise AugmentError(text)

    @property
    def kinds(self) -> Tuple[float, float, float]:
        """Shares of letterbox, crop and mosaic."""
        return self.letterbox, self.crop, self.mosaic

    @classmethod
    def none(cls) -> AugmentSettings:
        """Whole photos, letterboxed and otherwise untouched, as for validation."""
        return cls(
            letterbox=1.0,
            crop=0.0,
            mosaic=0.0,
            flip_probability=0.0,
            rotate_probability=0.0,
            colour_probability=0.0,
            grey_probability=0.0,
            low_resolution_probability=0.0,
            blur_probability=0.0,
            noise_probability=0.0,
            jpeg_probability=0.0,
        )
