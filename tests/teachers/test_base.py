import hashlib

import numpy as np
import pytest

from uniface_mx.teachers import TeacherError, create_teacher
from uniface_mx.teachers.base import EmbeddingTeacher, embed_faces, hash_files


class Corners(EmbeddingTeacher):
    """A face's vector is the crop's first and last pixel of the first row."""

    dim = 2

    def align(self, image, landmarks):
        x, y = landmarks[0].astype(int)
        return image[y : y + 2, x : x + 3]

    def embed(self, crops):
        return np.array([[crop[0, 0, 0], crop[0, -1, 0]] for crop in crops], np.float32).reshape(-1, 2)


def test_the_mirrored_face_counts_as_much():
    image = np.zeros((4, 6, 3), np.uint8)
    image[1, 2] = 10
    image[1, 4] = 20
    landmarks = np.full((2, 5, 2), np.nan)
    landmarks[1] = [2, 1]
    assert embed_faces(Corners(), image, landmarks, mirror=False)[1].tolist() == [10, 20]
    both = embed_faces(Corners(), image, landmarks)
    assert both[1].tolist() == [15, 15] and both.dtype == np.float32
    assert np.isnan(both[0]).all()


def test_no_face_gives_no_vector():
    assert embed_faces(Corners(), np.zeros((4, 4, 3), np.uint8), np.zeros((0, 5, 2))).shape == (0, 2)
    assert np.isnan(embed_faces(Corners(), np.zeros((4, 4, 3), np.uint8), np.full((1, 5, 2), np.nan))).all()


def test_the_hash_is_over_all_files_in_order(tmp_path):
    (tmp_path / 'a').write_bytes(b'one')
    (tmp_path / 'b').write_bytes(b'two')
    assert hash_files([tmp_path / 'a', tmp_path / 'b']) == hashlib.sha256(b'onetwo').hexdigest()
    with pytest.raises(TeacherError, match='c: No such file'):
        hash_files([tmp_path / 'c'])


def test_an_unknown_teacher_lists_those_that_there_are():
    with pytest.raises(TeacherError, match='choose from dlib, dlib_library, mtcnn_pypi, onnx'):
        create_teacher('mtcn')


def test_an_unknown_option_lists_those_that_there_are():
    with pytest.raises(TeacherError, match="no option 'minface': its options are directory, min_face"):
        create_teacher('mtcnn_pypi', minface=3)
