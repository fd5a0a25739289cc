"""Canvases: photos planned onto a square picture, then drawn in one go.

First every photo gets a cell and a matrix, which takes no more than its boxes; then it is decoded, at the
smallest resolution that the matrix needs, and warped once, straight into its cell.
"""

from __future__ import annotations

from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np

from uniface_mx.config.augmentation import AugmentSettings
from uniface_mx.data.records import RecordError
from uniface_mx.data.rows import BOX, HAS_EMBEDDING, IGNORE, no_rows
from uniface_mx.data.transforms import geometric, mosaic, photometric
from uniface_mx.geometry import flip_boxes, letterbox, transform_points

LETTERBOX, CROP, MOSAIC = 'letterbox', 'crop', 'mosaic'
_REDUCED = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    1: cv2.IMREAD_COLOR,
}


class Photo(NamedTuple):
    """A photo not yet decoded: its JPEG file, label rows (G, 146) in pixels, its size and its name."""

    data: np.ndarray
    objects: np.ndarray
    width: int
    height: int
    where: str


class Tile(NamedTuple):
    """A photo's place: the cell (4,) int x1, y1, x2, y2, and the (2, 3) matrix from photo to canvas."""

    photo: Photo
    cell: np.ndarray
    matrix: np.ndarray

    def is_covered(self) -> bool:
        """Whether the photo fills its cell."""
        x1, y1, x2, y2 = self.cell
        back = cv2.invertAffineTransform(self.matrix)
        corners = transform_points(((x1, y1), (x2, y1), (x1, y2), (x2, y2)), back)
        size = self.photo.width, self.photo.height
        return bool((corners >= -0.5).all() and (corners <= np.add(size, 0.5)).all())


def canvas_kinds(settings: AugmentSettings) -> Tuple[List[Tuple[str, int]], np.ndarray]:
    """The kinds of canvas with their numbers of cells, and how often each occurs."""
    kinds = [(LETTERBOX, 1), (CROP, 1)] + [(MOSAIC, cells) for cells in settings.mosaic_cells]
    mosaics = np.asarray(settings.mosaic_weights, np.float64)
    mosaics = settings.mosaic * mosaics / mosaics.sum()
    return kinds, np.concatenate([[settings.letterbox, settings.crop], mosaics])


