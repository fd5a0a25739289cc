import shutil

import cv2
import numpy as np
import pytest
from fakes import PATTERN, TEACHERS, prepare

from uniface_mx.data.prepare.sets import Duplicates, Guard, main_embedding, merge
from uniface_mx.data.prepare.worker import Job
from uniface_mx.data.records import Record, RecordError, RecordReader
from uniface_mx.data.rows import BOX, EMBEDDING, HAS_EMBEDDING, OBJECT_WIDTH


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


@pytest.fixture
def evaluation(tmp_path, photos, job):
    """Three photos of an evaluation set: one as it is, one smaller, one cut."""
    folder = tmp_path / 'evaluation'
    folder.mkdir()
    shutil.copy(str(photos / '00_000.jpg'), str(folder / 'as_it_is.jpg'))
    cv2.imwrite(str(folder / 'smaller.png'), cv2.resize(cv2.imread(str(photos / '02_007.jpg')), (90, 75)))
    cv2.imwrite(str(folder / 'cut.png'), cv2.imread(str(photos / '05_015.jpg'))[10:80, 20:80])
    prepare(f'folder:{folder}?name=evaluation', tmp_path / 'guard', job)
    return str(tmp_path / 'guard')


def test_photos_of_an_evaluation_set_are_found(prepared, evaluation):
    reader = RecordReader(prepared)
    guard = Guard([evaluation], reader.meta.teachers)
    found = {record.key: guard.find(record) for record in reader}
    found = {key: text for key, text in found.items() if text}
    assert sorted(found) == ['00_000.jpg', '02_007.jpg', '05_015.jpg']
    assert found['00_000.jpg'] == 'evaluation/as_it_is.jpg (same picture)'
    assert found['02_007.jpg'].startswith('evaluation/smaller.png')
    assert found['05_015.jpg'].startswith('evaluation/cut.png (faces at 0.')


def test_merge_leaves_them_out(tmp_path, prepared, evaluation):
    meta = merge([prepared], str(tmp_path / 'clean'), guards=[evaluation])
    assert meta.records == 17
    assert len(meta.sources[0]['skipped']['in an evaluation set']) == 3


def test_a_guard_of_another_teacher_is_refused(tmp_path, photos, prepared):
    job = Job((TEACHERS[0], "fakes:FakeEmbedding?version='2'"))
    prepare(f'folder:{photos}{PATTERN}', tmp_path / 'other', job)
    with pytest.raises(RecordError, match='fake-embedding'):
        Guard([str(tmp_path / 'other')], RecordReader(prepared).meta.teachers)


def test_no_guard_finds_nothing(prepared):
    reader = RecordReader(prepared)
    assert Guard([], reader.meta.teachers).find(reader[0]) is None
