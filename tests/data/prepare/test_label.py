from pathlib import Path

import numpy as np
import pytest
from fakes import points_of
from hypothesis import given, settings
from hypothesis import strategies as st

from uniface_mx.data.prepare.label import LabelRules, box_about_points, label_faces
from uniface_mx.data.sources.base import SourceImage
from uniface_mx.teachers.base import Detections

SIZE, RULES = (200, 100), LabelRules()
A, B, C = (10, 10, 60, 70), (100, 20, 140, 70), (150, 5, 190, 55)
NEAR_A, FAR_A = (14, 12, 62, 74), (32, 10, 82, 70)


def seen(*boxes, scores=None):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    return Detections(boxes, np.array(scores or [0.99] * len(boxes), np.float32), points_of(boxes))


def no_refine(boxes):
    raise AssertionError('no second look is needed')


def refine(boxes):
    return Detections(np.asarray(boxes, np.float32), np.full(len(boxes), 0.9, np.float32), points_of(boxes))


def overlook(boxes):
    return Detections(
        boxes, np.zeros(len(boxes), np.float32), np.full((len(boxes), 5, 2), np.nan, np.float32)
    )


def image(boxes=None, landmarks=None, **more):
    rows = None if boxes is None else np.array(boxes, np.float32).reshape(-1, 4)
    return SourceImage('key', Path('x'), rows, landmarks, **more)


def label(annotation, found, refine=no_refine, complete=False, teacher_box=False, rules=RULES, size=SIZE):
    return label_faces(annotation, found, refine, size, complete, teacher_box, rules)


def test_without_annotation_the_teachers_faces_are_the_truth():
    faces = label(image(person='ann'), seen(B, A, C, scores=[0.95, 0.92, 0.7]))
    np.testing.assert_array_equal(faces.boxes, [A, B, C])
    np.testing.assert_array_equal(faces.ignore, [False, False, True])
    np.testing.assert_array_equal(faces.embed, [True, True, False])
    np.testing.assert_array_equal(faces.show_landmarks, [True, True, False])
    np.testing.assert_allclose(faces.landmarks[:2], points_of([A, B]))
    assert np.isnan(faces.landmarks[2]).all()
    assert faces.person == 'ann'


@pytest.mark.parametrize('teacher_box, expected', [(False, A), (True, NEAR_A)])
def test_the_annotated_box_wins_unless_it_has_another_habit(teacher_box, expected):
    faces = label(image([A]), seen(NEAR_A), teacher_box=teacher_box)
    np.testing.assert_array_equal(faces.boxes, [expected])
    np.testing.assert_allclose(faces.landmarks, points_of([NEAR_A]))


def test_a_box_of_another_habit_stays_where_the_teacher_disagrees():
    faces = label(image([A]), seen(FAR_A), refine, teacher_box=True, complete=True)
    np.testing.assert_array_equal(faces.boxes, [A])
    np.testing.assert_allclose(faces.landmarks, points_of([A]))


def test_a_seen_box_that_holds_the_annotated_points_is_the_face():
    faces = label(image([(30, 28, 52, 50)], points_of([(30, 28, 52, 50)])), seen(A), teacher_box=True)
    np.testing.assert_array_equal(faces.boxes, [A])
    np.testing.assert_allclose(faces.landmarks, points_of([(30, 28, 52, 50)]))


def test_annotated_points_win():
    given_points = points_of([A]) + np.float32(1.5)
    faces = label(image([A], given_points), seen(A))
    np.testing.assert_array_equal(faces.landmarks, given_points)


def test_points_alone_take_the_box_that_holds_them():
    faces = label(image(landmarks=points_of([A])), seen(B, NEAR_A))
    np.testing.assert_array_equal(faces.boxes, [NEAR_A, B])
    np.testing.assert_array_equal(faces.ignore, [False, True])
    np.testing.assert_allclose(faces.landmarks[0], points_of([A])[0])


def test_points_that_no_box_holds_get_a_box_about_them():
    faces = label(image(landmarks=points_of([A])), seen(), overlook)
    np.testing.assert_allclose(faces.boxes, np.maximum(box_about_points(points_of([A])), 0), rtol=1e-6)
    assert faces.embed.all()


@pytest.mark.parametrize('complete, boxes', [(True, [A]), (False, [A, B])])
def test_a_face_that_only_the_teacher_sees(complete, boxes):
    faces = label(image([A]), seen(A, B), complete=complete)
    np.testing.assert_array_equal(faces.boxes, boxes)
    np.testing.assert_array_equal(faces.ignore, [False, True][: len(boxes)])


def test_a_second_look_at_the_same_face_is_no_other_face():
    faces = label(image([A]), seen(A, (20, 20, 50, 60)))
    np.testing.assert_array_equal(faces.boxes, [A])


