from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uniface_mx.data import rows
from uniface_mx.train.targets import (
    MEAN_LANDMARKS,
    Predictions,
    assign_targets,
    decode_predictions,
    match,
    select_rois,
)

# Five anchors of 10x10: two beside each other, one between them, one apart, one beyond the border.
ANCHORS = np.array(
    [[0, 0, 10, 10], [10, 0, 20, 10], [5, 0, 15, 10], [50, 50, 60, 60], [-10, -10, 0, 0]], np.float32
)
POINTS = np.array([[2, 3], [8, 3], [5, 5], [3, 8], [7, 8]], np.float32)


def face(box, landmarks=None, embedding=None, ignore=False):
    row = np.zeros(rows.OBJECT_WIDTH, np.float32)
    row[rows.BOX] = box
    if landmarks is not None:
        row[rows.LANDMARKS] = np.ravel(landmarks)
        row[rows.HAS_LANDMARKS] = 1
    if embedding is not None:
        row[rows.EMBEDDING] = embedding
        row[rows.HAS_EMBEDDING] = 1
    row[rows.IGNORE] = ignore
    return row


def padding():
    return np.full(rows.OBJECT_WIDTH, -1, np.float32)


def boxes(*rows):
    return np.array(rows, np.float32).reshape(-1, 4)


@pytest.mark.parametrize(
    'faces, ignore, expected',
    [
        pytest.param(boxes(), [], [-1, -1, -1, -1, -1], id='no face'),
        # 1, 0, 1/3
        pytest.param(boxes([0, 0, 10, 10]), [0], [0, -1, -1, -1, -1], id='one face'),
        # 8/13, 1/6, 8/13: as near to two anchors, both above 0.5
        pytest.param(boxes([2, 0, 13, 10]), [0], [0, -1, 0, -1, -1], id='two anchors'),
        # 1/2, 1/2, 1/2
        pytest.param(boxes([0, 0, 20, 10]), [0], [0, 0, 0, -1, -1], id='threshold just reached'),
        # 10/21, 10/21, 10/21: the first by the face's choice, the others not
        pytest.param(boxes([0, 0, 20, 10.5]), [0], [0, -1, -1, -1, -1], id='tie under the threshold'),
        # 7/47, 7/47, 7/20
        pytest.param(
            boxes([6.5, 4, 13.5, 9]), [0], [-1, -1, 0, -1, -1], id='best anchor under the threshold'
        ),
        # 1/100, 0, 0
        pytest.param(boxes([1, 1, 2, 2]), [0], [0, -1, -1, -1, -1], id='smaller than every anchor'),
        pytest.param(boxes([-9, -9, -1, -1]), [0], [-1, -1, -1, -1, 0], id='outside the frame'),
        pytest.param(boxes([200, 200, 220, 220]), [0], [-1, -1, -1, -1, -1], id='beyond every anchor'),
        # 0.8, 0, 0.2 and 0.9, 0, 4/15
        pytest.param(
            boxes([0, 0, 8, 10], [0, 0, 9, 10]), [0, 0], [1, -1, 0, -1, -1], id='two faces, one anchor'
        ),
        # 1, 0, 1/3 twice
        pytest.param(boxes([0, 0, 10, 10], [0, 0, 10, 10]), [0, 0], [0, -1, 1, -1, -1], id='two equal faces'),
        # 8/13, 1/6, 8/13 and 1/4, 3/7, 9/11
        pytest.param(
            boxes([2, 0, 13, 10], [6, 0, 16, 10]), [0, 0], [0, -1, 1, -1, -1], id='above 0.5 with two faces'
        ),
        # 1, 0, 1/3
        pytest.param(boxes([0, 0, 10, 10]), [1], [-2, -1, -2, -1, -1], id='ignored'),
        # 1/6, 1/6, 1/2
        pytest.param(boxes([7.5, 0, 12.5, 10]), [1], [-1, -1, -2, -1, -1], id='ignored, under 0.3'),
        # ignored 1/3, 1/3, 1; taught 1, 0, 1/3
        pytest.param(
            boxes([5, 0, 15, 10], [0, 0, 10, 10]), [1, 0], [1, -2, -2, -1, -1], id='ignored beside taught'
        ),
        # ignored 1, 0, 1/3; taught 9/10, 0, 4/15: the face keeps its best anchor
        pytest.param(
            boxes([0, 0, 10, 10], [0, 0, 9, 10]), [1, 0], [1, -1, -2, -1, -1], id='ignored over taught'
        ),
        pytest.param(
            boxes([0, 0, 10, 10], [0, 0, 10, 10]), [1, 0], [1, -1, -1, -1, -1], id='ignored equals taught'
        ),
        # ignored 0, 10/11, 5/16; taught 1, 0, 1/3
        pytest.param(
            boxes([10, 0, 21, 10], [0, 0, 10, 10]),
            [1, 0],
            [1, -2, -1, -1, -1],
            id='taught nearer than ignored',
        ),
    ],
)
def test_match(faces, ignore, expected):
    assert match(faces, ANCHORS, np.array(ignore, bool)).tolist() == expected


