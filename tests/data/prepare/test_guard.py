import shutil

import cv2
import pytest
from fakes import PATTERN, TEACHERS

from uniface_mx.data.prepare.cache import Cache
from uniface_mx.data.prepare.executor import SerialExecutor
from uniface_mx.data.prepare.guard import Guard
from uniface_mx.data.prepare.look import Job
from uniface_mx.data.prepare.make import make
from uniface_mx.data.prepare.sets import merge
from uniface_mx.data.records import RecordError, RecordReader
from uniface_mx.data.sources import open_source


@pytest.fixture
def evaluation(tmp_path, photos, job):
    """Three photos of an evaluation set: one as it is, one smaller, one cut."""
    folder = tmp_path / 'evaluation'
    folder.mkdir()
    shutil.copy(str(photos / '00_000.jpg'), str(folder / 'as_it_is.jpg'))
    cv2.imwrite(str(folder / 'smaller.png'), cv2.resize(cv2.imread(str(photos / '02_007.jpg')), (90, 75)))
    cv2.imwrite(str(folder / 'cut.png'), cv2.imread(str(photos / '05_015.jpg'))[10:80, 20:80])
    make(
        open_source(f'folder:{folder}?name=evaluation'),
        str(tmp_path / 'guard'),
        job,
        SerialExecutor(),
        Cache(None),
    )
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
    make(
        open_source(f'folder:{photos}{PATTERN}'), str(tmp_path / 'other'), job, SerialExecutor(), Cache(None)
    )
    with pytest.raises(RecordError, match='fake-embedding'):
        Guard([str(tmp_path / 'other')], RecordReader(prepared).meta.teachers)


def test_no_guard_finds_nothing(prepared):
    reader = RecordReader(prepared)
    assert Guard([], reader.meta.teachers).find(reader[0]) is None
