import numpy as np
import pytest

from uniface_mx.data.prepare.duplicates import Duplicates, main_embedding
from uniface_mx.data.records import BOX, EMBEDDING, HAS_EMBEDDING, OBJECT_WIDTH, Record


def faces(*embeddings, sizes=None):
    objects = np.zeros((len(embeddings), OBJECT_WIDTH), np.float32)
    for row, value, size in zip(objects, embeddings, sizes or [0.5] * len(embeddings)):
        row[BOX] = (0, 0, size, size)
        row[HAS_EMBEDDING], row[EMBEDDING] = 1, value
    return objects


def record(key, picture, objects, width=100, height=100):
    return Record(b'', objects, width, height, 's', key, None, picture)


# All 128 values apart by d / sqrt(128): vectors apart by d.
def away(distance):
    return 0.1 + distance / np.sqrt(128)


@pytest.mark.parametrize(
    'picture, objects, width, found',
    [
        (0, faces(0.1), 100, True),
        (0b1111, faces(0.1), 100, True),
        (0b11111, faces(0.1), 100, False),
        (1 << 63 | 1 << 40 | 1 << 20 | 1, faces(0.1), 100, True),
        (0, faces(away(0.24)), 100, True),
        (0, faces(away(0.26)), 100, False),
        (0, faces(0.1), 104, True),
        (0, faces(0.1), 106, False),
        (0b11, faces(), 100, True),
        (0b111, faces(), 100, False),
    ],
)
def test_what_is_the_same_picture(picture, objects, width, found):
    seen = Duplicates()
    assert seen.find(record('first', 0, faces(0.1))) is None
    assert seen.find(record('second', picture, objects, width)) == ('s/first' if found else None)


def test_the_first_is_named_and_a_duplicate_is_not_remembered():
    seen = Duplicates()
    assert seen.find(record('a', 0, faces())) is None
    assert seen.find(record('b', 0b11, faces())) == 's/a'
    assert seen.find(record('c', 0b1111, faces())) is None
    assert seen.find(record('d', 0b111, faces())) == 's/c'
    assert seen.find(record('e', 0xFF00, faces()), remember=False) is None
    assert seen.find(record('f', 0xFF00, faces())) is None


def test_any_four_bits_are_found():
    random = np.random.RandomState(0)
    for _ in range(200):
        seen = Duplicates()
        picture = int.from_bytes(random.bytes(8), 'big')
        seen.find(record('a', picture, faces(0.1)))
        for bit in random.choice(64, 4, replace=False):
            picture ^= 1 << int(bit)
        assert seen.find(record('b', picture, faces(0.1))) == 's/a'


def test_the_largest_face_counts():
    assert main_embedding(faces()) is None
    np.testing.assert_allclose(main_embedding(faces(0.1, 0.2, 0.3, sizes=(0.2, 0.6, 0.4))), 0.2)