def decode(photo: Photo, scale: float = 1.0) -> Tuple[np.ndarray, int]:
    """Decode a photo, at reduced size where `scale` allows (JPEG does this at a fraction of the cost).

    Returns
    -------
    (numpy.ndarray, int)
        (H, W, 3) uint8 RGB, and the factor by which it is smaller than the photo: 1, 2, 4 or 8.

    Raises
    ------
    RecordError
        The image is damaged or not of the size that its record says.
    """
    factor = next(f for f in _REDUCED if f == 1 or scale * f <= 1)
    flags = _REDUCED[factor] | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(photo.data, flags) if photo.data.size else None
    advice = 'prepare the set again, or skip such records'
    if image is None:
        raise RecordError(f'{photo.where}: the image cannot be decoded; {advice}')
    # Whole pixels only: reduction rounds up.
    if image.shape[:2] != (-(-photo.height // factor), -(-photo.width // factor)):
        size = f'{photo.width}x{photo.height}'
        raise RecordError(f'{photo.where}: the image is not the {size} that its record says; {advice}')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB), factor


class Composer:
    """Makes one canvas.

    Parameters
    ----------
    size : int
        Side of the canvas in pixels.
    rng : numpy.random.Generator
        What is left to chance follows from it.
    background : callable or None
        Gives the photo without faces that shows where no other does; called only if there is such a place.
    on_bad : callable or None
        Is given the error of a damaged photo, whose cell then stays empty; None raises it.
    """

    def __init__(
        self,
        settings: AugmentSettings,
        size: int,
        rng: np.random.Generator,
        background: Optional[Callable[[], Photo]] = None,
        on_bad: Optional[Callable[[RecordError], None]] = None,
    ) -> None:
        self.settings, self.size, self.rng = settings, size, rng
        self.background, self.on_bad = background, on_bad
        self.whole = np.array([0, 0, size, size])

    def plan(self, kind: str, photos: Sequence[Photo]) -> List[Tile]:
        """Choose cells and matrices for photos.

        Parameters
        ----------
        kind : str
            LETTERBOX or CROP (one photo), or MOSAIC (as many cells as there are photos).
        """
        settings, size = self.settings, self.size
        if kind == MOSAIC:
            wanted = mosaic.draw_sides(len(photos), settings.size_edges, settings.size_weights, self.rng)
            cells = mosaic.partition(wanted**2, size, self.rng)
            return [self._face_tile(*placed) for placed in zip(photos, cells, wanted)]
        (photo,) = photos
        sides = photo.width, photo.height
        flip, faces = self._flipped(photo)
        if kind == LETTERBOX:
            matrices = [geometric.window_matrix((0, 0, *sides), size)]
        else:
            if self._happens(settings.expand_probability):
                window = geometric.expand_window(*sides, self.rng, settings.max_expand)
            else:
                overlap = self.rng.choice(settings.crop_overlaps)
                window = geometric.crop_window(*sides, faces, self.rng, settings.crop_scale, overlap)
            matrices = [geometric.window_matrix(window, size), self._rotation(size / 2, size / 2)]
        return [Tile(photo, self.whole, geometric.chain(flip, *matrices))]

    def draw(self, kind: str, tiles: Sequence[Tile]) -> Tuple[np.ndarray, np.ndarray]:
        """Draw planned photos.

        Parameters
        ----------
        kind : str
            A LETTERBOX has the padding of inference, black before changes of colour; the others' ground
            varies.
        tiles : sequence of Tile
            Cells do not overlap.

        Returns
        -------
        (numpy.ndarray, numpy.ndarray)
            Canvas (size, size, 3) uint8 RGB, and label rows (G, 146) float32 in canvas pixels.
        """
        settings = self.settings
        canvas, behind = self._ground(kind, tiles)
        found = []
        for tile in tiles:
            try:
                objects = self._show(kind, tile, canvas)
            except RecordError as error:
                self._report(error)
                continue
            detail = geometric.sides(objects) / max(1, geometric.matrix_scale(tile.matrix))
            x1, y1, x2, y2 = tile.cell
            view = canvas[y1:y2, x1:x2]
            taught = objects[:, IGNORE] == 0
            need = np.where(objects[:, HAS_EMBEDDING] == 1, settings.embedding_side, settings.min_side)
            changed, loss = self._change(view, detail[taught], need[taught])
            if changed is not view:
                view[...] = changed
            geometric.ignore_small(objects, detail / loss, settings.min_side, settings.embedding_side)
            found.append(objects)
        return self._store(canvas), np.concatenate([*found, behind])

    def _happens(self, probability: float) -> bool:
        return self.rng.random() < probability

    def _report(self, error: RecordError) -> None:
        if self.on_bad is None:
            raise error
        self.on_bad(error)

    def _flipped(self, photo: Photo) -> Tuple[np.ndarray, np.ndarray]:
        """The flip's matrix, if any, and the boxes of the faces to learn after it."""
        boxes = photo.objects[photo.objects[:, IGNORE] == 0, BOX].astype(np.float64)
        if self._happens(self.settings.flip_probability):
            return geometric.flip_matrix(photo.width), flip_boxes(boxes, photo.width)
        return np.eye(2, 3), boxes

    def _rotation(self, x: float, y: float) -> np.ndarray:
        largest = self.settings.max_rotation
        if self._happens(self.settings.rotate_probability):
            return geometric.rotation_matrix(self.rng.uniform(-largest, largest), x, y)
        return np.eye(2, 3)

    def _face_tile(self, photo: Photo, cell: np.ndarray, side: float) -> Tile:
        flip, faces = self._flipped(photo)
        sides = photo.width, photo.height
        if not len(faces):
            return Tile(photo, cell, geometric.chain(flip, mosaic.cover_matrix(cell, *sides, self.rng)))
        box = faces[self.rng.integers(len(faces))]
        place = mosaic.face_matrix(cell, *sides, box, side, self.settings.max_zoom, self.rng)
        centre = transform_points((box[:2] + box[2:]) / 2, place)
        return Tile(photo, cell, geometric.chain(flip, place, self._rotation(*centre)))

    def _show(self, kind: str, tile: Tile, canvas: np.ndarray) -> np.ndarray:
        """Draw a photo; what is seen of its faces, in canvas pixels."""
        if kind == LETTERBOX:
            # The pixels that inference makes, which costs a full decode.
            image = decode(tile.photo)[0]
            canvas[...] = letterbox(cv2.flip(image, 1) if tile.matrix[0, 0] < 0 else image, len(canvas))[0]
        else:
            image, factor = decode(tile.photo, geometric.matrix_scale(tile.matrix))
            enlarge = geometric.scale_matrix(factor, factor)
            geometric.paint(canvas, tile.cell, image, geometric.chain(enlarge, tile.matrix))
        objects, settings = geometric.transform_objects(tile.photo.objects, tile.matrix), self.settings
        limits = settings.drop_visible, settings.keep_visible, settings.embedding_visible
        return geometric.cut_objects(objects, tile.cell, *limits)

    def _ground(self, kind: str, tiles: Sequence[Tile]) -> Tuple[np.ndarray, np.ndarray]:
        """The canvas before any photo, and what may be faces there, to be ignored."""
        canvas = np.zeros((self.size, self.size, 3), np.uint8)
        if kind == LETTERBOX or all(tile.is_covered() for tile in tiles):
            return canvas, no_rows()
        if self.background is not None and self._happens(self.settings.background_probability):
            try:
                photo = self.background()
                matrix = mosaic.cover_matrix(self.whole, photo.width, photo.height, self.rng)
                objects = self._show(MOSAIC, Tile(photo, self.whole, matrix), canvas)
                objects[:, IGNORE] = 1
                return canvas, objects
            except RecordError as error:
                self._report(error)
        if self._happens(0.5):
            # Row by row: ten times as quick as pixel by pixel.
            canvas.reshape(self.size, -1)[...] = np.tile(self.rng.integers(0, 256, 3), self.size)
        return canvas, no_rows()

    def _change(self, image: np.ndarray, detail: np.ndarray, need: np.ndarray) -> Tuple[np.ndarray, float]:
        """Colour, resolution and blur of one cell; the second value is by how much its resolution fell.

        The faces' sides have `detail` real pixels, of which low resolution leaves `need`.
        """
        settings, rng = self.settings, self.rng

        def vary(amount: float) -> float:
            return rng.uniform(1 - amount, 1 + amount)

        grey = self._happens(settings.grey_probability)
        if self._happens(settings.colour_probability):
            tones = [vary(amount) for amount in (settings.brightness, settings.contrast, settings.gamma)]
            saturation = 0 if grey else vary(settings.saturation)
            hue = rng.uniform(-settings.hue, settings.hue)
            image = photometric.colour(
                image, *tones, saturation, hue, [vary(settings.cast) for _ in range(3)]
            )
        elif grey:
            image = photometric.colour(image, saturation=0)
        loss = 1.0
        if self._happens(settings.low_resolution_probability):
            limit = min(settings.low_resolution_max, (detail / need).min(initial=np.inf))
            if limit > 1:
                loss = rng.uniform(1, limit)
                image = photometric.low_resolution(image, loss, self._happens(0.7))
        if self._happens(settings.blur_probability):
            sigma = min(settings.blur_max, detail.min(initial=np.inf) / 40) * rng.uniform(0.3, 1)
            image = photometric.blur(image, sigma) if sigma > 0 else image
        return image, loss

    def _store(self, canvas: np.ndarray) -> np.ndarray:
        """Noise and JPEG of the whole canvas."""
        settings, rng = self.settings, self.rng
        if self._happens(settings.noise_probability):
            canvas = photometric.noise(canvas, rng.uniform(0, settings.noise_max), rng)
        if self._happens(settings.jpeg_probability):
            worst, best = settings.jpeg_quality
            canvas = photometric.jpeg(canvas, rng.integers(worst, best + 1))
        return canvas
