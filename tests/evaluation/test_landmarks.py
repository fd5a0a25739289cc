import numpy as np
import pytest
from scripted import Scripted, face

from uniface_mx.data.sources.base import annotated
from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation import landmarks
from uniface_mx.image import write_image

POINTS = np.array([[40, 40], [60, 40], [50, 50], [42, 60], [58, 60]], np.float32)


def source(tmp_path, *faces):
    images = []
    for number, points in enumerate(faces):
        path = tmp_path / f'{number}.png'
        write_image(path, np.full((100, 100, 3), number, np.uint8))
        images.append(annotated(path.name, path, landmarks=points))
    return images


def test_by_hand(tmp_path):
    # The first photo's face is 1 px off, the second's 3 px, the third's is not found.
    def answer(image):
        off = {0: 1, 1: 3}.get(int(image[50, 50, 0]))
        return (
            [] if off is None else [face((30, 30, 70, 70), landmarks=POINTS + [off, 0]), face((0, 0, 20, 20))]
        )

    figures = landmarks.evaluate(Scripted(answer), source(tmp_path, POINTS, POINTS, POINTS), progress=False)
    assert (figures['faces'], figures['found'], figures['photos'], figures['skipped']) == (3, 2, 3, 0)
    assert figures['error'] == pytest.approx(0.1)
    assert figures['median_error'] == pytest.approx(0.1)
    assert list(figures['error_by_point'].values()) == pytest.approx([0.1] * 5)
    assert figures['failure_rate'] == pytest.approx(2 / 3)
    assert figures['failure_rate_of_found'] == 0.5
    low, high = figures['error_interval']
    assert low == pytest.approx(0.05) and high == pytest.approx(0.15)


def test_figures_of_unequal_errors():
    """Means of 0.05, 0.11 and 0.30 over the points, which err by 0.5 to 1.5 times that; a fourth is not found."""
    errors = np.outer([0.05, 0.11, 0.30], [0.5, 0.75, 1.0, 1.25, 1.5])
    figures = landmarks.summarise(errors, 4)
    assert figures['error'] == pytest.approx(0.46 / 3) and figures['median_error'] == pytest.approx(0.11)
    # A failure is a mean above a tenth.
    assert (figures['failure_rate'], figures['failure_rate_of_found']) == (0.75, pytest.approx(2 / 3))
    assert figures['error_by_point'] == pytest.approx(
        {
            'left_eye': 0.23 / 3,
            'right_eye': 0.345 / 3,
            'nose': 0.46 / 3,
            'left_mouth': 0.575 / 3,
            'right_mouth': 0.69 / 3,
        }
    )


def test_the_canvas_moves_the_annotation_too(tmp_path):
    def answer(image):
        assert image.shape == (200, 200, 3) and image[49].max() == 0
        return [face((80, 80, 120, 120), landmarks=POINTS + 50)]

    figures = landmarks.evaluate(Scripted(answer), source(tmp_path, POINTS), margin=0.5, progress=False)
    assert figures['error'] == 0
    assert figures['margin'] == 0.5


def test_a_face_elsewhere_is_not_the_annotated_one(tmp_path):
    subject = Scripted(lambda image: [face((60, 60, 99, 99), landmarks=POINTS)])
    figures = landmarks.evaluate(subject, source(tmp_path, POINTS), progress=False)
    assert (figures['found'], figures['error'], figures['failure_rate']) == (0, None, 1)


def test_faces_without_points_are_passed_over_and_broken_photos_counted(tmp_path):
    images = source(tmp_path, POINTS, np.full((5, 2), np.nan), POINTS)
    images[2].path.write_bytes(b'no image')
    subject = Scripted(lambda image: [face((30, 30, 70, 70), landmarks=POINTS)])
    figures = landmarks.evaluate(subject, images, progress=False)
    assert (figures['faces'], figures['found'], figures['skipped']) == (1, 1, 1)
    assert '2.png' in figures['skipped_photos'][0]


def test_nothing_annotated(tmp_path):
    with pytest.raises(UnifaceError, match='no readable photo with five annotated points'):
        landmarks.evaluate(Scripted(lambda image: []), [annotated('a', tmp_path / 'a')], progress=False)
