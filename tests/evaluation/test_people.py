"""Faces of people held out: how they are shown, found, and which rule of length is chosen for them."""

from dataclasses import replace

import numpy as np
import pytest

from uniface_mx.data.records import Record, RecordReader, RecordWriter
from uniface_mx.data.rows import BOX, EMBEDDING, HAS_EMBEDDING, IGNORE, LANDMARKS, no_rows
from uniface_mx.evaluation.people import (
    Faces,
    Shot,
    choose_rule,
    found_faces,
    of_people,
    power_table,
    reduced,
    shots,
)
from uniface_mx.image import encode_jpeg

GREY = np.full((200, 100, 3), 128, np.uint8)


def record(boxes, person='a', embedded=None, ignored=()):
    """A record of a grey photo of 100x200 with faces in pixels, each with its number as embedding."""
    objects = np.resize(no_rows(), (len(boxes), no_rows().shape[1])) * 0
    objects[:, BOX] = np.reshape(boxes, (-1, 4)) / [100, 200, 100, 200]
    objects[:, LANDMARKS] = np.tile(objects[:, BOX][:, :2], 5)
    objects[:, HAS_EMBEDDING] = True if embedded is None else embedded
    objects[list(ignored), IGNORE] = 1
    objects[:, EMBEDDING] = np.arange(len(boxes))[:, None]
    return Record(encode_jpeg(GREY), objects.astype(np.float32), 100, 200, person=person)


def test_the_largest_taught_face_of_a_named_person():
    boxes = [(0, 0, 10, 20), (20, 20, 80, 120), (0, 0, 100, 200), (0, 0, 90, 190)]
    (shot,) = shots([record(boxes, embedded=[1, 1, 0, 1], ignored=[3])])
    assert shot.person == 'a' and (shot.teacher == 1).all() and shot.canvas.shape == (300, 300, 3)
    # Photos are enlarged by 1.5 here.
    assert shot.face[:6] == pytest.approx([30, 30, 120, 180, 30, 30])
    assert shot.side == pytest.approx(np.sqrt(90 * 150))


@pytest.mark.parametrize(
    'passed_over',
    [
        record([(20, 20, 80, 120)], person=None),
        record([]),
        record([(0, 0, 40, 40)]),
        record([(0, 0, 90, 90)], embedded=[0]),
    ],
)
def test_what_is_no_shot(passed_over):
    assert not list(shots([passed_over]))


@pytest.mark.parametrize(('limit', 'expected'), [(1, 'aa'), (2, 'aaee'), (3, 'aacee'), (9, 'aabcdee')])
def test_people_are_taken_whole(tmp_path, limit, expected):
    name = tmp_path / 'people'
    with RecordWriter(name, [{'name': 'drawn', 'kind': 'folder', 'licence': ''}], {}) as writer:
        for number, person in enumerate('eaabdce'):
            drawn = record([(20, 20, 80, 120)], person, embedded=[0])
            writer.add(replace(drawn, source='drawn', key=str(number)))
    found = of_people([RecordReader(name)], limit)
    assert sorted(one.person for one in found) == list(expected)


def test_a_reduced_shot_is_the_same_face_smaller():
    canvas = np.zeros((300, 300, 3), np.uint8)
    canvas[50:250, 100:250] = 255
    face = np.array([100, 50, 250, 250, *[150, 100] * 5], np.float32)
    random = np.random.default_rng(0)
    for _ in range(20):
        small = reduced(Shot(canvas, face, np.zeros(128), 'a'), random)
        assert 23 < small.side < 41
        left, top, right, bottom = small.face[:4].round().astype(int)
        assert 0 <= left and 0 <= top and right <= 300 and bottom <= 300
        assert small.canvas[top + 2 : bottom - 2, left + 2 : right - 2].min() == 255
        assert small.face[4] - small.face[0] == pytest.approx((small.face[2] - small.face[0]) / 3, abs=1e-3)


def test_the_detection_that_overlaps_most():
    detections = np.full((2, 3, 15), -1, np.float32)
    detections[0, 0] = [0.9, *[0, 0, 10, 8], *range(10)]
    detections[0, 1] = [0.8, *[0, 0, 10, 10], *range(10, 20)]
    detections[0, 2] = [0.3, *[0, 0, 10, 10], *range(10)]
    detections[1, 0] = [0.9, *[8, 8, 20, 20], *range(10)]
    labelled = np.zeros((2, 14), np.float32)
    labelled[:, :4] = [0, 0, 10, 10]
    faces, there = found_faces(detections, labelled)
    assert there.tolist() == [True, False]
    assert faces[0].tolist() == [0, 0, 10, 10, *range(10, 20)]


def people(lengths, spread, seed=0, count=60, photos=4):
    """Vectors of people whose directions differ, and whose lengths are drawn from `lengths`, a person one."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(count, 1, 128))
    vectors = centres + spread * random.normal(size=(count, photos, 128))
    vectors *= random.uniform(*lengths, (count, 1, 1)) / np.linalg.norm(vectors, axis=2, keepdims=True)
    return Faces(
        vectors.reshape(-1, 128).astype(np.float32),
        vectors.reshape(-1, 128),
        np.repeat(np.arange(count), photos),
        0,
    )


def test_lengths_that_tell_people_apart_are_kept():
    choice = choose_rule(people((0.3, 3.0), 2.5), people((3, 3.1), 0, seed=1))
    assert choice.rule.power < 0.8 and choice.accepted > 0.05
    embeddings = choice.rule.embed(people((0.3, 3.0), 2.5).vectors)
    assert (embeddings**2).sum(axis=1).mean() == pytest.approx(1, rel=1e-4)


def test_short_vectors_of_poor_photos_forbid_a_small_power():
    good = people((0.3, 3.0), 2.5)
    free = choose_rule(good, people((3, 3.1), 0, seed=1)).rule
    bound = choose_rule(good, people((0.01, 0.02), 0, seed=1)).rule
    assert bound.power > free.power or bound.floor > free.floor


def test_lengths_that_tell_nothing_are_left():
    random = np.random.default_rng(3)
    good = people((1, 1.0001), 1.5)
    noisy = good._replace(
        vectors=good.vectors * random.uniform(0.3, 3, (len(good.vectors), 1)).astype(np.float32)
    )
    assert choose_rule(noisy, noisy).rule == (1.0, 0.0, 1.0)


def test_the_table_has_a_row_a_power():
    rows = power_table(people((1, 1.0001), 0.1))
    assert [row['power'] for row in rows] == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert all(row['area'] == 1 and row['true_accepts']['0.001'] == 1 for row in rows)
