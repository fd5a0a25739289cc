import json
import os
import random
import struct

import cv2
import mxnet as mx
import numpy as np
import pytest
from gluoncv.data import RecordFileDetection
from hypothesis import given, settings
from hypothesis import strategies as st

from uniface_mx.data import records
from uniface_mx.data.prepare.inspection import record_problems
from uniface_mx.data.records import (
    Record,
    RecordError,
    RecordReader,
    RecordWriter,
    load_meta,
    mean_embedding,
    pack_record,
    require_teachers,
    unpack_label,
)
from uniface_mx.data.rows import (
    BOX,
    CLASS,
    EMBEDDING,
    HAS_EMBEDDING,
    HAS_LANDMARKS,
    IGNORE,
    LANDMARKS,
    OBJECT_WIDTH,
)

SOURCES = [
    {'name': 's', 'kind': 'folder', 'licence': 'CC0'},
    {'name': 't', 'kind': 'voc', 'licence': 'unknown'},
]
TEACHERS = {'embeddings': {'name': 'dlib', 'version': '1', 'sha256': 'ab' * 32, 'mirror': True}}


def face(box=(0.1, 0.2, 0.5, 0.6), embedding=None, ignore=False):
    row = np.zeros(OBJECT_WIDTH, np.float32)
    row[BOX] = box
    row[IGNORE] = ignore
    if not ignore:
        row[LANDMARKS] = np.tile((0.3, 0.4), 5)
        row[HAS_LANDMARKS] = 1
    if embedding is not None:
        row[HAS_EMBEDDING], row[EMBEDDING] = 1, embedding
    return row


def record(*faces, size=(80, 60), source='s', key='a/b.jpg', person=None, picture=0):
    image = np.random.RandomState(len(key)).randint(0, 256, (size[1], size[0], 3)).astype(np.uint8)
    objects = np.array(faces, np.float32).reshape(-1, OBJECT_WIDTH)
    return Record(
        cv2.imencode('.jpg', image)[1].tobytes(), objects, size[0], size[1], source, key, person, picture
    )


@pytest.fixture
def name(tmp_path):
    with RecordWriter(tmp_path / 'set', SOURCES, TEACHERS) as writer:
        writer.add(
            record(
                face(embedding=0.25), face((0.6, 0.1, 1, 0.9), ignore=True), person='s/ann', picture=2**64 - 3
            )
        )
        writer.add(record(face((0, 0, 0.25, 1), embedding=0.75), source='t', key="ü'.jpg", size=(40, 100)))
        writer.add(record(face(), person='s/ann', key='last.jpg'))
    return str(tmp_path / 'set')


def edit(path, change):
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(bytes(data))


def test_columns_fill_the_row():
    boxes, points, vectors = (range(*part.indices(146)) for part in (BOX, LANDMARKS, EMBEDDING))
    columns = [CLASS, *boxes, *points, HAS_LANDMARKS, HAS_EMBEDDING, IGNORE, *vectors]
    assert columns == list(range(146)) and OBJECT_WIDTH == 146


def test_written_is_read(name):
    for given_name in (name, name + '.rec', name + '.json'):
        reader = RecordReader(given_name, verify=True)
        assert len(reader) == 3
    first, second, last = reader
    assert (first.source, first.key, first.person, first.picture) == ('s', 'a/b.jpg', 's/ann', 2**64 - 3)
    assert (second.source, second.key, second.person) == ('t', "ü'.jpg", None)
    assert (second.width, second.height) == (40, 100)
    expected = record(face(embedding=0.25), face((0.6, 0.1, 1, 0.9), ignore=True))
    np.testing.assert_array_equal(first.objects, expected.objects)
    assert second.decode().shape == (100, 40, 3)
    assert last.person == 's/ann'
    meta = reader.meta
    assert (meta.records, meta.faces, meta.ignored, meta.landmarks, meta.embeddings) == (3, 3, 1, 3, 2)
    assert meta.persons == ['s/ann'] and meta.sources == SOURCES and meta.teachers == TEACHERS
    np.testing.assert_allclose(meta.mean_embedding, 0.5)


def test_the_label_is_the_layout_of_the_design(name):
    data = RecordReader(name).read(1)
    flag, _, index, _ = struct.unpack_from('<IfQQ', data)
    label = np.frombuffer(data, np.float32, flag, 24)
    assert (flag, index) == (7 + 146, 1)
    assert label[:12].tolist() == [7, 146, 1, 1, -1, 40, 100, 0, 0, 0, 0.25, 1]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 6), st.integers(0, 2**64 - 1), st.integers(1, 2000), st.integers(1, 2000))