def test_photos_without_a_face_by_annotation():
    faces = label(image([]), seen(A))
    np.testing.assert_array_equal(faces.ignore, [True])
    assert not len(label(image([]), seen(A), complete=True).boxes)
    assert not len(label(image([]), seen()).boxes)


def test_sure_faces_that_contradict_the_source():
    assert label(image([A]), seen(A, B, C, scores=[0.9, 0.95, 0.8])).surprises == 1
    assert label(image([A]), seen(A, B), complete=True).surprises == 1
    assert label(image(), seen(A, B)).surprises == 0
    assert label(image([A]), seen(A, (20, 20, 50, 60))).surprises == 0


def test_a_masked_face_has_a_box_and_nothing_else():
    faces = label(image([A, B], masked=np.array([True, False])), seen(A, B))
    np.testing.assert_array_equal(faces.boxes, [A, B])
    np.testing.assert_array_equal(faces.embed, [False, True])
    np.testing.assert_array_equal(faces.show_landmarks, [False, True])
    np.testing.assert_array_equal(faces.ignore, [False, False])


def test_a_face_that_the_source_ignores_stays_ignored():
    faces = label(image([A, B], ignore=np.array([True, False])), seen(A, B), complete=True)
    np.testing.assert_array_equal(faces.boxes, [B, A])
    np.testing.assert_array_equal(faces.ignore, [False, True])
    np.testing.assert_array_equal(faces.embed, [True, False])


def test_an_overlooked_face_gets_a_second_look():
    faces = label(image([A, B]), seen(A), refine)
    np.testing.assert_allclose(faces.landmarks, points_of([A, B]))
    assert faces.embed.all() and faces.counts['annotated faces found at a second look'] == 1
    faces = label(image([A, B]), seen(A), overlook)
    np.testing.assert_array_equal(faces.embed, [True, False])
    np.testing.assert_array_equal(faces.show_landmarks, [True, False])


def test_a_small_face_keeps_its_box_and_annotated_points_only():
    small = (5, 5, 20, 25)
    faces = label(image([small]), seen(small))
    assert not faces.embed[0] and not faces.show_landmarks[0] and not faces.ignore[0]
    faces = label(image([small], points_of([small])), seen(small))
    assert not faces.embed[0] and faces.show_landmarks[0]
    assert label(image([small]), seen(small), rules=LabelRules(min_face=10)).embed[0]


def test_boxes_end_at_the_border_and_points_beyond_it_are_not_shown():
    faces = label(image(), seen((-20, -10, 60, 90)))
    np.testing.assert_array_equal(faces.boxes, [(0, 0, 60, 90)])
    assert faces.show_landmarks[0]
    faces = label(image(), seen((-40, -10, 60, 90)))
    assert not faces.show_landmarks[0] and faces.embed[0]
    assert not len(label(image(), seen((-60, 10, 0, 60))).boxes)


def test_the_main_face_names_the_photo():
    faces = label(image([B, A], persons=('bob', 'ann')), seen(A, B))
    assert faces.person == 'ann'
    faces = label(image([B, A], persons=('bob', 'ann'), ignore=np.array([False, True])), seen(A, B))
    assert faces.person == 'bob'
    assert label(image([A], persons=(None,)), seen(A)).person is None


def test_counts():
    counts = label(image([A, B], masked=np.array([False, True])), seen(A, C)).counts
    assert counts['annotated faces'] == 2 and counts['annotated faces that the teacher sees'] == 1
    assert counts['masked faces'] == 1 and counts['faces that only the teacher sees, ignored'] == 1


sides = st.integers(5, 90)
boxes = st.lists(
    st.tuples(st.integers(-20, 180), st.integers(-20, 80), sides, sides).map(
        lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
    ),
    max_size=5,
)


@settings(max_examples=60, deadline=None)
@given(st.none() | boxes, boxes, st.booleans(), st.booleans())
def test_whatever_comes_in_what_comes_out_is_sound(annotated, found, complete, teacher_box):
    faces = label(image(annotated), seen(*found), refine, complete, teacher_box)
    assert (faces.boxes[:, 2:] > faces.boxes[:, :2]).all()
    assert (faces.boxes >= 0).all() and (faces.boxes <= np.tile(SIZE, 2)).all()
    assert not (faces.ignore & (faces.embed | faces.show_landmarks)).any()
    assert np.isfinite(faces.landmarks[faces.embed | faces.show_landmarks]).all()
    np.testing.assert_array_equal(faces.ignore, np.sort(faces.ignore))
    if complete and annotated is not None:
        assert len(faces.boxes) <= len(annotated)
