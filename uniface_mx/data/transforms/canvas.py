"""Canvases: photos planned onto a square picture, then drawn in one go.

First every photo gets a cell and a matrix, which takes no more than its boxes; then it is decoded, at the
smallest resolution that the matrix needs, and warped once, straight into its cell.
"""

from __future__ import annotations

from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np

from uniface_mx.config.augmentation import AugmentSettings
from uniface_mx.data.records import BOX, HAS_EMBEDDING, IGNORE, RecordError
from uniface_mx.data.transforms import geometric, mosaic, photometric
from uniface_mx.geometry import flip_boxes, letterbox, transform_points

LETTERBOX, CROP, MOSAIC = 'letterbox', 'crop', 'mosaic'
_REDUCED = (
    (8, cv2.IMREAD_REDUCED_COLOR_8),
    (4, cv2.IMREAD_REDUCED_COLOR_4),
    (2, cv2.IMREAD_REDUCED_COLOR_2),
    (1, cv2.IMREAD_COLOR),
)


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


def canvas_kinds(settings: AugmentSettings) -> Tuple[List[Tuple[str, int]], np.ndarray]:
    """The kinds of canvas with their numbers of cells, and how often each occurs."""
    kinds = [(LETTERBOX, 1), (CROP, 1)] + [(MOSAIC, cells) for cells in settings.mosaic_cells]
    mosaics = np.asarray(settings.mosaic_weights, np.float64)
    return kinds, np.concatenate(
        [[settings.letterbox, settings.crop], settings.mosaic * mosaics / mosaics.sum()]
    )


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
    factor, flag = next((f, flag) for f, flag in _REDUCED if f == 1 or scale * f <= 1)
    image = cv2.imdecode(photo.data, flag | cv2.IMREAD_IGNORE_ORIENTATION) if photo.data.size else None
    if image is None:
        raise RecordError(
            f'{photo.where}: the image cannot be decoded; prepare the set again, or skip such records'
        )
    # Whole pixels only: reduction rounds up.
    expected = -(-photo.height // factor), -(-photo.width // factor)
    if image.shape[:2] != expected:
        raise RecordError(
            '%s: the image is not the %dx%d that its record says; prepare the set again, or skip such '
            'records' % (photo.where, photo.width, photo.height)
        )
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB), factor


def plan(
    kind: str, photos: Sequence[Photo], settings: AugmentSettings, size: int, rng: np.random.Generator
) -> List[Tile]:
    """Choose cells and matrices for photos.

    Parameters
    ----------
    kind : str
        LETTERBOX or CROP (one photo), or MOSAIC (as many cells as there are photos).
    size : int
        Side of the canvas in pixels.
    """
    whole = np.array([0, 0, size, size])
    if kind == MOSAIC:
        wanted = mosaic.draw_sides(len(photos), settings.size_edges, settings.size_weights, rng)
        cells = mosaic.partition(wanted**2, size, rng)
        return [
            _face_tile(photo, cell, side, settings, rng) for photo, cell, side in zip(photos, cells, wanted)
        ]
    (photo,) = photos
    flip, faces = _flipped(photo, settings, rng)
    if kind == LETTERBOX:
        return [
            Tile(
                photo,
                whole,
                geometric.chain(flip, geometric.window_matrix((0, 0, photo.width, photo.height), size)),
            )
        ]
    if rng.random() < settings.expand_probability:
        window = geometric.expand_window(photo.width, photo.height, rng, settings.max_expand)
    else:
        window = geometric.crop_window(
            photo.width, photo.height, faces, rng, settings.crop_scale, rng.choice(settings.crop_overlaps)
        )
    turn = _rotation(settings, rng, size / 2, size / 2)
    return [Tile(photo, whole, geometric.chain(flip, geometric.window_matrix(window, size), turn))]