def overlap(a, b):
    width, height = (min(a[2 + axis], b[2 + axis]) - max(a[axis], b[axis]) for axis in (0, 1))
    shared = max(width, 0) * max(height, 0)
    return Fraction(shared, (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def match_slowly(faces, anchors, ignore):
    """The rule word by word, in fractions."""
    overlaps = [[overlap(face, anchor) for anchor in anchors] for face in faces]
    by_choice = {}
    for value, face, anchor in sorted(
        (-value, face, anchor) for face, row in enumerate(overlaps) for anchor, value in enumerate(row)
    ):
        if value < 0 and not ignore[face] and face not in by_choice.values() and anchor not in by_choice:
            by_choice[anchor] = face
    matched = []
    for anchor in range(len(anchors)):
        claims = [(row[anchor], not ignore[face], -face) for face, row in enumerate(overlaps)]
        value, is_taught, face = max(claims, default=(0, False, 0))
        by_overlap = -1
        if is_taught and value >= Fraction(1, 2):
            by_overlap = -face
        elif not is_taught and value >= Fraction(3, 10):
            by_overlap = -2
        matched.append(by_choice.get(anchor, by_overlap))
    return matched


small_boxes = st.tuples(*[st.integers(0, 9)] * 2, *[st.integers(1, 9)] * 2).map(
    lambda values: (values[0], values[1], values[0] + values[2], values[1] + values[3])
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(small_boxes, st.booleans()), max_size=6),
    st.lists(small_boxes, min_size=1, max_size=12),
)
def test_match_follows_the_rule(faces, anchors):
    truth, ignore = [box for box, _ in faces], [flag for _, flag in faces]
    matched = match(boxes(*truth), boxes(*anchors), np.array(ignore, bool))
    assert matched.tolist() == match_slowly(truth, anchors, ignore)


def test_a_face_takes_its_best_anchor_even_from_a_nearer_face():
    # Both overlap only the apart anchor: 0.36 and 0.81. The second takes it, the first finds no other.
    faces = boxes([50, 50, 56, 56], [50, 50, 59, 59])
    assert match(faces, ANCHORS).tolist() == [-1, -1, -1, 1, -1]
    # With a second anchor that it barely touches, it takes that.
    anchors = np.concatenate([ANCHORS, boxes([55, 55, 65, 65])])
    assert match(faces, anchors).tolist() == [-1, -1, -1, 1, -1, 0]


def test_match_at_other_thresholds():
    # 7/13 with the first anchor, 2/3 with the third; and an ignored face's 1/6, 1/6, 1/2.
    taught, ignored = boxes([3, 0, 13, 10]), boxes([7.5, 0, 12.5, 10])
    assert match(taught, ANCHORS).tolist() == [0, -1, 0, -1, -1]
    assert match(taught, ANCHORS, threshold=0.7).tolist() == [-1, -1, 0, -1, -1]
    assert match(taught, ANCHORS, ignore_threshold=0.6).tolist() == [0, -1, 0, -1, -1]
    # An ignored face keeps its own threshold, above the taught ones' or below.
    for least, expected in ((0.1, [-2, -2, -2]), (0.3, [-1, -1, -2]), (0.6, [-1, -1, -1])):
        assert match(ignored, ANCHORS, np.array([True]), 0.4, least)[:3].tolist() == expected


def test_targets_take_the_thresholds():
    label = np.stack([face([3, 0, 13, 10])])[None]
    assert assign_targets(label, ANCHORS, 0.5).classes[0].tolist() == [1, 0, 1, 0, 0]
    assert assign_targets(label, ANCHORS, 0.7).classes[0].tolist() == [0, 0, 1, 0, 0]
    ignored = np.stack([face([7.5, 0, 12.5, 10], ignore=True)])[None]
    assert assign_targets(ignored, ANCHORS, 0.5, 0.6).classes[0].tolist() == [0, 0, 0, 0, 0]
    assert assign_targets(ignored, ANCHORS, 0.5, 0.3).classes[0].tolist() == [0, 0, -1, 0, 0]


def test_match_leaves_its_arguments_alone():
    faces, ignore, anchors = boxes([5, 0, 15, 10], [0, 0, 10, 10]), np.array([True, False]), ANCHORS.copy()
    match(faces, anchors, ignore)
    np.testing.assert_array_equal(faces, boxes([5, 0, 15, 10], [0, 0, 10, 10]))
    np.testing.assert_array_equal(anchors, ANCHORS)
    assert ignore.tolist() == [True, False]


# Targets


def test_targets_of_a_batch():
    # A face of the first anchor's box, padding before it; an image of padding alone; an ignored face; a face
    # without landmarks.
    labels = np.stack(
        [
            np.stack([padding(), face([0, 0, 10, 10], POINTS)]),
            np.stack([padding(), padding()]),
            np.stack([face([50, 50, 60, 60], POINTS, ignore=True), padding()]),
            np.stack([face([11, 0, 21, 10]), padding()]),
        ]
    )
    targets = assign_targets(labels, ANCHORS)
    np.testing.assert_array_equal(
        targets.classes, [[1, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, -1, 0], [0, 1, 0, 0, 0]]
    )
    assert all(value.dtype == np.float32 for value in targets)
    np.testing.assert_allclose(targets.boxes[3, 1], [1, 0, 0, 0], atol=1e-6)
    assert np.count_nonzero(targets.boxes) == 1
    np.testing.assert_allclose(targets.landmarks[0, 0], [-3, -2, 3, -2, 0, 0, -2, 3, 2, 3], rtol=1e-6)
    assert np.count_nonzero(targets.landmarks) == 8
    assert np.argwhere(targets.landmark_mask).tolist() == [[0, 0]]


@pytest.mark.parametrize(
    'row', [[5, 5, 5, 15], [5, 5, 15, 5], [15, 5, 5, 15], [0, 0, np.nan, 10], [0, 0, np.inf, 10]]
)
def test_a_box_without_an_area_is_no_face(row):
    targets = assign_targets(face(row)[None, None], ANCHORS)
    assert not targets.classes.any() and not targets.boxes.any()


def test_landmarks_that_are_not_numbers_are_unknown():
    row = face([0, 0, 10, 10], np.full((5, 2), np.nan))
    targets = assign_targets(row[None, None], ANCHORS)
    assert targets.classes[0, 0] == 1 and not targets.landmark_mask.any() and not targets.landmarks.any()


def test_labels_without_rows():
    targets = assign_targets(np.zeros((2, 0, rows.OBJECT_WIDTH), np.float32), ANCHORS)
    assert targets.classes.shape == (2, 5) and not targets.classes.any()


# ROIs


def predictions(*images):
    """Of (score, box, landmarks) rows, the same number an image."""
    return Predictions(
        *[np.array([[row[column] for row in rows] for rows in images], np.float32) for column in range(3)]
    )


def test_ground_truth_rois_are_the_faces_with_an_embedding():
    labels = np.stack(
        [
            np.stack(
                [face([0, 0, 10, 10], POINTS, embedding=2), face([50, 50, 60, 60], POINTS + 50), padding()]
            ),
            np.stack([padding(), padding(), padding()]),
            np.stack(
                [
                    face([5, 0, 15, 10], POINTS, embedding=4, ignore=True),
                    padding(),
                    face([20, 40, 40, 80], embedding=3),
                ]
            ),
        ]
    )
    rois = select_rois(labels, bucket=4)
    assert rois.mask.tolist() == [1, 1, 0, 0] and not rois.predicted.any()
    assert rois.faces.shape == (4, 15) and rois.embeddings.shape == (4, 128)
    np.testing.assert_array_equal(rois.faces[0], [0, 0, 0, 10, 10, 2, 3, 8, 3, 5, 5, 3, 8, 7, 8])
    # No landmarks: the average face's, in its box.
    average = np.ravel(MEAN_LANDMARKS * [20, 40] + [20, 40])
    np.testing.assert_allclose(rois.faces[1], np.concatenate([[2, 20, 40, 40, 80], average]), rtol=1e-6)
    assert (rois.embeddings[0] == 2).all() and (rois.embeddings[1] == 3).all()
    assert not rois.faces[2:].any() and not rois.embeddings[2:].any()


@pytest.mark.parametrize('faces, rows', [(0, 8), (1, 8), (8, 8), (9, 16)])
def test_rois_fill_buckets(faces, rows):
    labels = np.stack([padding()] * 10)[None]
    labels[0, :faces] = face([0, 0, 10, 10], POINTS, embedding=1)
    rois = select_rois(labels, bucket=8)
    assert [len(value) for value in rois] == [rows] * 4 and rois.mask.sum() == faces
    assert all(np.isfinite(value).all() for value in rois)


def test_the_most_confident_prediction_that_overlaps_stands_for_a_face():
    labels = np.stack(
        [
            face([0, 0, 10, 10], POINTS, embedding=1),
            face([10, 0, 20, 10], POINTS, embedding=2),
            face([100, 100, 120, 120], POINTS, embedding=3),
        ]
    )[None]
    found = predictions(
        [
            (0.9, [0, 0, 10, 9], POINTS + 1),  # 0.9 of the first face
            (0.8, [0, 0, 10, 10], POINTS + 2),  # nearer, but less confident
            (9.0, [0, 0, 10, 4], POINTS + 3),  # most confident, overlaps only 0.4
            (0.1, [10, 0, 20, 5], POINTS + 4),  # exactly 0.5 of the second face
            (5.0, [100, 100, 110, 119], POINTS),
        ]
    )  # 0.475 of the third
    rois = select_rois(labels, found, bucket=4)
    assert rois.predicted.tolist() == [True, True, False, False] and rois.mask.tolist() == [1, 1, 1, 0]
    np.testing.assert_array_equal(rois.faces[0], np.concatenate([[0, 0, 0, 10, 9], (POINTS + 1).ravel()]))
    np.testing.assert_array_equal(rois.faces[1], np.concatenate([[0, 10, 0, 20, 5], (POINTS + 4).ravel()]))
    np.testing.assert_array_equal(rois.faces[2], np.concatenate([[0, 100, 100, 120, 120], POINTS.ravel()]))


@pytest.mark.parametrize('threshold, predicted', [(0.3, True), (0.4, True), (0.41, False), (0.8, False)])
def test_how_near_a_prediction_must_be(threshold, predicted):
    """Its overlap is 0.4."""
    labels = face([0, 0, 10, 10], POINTS, embedding=1)[None, None]
    rois = select_rois(labels, predictions([(9.0, [0, 0, 10, 4], POINTS)]), 1, threshold)
    assert rois.predicted.tolist() == [predicted]


def test_average_landmarks_are_left_and_right_as_seen():
    x, y = MEAN_LANDMARKS.T
    assert x[0] < x[2] < x[1] and x[3] < x[2] < x[4] and y[:2].max() < y[2] < y[3:].min()


def test_a_prediction_between_two_faces_belongs_to_the_nearer_one():
    # 2/3 of the first and 9/11 of the second, which has no embedding to learn.
    labels = np.stack([face([0, 0, 10, 10], POINTS, embedding=1), face([1, 0, 11, 10], POINTS)])[None]
    rois = select_rois(labels, predictions([(1, [2, 0, 12, 10], POINTS)]), bucket=1)
    assert rois.predicted.tolist() == [False]
    np.testing.assert_array_equal(rois.faces[0, 1:5], [0, 0, 10, 10])


def test_predictions_belong_to_their_image_and_must_be_finite():
    labels = np.stack([face([0, 0, 10, 10], POINTS, embedding=1)] * 3)[:, None]
    infinite = POINTS.copy()
    infinite[2, 1] = np.inf
    rois = select_rois(
        labels,
        predictions(
            [(1, [0, 0, 9, 10], POINTS)],
            [(1, [0, 0, 9, 10], infinite)],
            [(1, [np.nan, 0, np.inf, 10], POINTS)],
        ),
        bucket=3,
    )
    assert rois.predicted.tolist() == [True, False, False] and np.isfinite(rois.faces).all()
    assert rois.faces[:, 0].tolist() == [0, 1, 2]


def test_decode_predictions_keeps_the_most_confident():
    logits = np.zeros((2, 5, 2), np.float32)
    logits[0, :, 1] = [1, 5, 3, 2, 4]
    logits[1, :, 0] = [0, 3, 1, 9, 2]
    offsets = np.zeros((2, 5, 4), np.float32)
    offsets[0, 1] = [1, 0, 0, 0]
    landmarks = np.zeros((2, 5, 10), np.float32)
    found = decode_predictions(logits, offsets, landmarks, ANCHORS, top=2)
    order = np.argsort(-found.scores, axis=1)
    np.testing.assert_array_equal(np.take_along_axis(found.scores, order, 1), [[5, 4], [0, -1]])
    decoded = np.take_along_axis(found.boxes, order[..., None], 1)
    np.testing.assert_allclose(
        decoded, [[[11, 0, 21, 10], [-10, -10, 0, 0]], [[0, 0, 10, 10], [5, 0, 15, 10]]], atol=1e-5
    )
    assert found.landmarks.shape == (2, 2, 5, 2)
    np.testing.assert_allclose(found.landmarks[0, order[0, 0]], [[15, 5]] * 5)
    assert decode_predictions(logits, offsets, landmarks, ANCHORS).scores.shape == (2, 5)
