import numpy as np
import pytest
from rectangles import photo, predictor

from uniface_mx.deploy.drawing import UPRIGHT, draw_faces, face_crop
from uniface_mx.deploy.predictor import Face
from uniface_mx.geometry import transform_points
from uniface_mx.image import GREEN, YELLOW


def test_draw_faces():
    image = photo(400, 300, (100, 100, 200, 220))
    faces = predictor()(image)
    before = image.copy()
    drawn = draw_faces(image, faces)
    np.testing.assert_array_equal(image, before)
    # Right and bottom are exclusive.
    for x, y in ((100, 150), (199, 150), (150, 219)):
        assert tuple(drawn[y, x]) == GREEN
    assert tuple(drawn[150, 200]) == tuple(image[150, 200])
    x, y = faces[0].landmarks[2].astype(int)
    assert tuple(drawn[y, x]) == YELLOW
    assert (draw_faces(image, faces, ['Zoë']) != drawn).any()
    np.testing.assert_array_equal(draw_faces(image, []), image)


def test_draw_faces_beyond_the_border():
    face = Face(np.array([-500, -500, 900.4, 900.6]), 0.5, np.full((5, 2), 1e4), np.zeros(128))
    assert draw_faces(np.zeros((20, 30, 3), np.uint8), [face]).shape == (20, 30, 3)


def test_captions_end_within_the_picture():
    face = Face(np.array([370, 100, 400, 130]), 0.5, np.full((5, 2), 380), np.zeros(128))
    drawn = draw_faces(np.zeros((300, 400, 3), np.uint8), [face], ['a long name'])
    # The label stands on the box's upper side; 30 pixels of it are the box's own.
    assert (drawn[98] == GREEN).all(axis=1).sum() > 50


@pytest.mark.parametrize('degrees', [0, 30, 180, -75])
def test_face_crop_is_upright(degrees):
    angle = np.radians(degrees)
    matrix = 2 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    landmarks = transform_points((UPRIGHT - 0.5) * 60, np.c_[matrix, [200, 180]])
    image = np.zeros((400, 400, 3), np.uint8)
    for value, (x, y) in zip((50, 100, 150, 200, 250), landmarks):
        image[int(y) - 4 : int(y) + 5, int(x) - 4 : int(x) + 5] = value
    crop = face_crop(image, landmarks, 120)
    assert crop.shape == (120, 120, 3)
    for value, (x, y) in zip((50, 100, 150, 200, 250), UPRIGHT * 120):
        assert abs(int(crop[int(y), int(x), 0]) - value) <= 2
