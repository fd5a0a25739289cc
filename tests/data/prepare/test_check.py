import json

import numpy as np
import pytest

from uniface_mx.data.prepare.inspection import check
from uniface_mx.data.records import Record, RecordError, RecordReader, RecordWriter
from uniface_mx.data.rows import BOX, EMBEDDING
from uniface_mx.files import file_hash


def rewrite(name, change):
    """Write a set again after `change(number, record, objects)`, which may return another record."""
    reader = RecordReader(name)
    records = []
    for i, record in enumerate(reader):
        objects = record.objects.copy()
        records.append(change(i, record, objects) or Record(**dict(vars(record), objects=objects)))
    with RecordWriter(name, reader.meta.sources, reader.meta.teachers) as writer:
        for record in records:
            writer.add(record)


def test_a_sound_set(prepared):
    assert check(prepared) == {}
    assert check(prepared + '-negatives') == {}


def test_geometry(prepared):
    def change(i, record, objects):
        if i == 3:
            objects[0, BOX] = (0.5, 0.1, 0.4, 0.9)

    rewrite(prepared, change)
    assert check(prepared) == {
        'damaged': ['record 3, photos/01_003.jpg: face 0: box outside the image or without area']
    }


def test_image(prepared):
    rewrite(
        prepared,
        lambda i, record, objects: Record(**dict(vars(record), image=b'nothing')) if i == 5 else None,
    )
    assert list(check(prepared)) == ['damaged']


@pytest.mark.parametrize('factor, found', [(1.4, False), (1.7, True), (0.7, False), (0.6, True)])
def test_length_of_embeddings(prepared, factor, found):
    norms = [np.linalg.norm(record.objects[0, EMBEDDING]) for record in RecordReader(prepared)]

    def change(i, record, objects):
        objects[0, EMBEDDING] *= np.median(norms) / norms[i] * (factor if i == 7 else 1)

    rewrite(prepared, change)
    problems = check(prepared)
    assert [text.split(':')[0] for text in problems.get('embedding of unlikely length', [])] == (
        ['record 7, photos/02_007.jpg'] if found else []
    )


def test_duplicates(prepared):
    first = RecordReader(prepared)[2]
    rewrite(
        prepared, lambda i, record, objects: Record(**dict(vars(first), key='again.jpg')) if i == 9 else None
    )
    assert check(prepared) == {'duplicate': ['record 9, photos/again.jpg: photos/00_002.jpg']}


def test_counts(tmp_path, prepared):
    path = tmp_path / 'prepared.json'
    path.write_text(json.dumps(dict(json.loads(path.read_text()), faces=99)))
    assert check(prepared) == {'count': ['faces: 20 where the .json says 99']}


def test_guard(tmp_path, prepared):
    reader = RecordReader(prepared)
    record = reader[4]
    with RecordWriter(tmp_path / 'guard', reader.meta.sources, reader.meta.teachers) as writer:
        writer.add(record)
    assert list(check(prepared, [str(tmp_path / 'guard')])) == ['in an evaluation set']


def test_damage_to_the_file(tmp_path, prepared):
    path = tmp_path / 'prepared.rec'
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(RecordError, match='sha256'):
        check(prepared)


def test_a_label_of_another_schema_is_named(tmp_path, prepared):
    """A file whose sha256 is right, but which holds a record that this package does not read."""
    path, meta = tmp_path / 'prepared.rec', tmp_path / 'prepared.json'
    data = path.read_bytes()
    header = np.array([7, 146, 1], '<f4').tobytes()
    path.write_bytes(data.replace(header, np.array([7, 146, 9], '<f4').tobytes(), 1))
    values = json.loads(meta.read_text())
    values['files']['.rec']['sha256'] = file_hash(path)
    meta.write_text(json.dumps(values))
    problems = check(prepared)
    assert 'record 0: schema version 9' in problems['unreadable'][0] and len(problems['count']) == 3