def test_pack_and_unpack_are_inverse(faces, picture, width, height):
    objects = np.random.RandomState(faces).rand(faces, OBJECT_WIDTH).astype(np.float32)
    packed = pack_record(Record(b'jpeg', objects, width, height, picture=picture), 5, 2, 9)
    header, found, image, found_picture = unpack_label(packed)
    assert header.tolist() == [7, 146, 1, 2, 9, width, height]
    np.testing.assert_array_equal(found, objects)
    assert (image, found_picture) == (b'jpeg', picture)


def test_gluoncv_reads_the_boxes(name):
    dataset = RecordFileDetection(name + '.rec')
    image, label = dataset[0]
    assert len(dataset) == 3 and image.shape == (60, 80, 3)
    np.testing.assert_allclose(label[:, :5], [[8, 12, 40, 36, 0], [48, 6, 80, 54, 0]], rtol=1e-6)


def test_image_det_iter_reads_the_boxes(name):
    stock = mx.image.ImageDetIter(3, (3, 32, 32), path_imgrec=name + '.rec', path_imgidx=name + '.idx')
    label = stock.next().label[0].asnumpy()
    assert label.shape == (3, 2, OBJECT_WIDTH)
    np.testing.assert_allclose(label[0, :, :5], [[0, 0.1, 0.2, 0.5, 0.6], [0, 0.6, 0.1, 1, 0.9]], rtol=1e-6)
    np.testing.assert_allclose(label[1, 0, :5], [0, 0, 0, 0.25, 1], rtol=1e-6)


def test_c_iterator_reads_the_boxes(name):
    stock = mx.io.ImageDetRecordIter(
        path_imgrec=name + '.rec', batch_size=3, data_shape=(3, 32, 32), shuffle=False
    )
    label = stock.next().label[0].asnumpy()[0]
    start = 4 + int(label[4])
    np.testing.assert_allclose(label[start : start + 5], [0, 0.1, 0.2, 0.5, 0.6], rtol=1e-6)


def test_two_writers_write_the_same_bytes(tmp_path, name):
    reader = RecordReader(name)
    with RecordWriter(tmp_path / 'again', SOURCES, TEACHERS) as writer:
        for one in reader:
            writer.add(one)
    for ending in ('.rec', '.idx', '.keys', '.json'):
        assert (tmp_path / ('again' + ending)).read_bytes() == (tmp_path / ('set' + ending)).read_bytes()


def test_a_writer_that_fails_leaves_the_old_set_and_nothing_else(tmp_path, name):
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(KeyError):
        with RecordWriter(name, SOURCES, TEACHERS) as writer:
            writer.add(record(face()))
            writer.add(record(face(), source='unknown'))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize('when', ['write_idx', 'close'])
def test_a_set_that_cannot_be_written(tmp_path, name, when, monkeypatch):
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*arguments):
        raise mx.MXNetError('no room')

    with pytest.raises(RecordError, match=r'set\.rec: cannot be written \(no room\)'):
        with RecordWriter(name, SOURCES, TEACHERS) as writer:
            monkeypatch.setattr(writer._file, when, full)
            writer.add(record(face()))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_set_whose_last_block_finds_no_room(tmp_path, name):
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(RecordError, match=r'set\.rec: cannot be written \(incomplete, is the disk full\?\)'):
        with RecordWriter(name, SOURCES, TEACHERS) as writer:
            writer.add(record(face()))
            close = writer._file.close

            def cut():
                writer._file.close = close
                close()
                os.truncate(str(writer._aside('.rec')), writer._aside('.rec').stat().st_size - 8)

            writer._file.close = cut
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_empty_set_is_a_set(tmp_path):
    with RecordWriter(tmp_path / 'none', SOURCES, {}):
        pass
    assert len(RecordReader(tmp_path / 'none', verify=True)) == 0


def test_truncated(tmp_path, name):
    edit(tmp_path / 'set.rec', lambda data: data.__delitem__(slice(-100, None)))
    with pytest.raises(RecordError, match=r'set\.rec: \d+ bytes where .*set\.json says \d+'):
        RecordReader(name)


def test_a_flipped_bit_is_found_by_its_sha256(tmp_path, name):
    def flip(data):
        data[-50] ^= 4

    edit(tmp_path / 'set.rec', flip)
    RecordReader(name)
    with pytest.raises(RecordError, match='sha256'):
        RecordReader(name, verify=True)


@pytest.mark.parametrize(
    'offset, message',
    [(0, 'record 0'), (8, 'record 0'), (32, 'damaged label|schema'), (40, 'schema version')],
)
def test_a_damaged_record_is_named(tmp_path, name, offset, message):
    def damage(data):
        data[offset : offset + 4] = struct.pack('<f', 77.0)

    edit(tmp_path / 'set.rec', damage)
    with pytest.raises(RecordError, match=message):
        RecordReader(name)[0]