def _flipped(
    photo: Photo, settings: AugmentSettings, rng: np.random.Generator
) -> Tuple[np.ndarray, np.ndarray]:
    """The flip's matrix, if any, and the boxes of the faces to learn after it."""
    boxes = photo.objects[photo.objects[:, IGNORE] == 0, BOX].astype(np.float64)
    if rng.random() < settings.flip_probability:
        return geometric.flip_matrix(photo.width), flip_boxes(boxes, photo.width)
    return np.eye(2, 3), boxes


def _rotation(settings: AugmentSettings, rng: np.random.Generator, x: float, y: float) -> np.ndarray:
    if rng.random() < settings.rotate_probability:
        return geometric.rotation_matrix(rng.uniform(-settings.max_rotation, settings.max_rotation), x, y)
    return np.eye(2, 3)


def _face_tile(
    photo: Photo, cell: np.ndarray, side: float, settings: AugmentSettings, rng: np.random.Generator
) -> Tile:
    flip, faces = _flipped(photo, settings, rng)
    if not len(faces):
        return Tile(
            photo, cell, geometric.chain(flip, mosaic.cover_matrix(cell, photo.width, photo.height, rng))
        )
    box = faces[rng.integers(len(faces))]
    place = mosaic.face_matrix(cell, photo.width, photo.height, box, side, settings.max_zoom, rng)
    centre = transform_points((box[:2] + box[2:]) / 2, place)
    return Tile(photo, cell, geometric.chain(flip, place, _rotation(settings, rng, *centre)))


def covers(tile: Tile) -> bool:
    """Whether the photo fills its cell."""
    x1, y1, x2, y2 = tile.cell
    corners = transform_points(
        ((x1, y1), (x2, y1), (x1, y2), (x2, y2)), cv2.invertAffineTransform(tile.matrix)
    )
    return bool(
        (corners >= -0.5).all() and (corners <= (tile.photo.width + 0.5, tile.photo.height + 0.5)).all()
    )


def draw(
    kind: str,
    tiles: Sequence[Tile],
    background: Optional[Callable[[], Photo]],
    settings: AugmentSettings,
    size: int,
    rng: np.random.Generator,
    on_bad: Optional[Callable[[RecordError], None]] = None,
) -> Tuple[np.ndarray, np.ndarray]:
    """Draw planned photos.

    Parameters
    ----------
    kind : str
        A LETTERBOX has the padding of inference, black before changes of colour; the others' ground varies.
    tiles : sequence of Tile
        Cells do not overlap.
    background : callable or None
        Gives the photo without faces that shows where no other does; called only if there is such a place.
    size : int
        Side of the canvas in pixels.
    on_bad : callable or None
        Is given the error of a damaged photo, whose cell then stays empty; None raises it.

    Returns
    -------
    (numpy.ndarray, numpy.ndarray)
        Canvas (size, size, 3) uint8 RGB, and label rows (G, 146) float32 in canvas pixels.
    """
    canvas, behind = _ground(kind, tiles, background, settings, size, rng, on_bad)
    found = [behind]
    for tile in tiles:
        try:
            objects = _show(kind, tile, canvas, settings)
        except RecordError as error:
            _report(error, on_bad)
            continue
        detail = geometric.sides(objects) / max(1, geometric.matrix_scale(tile.matrix))
        x1, y1, x2, y2 = tile.cell
        view = canvas[y1:y2, x1:x2]
        taught = objects[:, IGNORE] == 0
        need = np.where(objects[:, HAS_EMBEDDING] == 1, settings.embedding_side, settings.min_side)
        changed, loss = _change(view, detail[taught], need[taught], settings, rng)
        if changed is not view:
            view[...] = changed
        geometric.ignore_small(objects, detail / loss, settings.min_side, settings.embedding_side)
        found.insert(-1, objects)
    return _store(canvas, settings, rng), np.concatenate(found)


def _report(error: RecordError, on_bad: Optional[Callable[[RecordError], None]]) -> None:
    if on_bad is None:
        raise error
    on_bad(error)


