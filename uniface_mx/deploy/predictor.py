"""Photos in, faces out: an exported model as people use it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from uniface_mx.deploy.backends import BACKENDS, Array, BackendError
from uniface_mx.errors import UnifaceError, lookup
from uniface_mx.geometry import area, flip_boxes, flip_landmarks, intersection, iou, letterbox, unit_vectors
from uniface_mx.image import MAX_PIXELS, ImageError, read_image
from uniface_mx.models.files import FACES, TRUNK, WHOLE, ManifestError, ModelFiles, PathLike
from uniface_mx.nn.attention import EMBEDDING_DIM

Photo = Union[np.ndarray, str, os.PathLike, bytes]

FACE_BUCKETS = (1, 4, 16, 64)
TILE_OVERLAP = 0.25
# A face is cut by a tile's border, and whole in another tile, if it ends so near to it, in input pixels.
TILE_EDGE = 2.0


@dataclass(frozen=True, eq=False)
class Face:
    """A face in a photo.

    Attributes
    ----------
    box : numpy.ndarray
        (4,) float32 ``xyxy`` in the photo's own pixels, right and bottom exclusive; may reach beyond the
        photo.
    score : float
        How sure the network is that this is a face, 0 to 1.
    landmarks : numpy.ndarray
        (5, 2) float32 x, y of image-left eye, image-right eye, nose, image-left and image-right mouth corner.
    embedding : numpy.ndarray
        (128,) float32 of unit length.
    """

    box: np.ndarray
    score: float
    landmarks: np.ndarray
    embedding: np.ndarray = field(repr=False)

    def similarity(self, other: Face) -> float:
        """Cosine of the two embeddings: one person's from `Predictor.verification_threshold` on."""
        return float(self.embedding @ other.embedding)


class _View(NamedTuple):
    """What the network looks at: a photo, or a tile of it, as the network's input."""

    photo: int
    canvas: np.ndarray
    scale: float
    # In pixels of the photo: the view's place, and the photo's own, as boxes.
    place: np.ndarray
    frame: np.ndarray