def test_whatever_bytes_change_reading_ends_in_a_record_or_an_error(tmp_path, name):
    path, chance = tmp_path / 'set.rec', random.Random(0)
    good = path.read_bytes()
    outcomes = set()
    for _ in range(300):
        data = bytearray(good)
        for _ in range(chance.choice([1, 20])):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(bytes(data))
        reader = RecordReader(name)
        for i in range(3):
            try:
                outcomes.add(bool(record_problems(reader[i])))
            except RecordError as error:
                assert f'record {i}' in str(error)
                outcomes.add('error')
        reader.close()
    assert outcomes == {True, False, 'error'}


def test_a_wrong_index_is_an_error(tmp_path, name):
    path = tmp_path / 'set.idx'
    text = path.read_text()
    path.write_text(text.replace('0\t0', '0\t9'))
    with pytest.raises(RecordError, match='record 0'):
        RecordReader(name)[0]
    path.write_text('x' * len(text))
    with pytest.raises(RecordError):
        RecordReader(name)[0]


def test_no_such_record(name):
    for index in (-1, 3):
        with pytest.raises(IndexError, match='3 records'):
            RecordReader(name).read(index)


@pytest.mark.parametrize(
    'change, message',
    [
        ({'schema': 2}, 'schema version 2, this package reads 1'),
        ({'records': '3'}, "'records' is missing or no int"),
        ({'sources': None}, "'sources' is missing"),
    ],
)
def test_bad_description(tmp_path, name, change, message):
    path = tmp_path / 'set.json'
    path.write_text(json.dumps(dict(json.loads(path.read_text()), **change)))
    with pytest.raises(RecordError, match=message):
        load_meta(name)


@pytest.mark.parametrize('text', ['', '{', '[]', '{}'])
def test_no_description(tmp_path, name, text):
    (tmp_path / 'set.json').write_text(text)
    with pytest.raises(RecordError, match=r'set\.json'):
        load_meta(name)


@pytest.mark.parametrize('ending', ['.rec', '.idx', '.keys', '.json'])
def test_a_missing_file_is_named(tmp_path, name, ending):
    (tmp_path / ('set' + ending)).unlink()
    with pytest.raises(RecordError, match='set' + ending):
        RecordReader(name)


def test_another_teacher_is_refused(name):
    meta = load_meta(name)
    require_teachers(meta, TEACHERS, name)
    for key, value in (('version', '2'), ('sha256', 'cd' * 32), ('mirror', False), ('name', 'other')):
        with pytest.raises(RecordError, match=r'set\.rec: its embeddings come from dlib'):
            require_teachers(meta, {'embeddings': dict(TEACHERS['embeddings'], **{key: value})}, name)
    with pytest.raises(RecordError, match='no teacher'):
        require_teachers(meta, {}, name)


def test_mean_embedding_weighs_sets_by_their_faces(name):
    meta = load_meta(name)
    other = records.RecordMeta(embeddings=1, mean_embedding=[2.0] * 128)
    np.testing.assert_allclose(mean_embedding([meta, other, records.RecordMeta()]), 1.0)
    with pytest.raises(RecordError):
        mean_embedding([records.RecordMeta()])


def changed(column, value):
    row = face(embedding=0.5)
    row[column] = value
    return row


@pytest.mark.parametrize(
    'row, problem',
    [
        (face(embedding=0.5), None),
        (face(ignore=True), None),
        (changed(CLASS, 1), 'class'),
        (changed(BOX, (0.5, 0.2, 0.5, 0.6)), 'without area'),
        (changed(BOX, (0.5, 0.2, 1.1, 0.6)), 'outside'),
        (changed(EMBEDDING, np.nan), 'finite'),
        (changed(EMBEDDING, 0), 'disagree'),
        (changed(HAS_EMBEDDING, 0), 'disagree'),
        (changed(IGNORE, 0.5), 'flag'),
        (changed(IGNORE, 1), 'ignored face has labels'),
        (changed(LANDMARKS, 1.5), 'landmarks outside'),
    ],
)
def test_problems(row, problem):
    problems = record_problems(record(row))
    assert not problems if problem is None else problem in problems[0]


def test_an_image_that_is_not_what_the_record_says(name):
    good = RecordReader(name)[0]
    for bad in (Record(b'no jpeg', good.objects, 80, 60), Record(good.image, good.objects, 60, 80)):
        assert 'JPEG' in record_problems(bad)[0]
        with pytest.raises(RecordError):
            bad.decode()