def _show(kind: str, tile: Tile, canvas: np.ndarray, settings: AugmentSettings) -> np.ndarray:
    """Draw a photo; what is seen of its faces, in canvas pixels."""
    if kind == LETTERBOX:
        # The pixels that inference makes, which costs a full decode.
        image = decode(tile.photo)[0]
        canvas[...] = letterbox(cv2.flip(image, 1) if tile.matrix[0, 0] < 0 else image, len(canvas))[0]
    else:
        image, factor = decode(tile.photo, geometric.matrix_scale(tile.matrix))
        enlarge = geometric.scale_matrix(factor, factor)
        geometric.paint(canvas, tile.cell, image, geometric.chain(enlarge, tile.matrix))
    return geometric.cut_objects(
        geometric.transform_objects(tile.photo.objects, tile.matrix),
        tile.cell,
        settings.drop_visible,
        settings.keep_visible,
        settings.embedding_visible,
    )


def _ground(kind, tiles, background, settings, size, rng, on_bad) -> Tuple[np.ndarray, np.ndarray]:
    """The canvas before any photo, and what may be faces there, to be ignored."""
    canvas = np.zeros((size, size, 3), np.uint8)
    if kind == LETTERBOX or all(covers(tile) for tile in tiles):
        return canvas, geometric.no_objects()
    if background is not None and rng.random() < settings.background_probability:
        try:
            photo = background()
            cell = np.array([0, 0, size, size])
            matrix = mosaic.cover_matrix(cell, photo.width, photo.height, rng)
            objects = _show(MOSAIC, Tile(photo, cell, matrix), canvas, settings)
            objects[:, IGNORE] = 1
            return canvas, objects
        except RecordError as error:
            _report(error, on_bad)
    if rng.random() < 0.5:
        # Row by row: ten times as quick as pixel by pixel.
        canvas.reshape(size, -1)[...] = np.tile(rng.integers(0, 256, 3), size)
    return canvas, geometric.no_objects()


def _change(
    image: np.ndarray,
    detail: np.ndarray,
    need: np.ndarray,
    settings: AugmentSettings,
    rng: np.random.Generator,
) -> Tuple[np.ndarray, float]:
    """Colour, resolution and blur of one cell; the second value is by how much its resolution fell.

    The faces' sides have `detail` real pixels, of which low resolution leaves `need`.
    """

    def vary(amount):
        return rng.uniform(1 - amount, 1 + amount)

    grey = rng.random() < settings.grey_probability
    if rng.random() < settings.colour_probability:
        image = photometric.colour(
            image,
            vary(settings.brightness),
            vary(settings.contrast),
            vary(settings.gamma),
            0 if grey else vary(settings.saturation),
            rng.uniform(-settings.hue, settings.hue),
            [vary(settings.cast) for _ in range(3)],
        )
    elif grey:
        image = photometric.colour(image, saturation=0)
    loss = 1.0
    if rng.random() < settings.low_resolution_probability:
        limit = min(settings.low_resolution_max, (detail / need).min(initial=np.inf))
        if limit > 1:
            loss = rng.uniform(1, limit)
            image = photometric.low_resolution(image, loss, rng.random() < 0.7)
    if rng.random() < settings.blur_probability:
        sigma = min(settings.blur_max, detail.min(initial=np.inf) / 40) * rng.uniform(0.3, 1)
        image = photometric.blur(image, sigma) if sigma > 0 else image
    return image, loss


def _store(canvas: np.ndarray, settings: AugmentSettings, rng: np.random.Generator) -> np.ndarray:
    """Noise and JPEG of the whole canvas."""
    if rng.random() < settings.noise_probability:
        canvas = photometric.noise(canvas, rng.uniform(0, settings.noise_max), rng)
    if rng.random() < settings.jpeg_probability:
        canvas = photometric.jpeg(
            canvas, rng.integers(settings.jpeg_quality[0], settings.jpeg_quality[1] + 1)
        )
    return canvas