class Predictor:
    """Finds and embeds the faces in photos.

    Called with one photo, it gives a list of `Face`, the largest first; with a list (or any iterable) of
    photos of any sizes, a list of such lists. A photo is an (H, W, 3) uint8 RGB array, a path, or an image
    file's bytes. Files are read one after another, so that many large ones need little memory. A face is
    the same whether its photo is looked at alone or among others: coordinates and embeddings agree to 1e-4
    of their size.

    Parameters
    ----------
    backend
        See `uniface_mx.deploy.backends`.
    manifest : dict
        Of the exported model.
    score_threshold : float, optional
        Faces of a lower score are left out; by default the model's own. Below the graph's own threshold it
        changes nothing.
    max_faces : int, optional
        Only so many faces of a photo, the largest. The graph itself gives at most K (the manifest's
        ``max_faces``) a view, the most certain.
    min_size : float
        Faces whose box is narrower or lower, in pixels of the photo, are left out.
    tile : int, optional
        Look at photos larger than this also in overlapping square tiles of this side in pixels, then of
        twice this side, and so on up to the whole photo: finds small faces in large photos, at the cost of
        a run for each tile.
    mirror : bool
        Embed each face in the view's mirror image, too, and give the mean, of unit length: nearer to the teacher's
        embedding, which is such a mean, for twice the network's time. Needs the halves of `export_model`'s ``split``.
    batch : int
        How many views go through the network at once. A last, smaller batch is filled up, but for a single
        view.
    max_pixels : int
        Larger image files are refused before they are decoded.

    Attributes
    ----------
    name, backend, device : str
        Of the model, of what runs it, and the device that is really used.
    limit : int
        How many faces the graph gives at most of one view.
    manifest : dict
    """

    def __init__(
        self,
        backend: Any,
        manifest: Dict[str, Any],
        score_threshold: Optional[float] = None,
        max_faces: Optional[int] = None,
        min_size: float = 0,
        tile: Optional[int] = None,
        mirror: bool = False,
        batch: int = 8,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        for name, value, least in (
            ('score_threshold', score_threshold, 0),
            ('max_faces', max_faces, 1),
            ('min_size', min_size, 0),
            ('tile', tile, 16),
            ('batch', batch, 1),
            ('max_pixels', max_pixels, 1),
        ):
            if value is not None and not value >= least:
                raise UnifaceError(f'{name} is {value}; it must be at least {least}')
        try:
            self.name, self._size = manifest['name'], int(manifest['input']['size'])
            own = manifest['thresholds']['score']
            self._threshold = float(own if score_threshold is None else score_threshold)
            self._iou = float(manifest['thresholds']['graph_iou'])
            self.limit = int(manifest['max_faces'])
        except (KeyError, TypeError, ValueError) as error:
            wrong = f'the manifest of {manifest.get("name", "a model")} lacks or garbles {error}'
            raise ManifestError(f'{wrong}; export the model anew') from None
        self._split = backend.has(TRUNK) and backend.has(FACES)
        anew = 'export it anew: uniface-export --exported PREFIX --out DIR'
        if not self._split and not backend.has(WHOLE):
            lacking = f'exported without graphs for the backend {backend.name}'
            raise BackendError(f'{self.name}: {lacking}; {anew} {backend.export}')
        if mirror and not self._split:
            raise BackendError(f'{self.name}: mirror needs the model in two halves; {anew} --split')
        self._backend, self.backend, self.manifest = backend, backend.name, manifest
        self._max_faces, self._min_size, self._tile = max_faces, min_size, tile
        self._mirror, self._batch, self._max_pixels = mirror, batch, max_pixels

    @classmethod
    def load(cls, prefix: PathLike, backend: str = 'mxnet', device: str = 'cpu', **options: Any) -> Predictor:
        """Load an exported model; every file of it is checked against its manifest.

        With the halves of `export_model`'s ``split`` recognition costs what the faces cost; without, the
        whole graph runs, and recognition costs what K faces cost.

        Parameters
        ----------
        prefix : path
            ``DIR/NAME`` of ``DIR/NAME.json``, or the name of a model that ships trained.
        backend : {'mxnet', 'mxnet-int8', 'onnx'}
        device : str
            ``cpu``, ``gpu`` or ``gpu(N)``. A GPU that cannot be used is an error.
        **options
            Of the constructor.

        Raises
        ------
        ManifestError, BackendError
            A file is missing, damaged or not the one that was exported; the backend or device is not there.
        """
        create = lookup('backend', backend, BACKENDS)
        files = ModelFiles.find(prefix)
        files.verify()
        return cls(create(files, device), files.manifest, **options)

    @property
    def device(self) -> str:
        """What the network really runs on: ``cpu`` or ``gpu(N)``."""
        return self._backend.device

    @property
    def identity(self) -> str:
        """sha256 of the model's weights: only embeddings of one identity can be compared."""
        return self.manifest['files'][ModelFiles(self.name).weights_path().name]

    @property
    def verification_threshold(self) -> Optional[float]:
        """Two faces of at least this similarity are one person; None where the manifest does not say."""
        return self.manifest['thresholds'].get('verification')

    @property
    def identification_threshold(self) -> Optional[float]:
        """The same where each face is compared with many, of whom at most one is the same person.

        At this similarity one of a hundred strangers passes. By default the verification threshold.
        """
        strict = self.manifest['thresholds'].get('identification')
        return self.verification_threshold if strict is None else strict

    def __repr__(self) -> str:
        graph = '' if self._split else ', whole graph'
        return f'<Predictor: {self.name} by {self.backend} on {self.device}{graph}>'

    def __call__(self, photos: Union[Photo, Iterable[Photo]]) -> Union[List[Face], List[List[Face]]]:
        """Faces of a photo, or of each of several."""
        if isinstance(photos, (np.ndarray, str, bytes, os.PathLike)):
            return self([photos])[0]
        found: List[List[Face]] = []
        views = self._views(photos, found)
        for batch in iter(lambda: list(islice(views, self._batch)), []):
            self._look(batch, found)
        return [self._choose(faces) for faces in found]

    def _views(self, photos: Iterable[Photo], found: List[List[Face]]) -> Iterator[_View]:
        """The views of each photo, made when they are asked for; a new list in `found` for each photo."""
        for number, photo in enumerate(photos):
            image = photo if isinstance(photo, np.ndarray) else read_image(photo, self._max_pixels)
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
                raise ImageError(
                    f'photo {number}: an array must be (H, W, 3) uint8, RGB; this one is {image.shape} {image.dtype}'
                )
            found.append([])
            height, width = image.shape[:2]
            for left, top, right, bottom in view_boxes(width, height, self._tile):
                canvas, scale = letterbox(image[top:bottom, left:right], self._size)
                place, frame = np.array([[left, top, right, bottom], [0, 0, width, height]], np.float32)
                yield _View(number, canvas, scale, place, frame)

    def _look(self, views: Sequence[_View], found: List[List[Face]]) -> None:
        """Run a batch of views and add the faces to their photos' lists."""
        data = np.zeros((1 if len(views) == 1 else self._batch, 3, self._size, self._size), np.float32)
        for row, view in zip(data, views):
            row[...] = view.canvas.transpose(2, 0, 1)
        first, second = self._backend.run(TRUNK if self._split else WHOLE, {'data': data})
        detections = self._backend.to_numpy(first)
        photo_rows = [self._to_photo(rows, view) for rows, view in zip(detections, views)]
        kept = [self._keep(rows, view) for rows, view in zip(photo_rows, views)]
        image = np.repeat(np.arange(len(views)), list(map(len, kept)))
        chosen = image, np.concatenate(kept)
        if self._split:
            # In a graph's row the image's number stands where a detection has its score.
            faces = np.concatenate([image[:, None], detections[chosen][:, 1:]], axis=1, dtype=np.float32)
            embeddings = self._embed(second, faces)
            if self._mirror and len(faces):
                _, features = self._backend.run(TRUNK, {'data': np.ascontiguousarray(data[..., ::-1])})
                embeddings = unit_vectors(embeddings + self._embed(features, self._mirrored(faces)))
        else:
            embeddings = self._backend.to_numpy(second)[chosen]
        for number, row, embedding in zip(*chosen, embeddings):
            score, box, landmarks = np.split(photo_rows[number][row], (1, 5))
            face = Face(box, float(score), landmarks.reshape(5, 2), embedding)
            found[views[number].photo].append(face)

    def _embed(self, features: Array, faces: np.ndarray) -> np.ndarray:
        """Embeddings (n, 128) of faces (n, 15) as the faces' graph takes them, in fixed numbers."""
        embeddings = [np.zeros((0, EMBEDDING_DIM), np.float32)]
        while len(faces):
            size = bucket(len(faces))
            rows = np.zeros((size, faces.shape[1]), np.float32)
            now, faces = faces[:size], faces[size:]
            rows[: len(now)] = now
            (output,) = self._backend.run(FACES, {'features': features, 'faces': rows})
            embeddings.append(self._backend.to_numpy(output)[: len(now)])
        return np.concatenate(embeddings)

    def _mirrored(self, faces: np.ndarray) -> np.ndarray:
        """Faces (n, 15) as the faces' graph takes them, in the mirror image of their view."""
        mirrored = faces.copy()
        mirrored[:, 1:5] = flip_boxes(faces[:, 1:5], self._size)
        mirrored[:, 5:] = flip_landmarks(faces[:, 5:].reshape(-1, 5, 2), self._size).reshape(-1, 10)
        return mirrored

    @staticmethod
    def _to_photo(rows: np.ndarray, view: _View) -> np.ndarray:
        """Detections (K, 15) from input pixels to the photo's."""
        rows = rows.copy()
        rows[:, 1:] = rows[:, 1:] / np.float32(view.scale) + np.tile(view.place[:2], 7)
        return rows

    def _keep(self, rows: np.ndarray, view: _View) -> np.ndarray:
        """Which detections (K, 15) of a view, in photo pixels, were asked for; the largest first."""
        boxes = rows[:, 1:5]
        sides = boxes[:, 2:] - boxes[:, :2]
        wanted = (
            (rows[:, 0] >= max(self._threshold, 0))
            & (sides.min(axis=1) >= self._min_size)
            & (intersection(boxes, view.frame)[:, 0] > 0)
        )
        edge = TILE_EDGE / view.scale
        cut = (boxes[:, :2] < view.place[:2] + edge) & (view.place[:2] > 0)
        cut |= (boxes[:, 2:] > view.place[2:] - edge) & (view.place[2:] < view.frame[2:])
        chosen = np.flatnonzero(wanted & ~cut.any(axis=1))
        return chosen[np.argsort(-area(boxes[chosen]), kind='stable')][: self._max_faces]

    def _choose(self, faces: List[Face]) -> List[Face]:
        """A photo's faces from all its views: each once, the largest first."""
        if self._tile and len(faces) > 1:
            faces = merge(faces, self._iou)
        return sorted(faces, key=lambda face: -area(face.box))[: self._max_faces]


def bucket(faces: int) -> int:
    """How many rows to run next where so many faces are left: less than half of them filling."""
    return next(size for size in reversed(FACE_BUCKETS) if 2 * faces > size)


def merge(faces: Sequence[Face], iou_threshold: float) -> List[Face]:
    """Non-maximum suppression: of faces that overlap by more than the threshold the one of the best score."""
    faces = sorted(faces, key=lambda face: -face.score)
    overlaps = iou(*[np.array([face.box for face in faces])] * 2) > iou_threshold
    kept: List[int] = []
    for number in range(len(faces)):
        if not overlaps[number, kept].any():
            kept.append(number)
    return [faces[number] for number in kept]


def view_boxes(width: int, height: int, tile: Optional[int] = None) -> List[Tuple[int, int, int, int]]:
    """The whole photo, then overlapping tiles of sides ``tile``, twice that, ... below its longer side.

    Neighbours of one side overlap by a quarter of it or more, so that a face of up to that size is whole in
    one of them; a larger face is whole in a larger tile.
    """
    boxes = [(0, 0, width, height)]
    side = tile or max(width, height)
    while side < max(width, height):
        boxes += [
            (left, top, min(left + side, width), min(top + side, height))
            for top in _starts(height, side)
            for left in _starts(width, side)
        ]
        side *= 2
    return boxes


def _starts(length: int, side: int) -> List[int]:
    free = max(length - side, 0)
    steps = int(np.ceil(free / ((1 - TILE_OVERLAP) * side)))
    return [int(start) for start in np.linspace(0, free, steps + 1)]
