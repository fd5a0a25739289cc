"""What a teacher is: something that labels photos for UniFace to learn from (section IV.A of the paper)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Iterable, List, NamedTuple, Sequence

import numpy as np

from uniface_mx.errors import UnifaceError
from uniface_mx.files import file_hash


class TeacherError(UnifaceError):
    """A teacher's files are missing, damaged or of another network."""


class Detections(NamedTuple):
    """Faces of one image.

    Attributes
    ----------
    boxes : ndarray, float32, (G, 4)
        xyxy in image pixels, right and bottom exclusive; may reach beyond the image.
    scores : ndarray, float32, (G,)
        Probability of a face, descending for `detect`.
    landmarks : ndarray, float32, (G, 5, 2)
        Image-left eye, image-right eye, nose, image-left and image-right mouth corner, in image pixels.
    """

    boxes: np.ndarray
    scores: np.ndarray
    landmarks: np.ndarray

    @classmethod
    def empty(cls) -> Detections:
        """No face."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32))

    def chosen(self, which: np.ndarray) -> Detections:
        """The faces that a mask or an array of numbers chooses."""
        return Detections(self.boxes[which], self.scores[which], self.landmarks[which])


class Teacher:
    """Identity of a teacher: record sets and caches are bound to it.

    Attributes
    ----------
    name : str
        Kind of teacher, as in `uniface_mx.teachers.TEACHERS`.
    version : str
        Changes whenever the same weights would give other labels: code revision and options.
    sha256 : str
        Hex digest over the weight files.
    """

    name: str
    version: str
    sha256: str

    @property
    def identity(self) -> Dict[str, str]:
        """Name, version and sha256, in this order."""
        return {'name': self.name, 'version': self.version, 'sha256': self.sha256}


class LandmarkTeacher(Teacher):
    """Finds faces and their five landmarks.

    What it says of an image depends on that image alone, never on the others of the same call.
    """

    def detect(self, images: Sequence[np.ndarray]) -> List[Detections]:
        """All faces of each (H, W, 3) RGB uint8 image, by descending score."""
        raise NotImplementedError

    def refine(self, image: np.ndarray, boxes: np.ndarray) -> Detections:
        """Boxes, scores and landmarks for the faces in given (G, 4) boxes, row for row.

        A box in which the teacher sees no face gives a row of that box, score 0 and NaN landmarks.
        """
        raise NotImplementedError


class EmbeddingTeacher(Teacher):
    """Turns an aligned face into a vector of `dim` numbers.

    The vector of a crop depends on that crop alone, never on the others of the same call.
    """

    dim: int

    def align(self, image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """The face's RGB uint8 crop, as the teacher expects it, from its (5, 2) landmarks."""
        raise NotImplementedError

    def embed(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """(n, dim) float32 raw vectors of n aligned crops."""
        raise NotImplementedError


def embed_faces(
    teacher: EmbeddingTeacher, image: np.ndarray, landmarks: np.ndarray, mirror: bool = True
) -> np.ndarray:
    """Embeddings of an image's faces, by default averaged over each face and its mirror image.

    Parameters
    ----------
    image : ndarray, uint8, (H, W, 3)
        RGB photo.
    landmarks : ndarray, (G, 5, 2)
        Image pixels. A face with a NaN coordinate is not looked at.

    Returns
    -------
    ndarray, float32, (G, dim)
        NaN rows for faces without landmarks.
    """
    landmarks = np.asarray(landmarks, np.float32).reshape(-1, 5, 2)
    known = np.flatnonzero(np.isfinite(landmarks).all(axis=(1, 2)))
    embeddings = np.full((len(landmarks), teacher.dim), np.nan, np.float32)
    if len(known):
        crops = [teacher.align(image, landmarks[i]) for i in known]
        views = teacher.embed(crops)
        if mirror:
            views = (views + teacher.embed([np.ascontiguousarray(crop[:, ::-1]) for crop in crops])) / 2
        embeddings[known] = views
    return embeddings


def open_onnx(path: Path) -> Any:
    """An `onnxruntime.InferenceSession` on one thread: teachers run one process a core, the same on any machine.

    It raises ONNX Runtime's own errors, one for each of its codes.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])


def hash_files(paths: Iterable[Path]) -> str:
    """Hex sha256 over the contents of `paths`, in the given order.

    Raises
    ------
    TeacherError
        A file cannot be read.
    """
    try:
        return file_hash(*paths)
    except OSError as error:
        raise TeacherError(f'teacher file {error.filename}: {error.strerror}') from error
