"""What training pictures are made of: which records, and every switch and number of the augmentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence, Tuple

from uniface_mx.errors import UnifaceError


class AugmentError(UnifaceError):
    """Settings of the augmentation that make no sense."""


@dataclass(frozen=True)
class RecordShare:
    """A record set, and how often one of its records is shown relative to a record of weight 1; 0 for never."""

    path: str  # NAME of the set, or any of its files
    photo: float = 1.0  # as a whole photo (letterbox, crop)
    tile: float = 1.0  # in a mosaic's cell
    background: float = 0.0  # behind other photos (only for sets without faces)


@dataclass(frozen=True)
class AugmentSettings:
    """How canvases are made from photos.

    A face's *side* is the square root of its box's area. Probabilities lie in 0..1, and 0 switches a
    transform off; ranges are (low, high).

    Raises
    ------
    AugmentError
        A value makes no sense; the message begins with its name.
    """

    # Shares of the three kinds of canvas.
    letterbox: float = 0.1  # the whole photo as in inference
    crop: float = 0.2  # an SSD-style crop or expansion
    mosaic: float = 0.7  # cells, each with a photo around one of its faces
    mosaic_cells: Tuple[int, ...] = (1, 2, 4, 6, 9)  # numbers of cells (1 is a zoom on one face) ...
    mosaic_weights: Tuple[float, ...] = (1.0, 1.0, 3.0, 2.0, 1.0)  # ... and how often each occurs
    # The wanted sides of faces in cells, in canvas pixels: bins between successive edges, and how often each
    # occurs; within a bin sides are drawn log-uniformly. A side that its cell or `max_zoom` does not allow is
    # reduced.
    size_edges: Tuple[float, ...] = (24.0, 48.0, 96.0, 144.0, 300.0)
    size_weights: Tuple[float, ...] = (1.0, 2.0, 2.0, 1.0)
    max_zoom: float = 2.0  # no photo is enlarged more
    # The SSD rule: a crop must show one face with at least this overlap, drawn from these; 0 accepts any.
    crop_overlaps: Tuple[float, ...] = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
    crop_scale: Tuple[float, float] = (0.3, 1.0)  # sides of the crop as parts of the photo's sides
    expand_probability: float = 0.3  # an SSD canvas shows the photo reduced instead ...
    max_expand: float = 3.0  # ... with sides up to so many times shorter
    # The area that no photo covers shows a photo without faces (where there are record sets of those);
    # otherwise it is black or of one colour.
    background_probability: float = 0.7
    flip_probability: float = 0.5
    rotate_probability: float = 0.5
    max_rotation: float = 15.0  # degrees
    colour_probability: float = 0.7
    # The largest relative changes; `hue` in degrees, `cast` per channel.
    brightness: float = 0.15
    contrast: float = 0.2
    saturation: float = 0.35
    hue: float = 8.0
    gamma: float = 0.25
    cast: float = 0.08
    grey_probability: float = 0.05
    # Reduces by a factor of up to `low_resolution_max` and enlarges again, but no face with an embedding below
    # `embedding_side`, and no other below `min_side`.
    low_resolution_probability: float = 0.15
    low_resolution_max: float = 3.0
    blur_probability: float = 0.1
    blur_max: float = 2.0  # sigma in pixels, and at most a fortieth of the smallest face's side
    noise_probability: float = 0.1
    noise_max: float = 8.0  # deviation in grey levels
    jpeg_probability: float = 0.2
    jpeg_quality: Tuple[int, int] = (35, 90)
    # A face cut by its cell or the canvas: with less of the box visible than this it is left out ...
    drop_visible: float = 0.1
    keep_visible: float = 0.6  # ... or marked to be ignored; otherwise its box ends at the cut
    # With less visible, or one of the five points cut away, a face has no embedding to learn; nor with fewer
    # real pixels to its side (enlarging gains none, low resolution loses many).
    embedding_visible: float = 0.9
    embedding_side: float = 24.0
    min_side: float = 12.0  # smaller faces are marked to be ignored

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name.endswith(('_probability', '_visible')) and not 0 <= value <= 1:
                raise AugmentError(f'{name}: {value!r} is not between 0 and 1')
        changes = self.brightness, self.contrast, self.saturation, self.gamma, self.cast
        negative = 'must not be negative, nor all 0'
        cells, bins = len(self.mosaic_cells), len(self.size_edges) - 1
        rising = all(0 < a < b for a, b in zip(self.size_edges, self.size_edges[1:]))
        low, high = self.jpeg_quality
        smallest, largest = self.crop_scale
        checks = {
            f'letterbox, crop, mosaic: shares {negative}': _are_shares(self.kinds),
            'mosaic_weights: one for each of mosaic_cells': len(self.mosaic_weights) == cells > 0,
            'mosaic_cells: at least 1': min(self.mosaic_cells, default=1) >= 1,
            f'mosaic_weights: {negative}': _are_shares(self.mosaic_weights),
            'size_weights: one fewer than size_edges': len(self.size_weights) == bins > 0,
            f'size_weights: {negative}': _are_shares(self.size_weights),
            'size_edges: positive and rising': rising,
            'max_zoom: above 0': self.max_zoom > 0,
            'crop_overlaps: at least one': len(self.crop_overlaps) > 0,
            'crop_scale: low, high within 0..1': 0 < smallest <= largest <= 1,
            'max_expand: at least 1': self.max_expand >= 1,
            'low_resolution_max: at least 1': self.low_resolution_max >= 1,
            'jpeg_quality: low, high within 1..100': 1 <= low <= high <= 100,
            'brightness, contrast, saturation, gamma, cast: relative changes below 1': max(changes) < 1,
            'drop_visible: at most keep_visible': self.drop_visible <= self.keep_visible,
        }
        for text, good in checks.items():
            if not good:
                raise AugmentError(text)

    @property
    def kinds(self) -> Tuple[float, float, float]:
        """Shares of letterbox, crop and mosaic."""
        return self.letterbox, self.crop, self.mosaic

    @classmethod
    def none(cls) -> AugmentSettings:
        """Whole photos, letterboxed and otherwise untouched, as for validation."""
        switches = 'flip rotate colour grey low_resolution blur noise jpeg'.split()
        return cls(letterbox=1.0, crop=0.0, mosaic=0.0, **{f'{name}_probability': 0.0 for name in switches})


def _are_shares(values: Sequence[float]) -> bool:
    return min(values, default=0) >= 0 and sum(values) > 0
