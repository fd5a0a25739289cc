import json

import numpy as np
import pytest

from uniface_mx.data.records import Record
from uniface_mx.data.rows import BOX, EMBEDDING, HAS_EMBEDDING, HAS_LANDMARKS, IGNORE, LANDMARKS, OBJECT_WIDTH
from uniface_mx.deploy.demo import (
    collect_photos,
    compare,
    format_comparison,
    format_people,
    read_faces,
    shortcomings,
)
from uniface_mx.errors import UnifaceError

POINTS = [[0.3, 0.3], [0.5, 0.3], [0.4, 0.4], [0.3, 0.5], [0.5, 0.5]]


def label(left, top, person, ignored=0):
    """A face of half the photo's sides, whose teacher vector is e_person."""
    row = np.zeros(OBJECT_WIDTH, np.float32)
    row[BOX] = left, top, left + 0.5, top + 0.5
    row[LANDMARKS] = np.ravel(POINTS)
    row[HAS_LANDMARKS] = row[HAS_EMBEDDING] = 1 - ignored
    row[IGNORE] = ignored
    row[EMBEDDING][person] = 1
    return row


def found(left, top, shift=0.0, direction=0):
    """The same face in a photo of 200x100 pixels, its points `shift` pixels to the right."""
    embedding = np.zeros(128)
    embedding[direction] = 1
    points = np.array(POINTS) * [200, 100] + [shift, 0]
    return {
        'box': [left * 200, top * 100, left * 200 + 100, top * 100 + 50],
        'score': 1.0,
        'landmarks': points.tolist(),
        'embedding': embedding.tolist(),
    }


def photo(*faces):
    return {'width': 200, 'height': 100, 'faces': list(faces)}


def record(key, *rows):
    # Half the photo's size, as records may be.
    return Record(b'', np.array(rows).reshape(-1, OBJECT_WIDTH), 100, 50, 'photos', key)


def test_a_smaller_record_is_compared_in_the_photo_s_pixels():
    comparison = compare(
        [record('a.jpg', label(0, 0, 0), label(0.5, 0.5, 1))],
        {'a.jpg': photo(found(0, 0, shift=4), found(0.5, 0.5, direction=1))},
    )
    only = comparison.photos[0]
    assert (only.labelled, only.found, only.extra) == (2, 2, 0)
    # The eyes are 0.2 of 200 pixels apart.
    np.testing.assert_allclose(only.landmark_errors, [0.1, 0], atol=1e-6)
    assert len(comparison.same) == 0
    np.testing.assert_allclose(comparison.different, [1])
    assert shortcomings(comparison) is None


def test_missed_extra_and_ignored_faces():
    comparison = compare(
        [record('a.jpg', label(0, 0, 0), label(0.5, 0.5, 1, ignored=1)), record('b.jpg')],
        {'a.jpg': photo(found(0.5, 0.5), found(0.5, 0)), 'b.jpg': photo(found(0, 0)), 'dogs.jpg': photo()},
    )
    assert [(row.key, row.labelled, row.found, row.extra) for row in comparison.photos] == [
        ('a.jpg', 1, 0, 1),
        ('b.jpg', 0, 0, 1),
        ('dogs.jpg', 0, 0, 0),
    ]
    assert (
        shortcomings(comparison) == 'a.jpg: 1 of 1 faces not found; b.jpg: 1 faces found where there is none'
    )


def test_people_are_the_teacher_s():
    comparison = compare(
        [record('a.jpg', label(0, 0, 5), label(0.5, 0.5, 5))], {'a.jpg': photo(found(0, 0), found(0.5, 0.5))}
    )
    np.testing.assert_allclose(comparison.same, [0])
    table = format_comparison(comparison)
    assert '| a.jpg | 2 | 2 | 0 | 0.0 % |' in table and 'the same person: 0.00 (1 pairs' in table
    assert 'different people: - (0 pairs' in table


def test_a_labelled_photo_that_nobody_looked_at():
    with pytest.raises(UnifaceError, match='a.jpg: labelled'):
        compare([record('a.jpg')], {})


def test_faces_without_embeddings_cannot_be_compared():
    face = found(0, 0)
    del face['embedding']
    for compared in (
        lambda: compare([record('a.jpg', label(0, 0, 0))], {'a.jpg': photo(face)}),
        lambda: format_people({'a.jpg': photo(face)}, 0.5),
    ):
        with pytest.raises(UnifaceError, match='detect --embeddings'):
            compared()


def test_faces_of_detect(tmp_path):
    path = tmp_path / 'faces.jsonl'
    lines = [dict(photo(found(0, 0)), photo='x/a.jpg'), {'photo': 'x/b.jpg', 'error': 'no image'}]
    path.write_text('\n'.join(map(json.dumps, lines)))
    assert list(read_faces(path)) == ['a.jpg']
    path.write_text('{"photo": 1')
    with pytest.raises(UnifaceError, match='faces.jsonl'):
        read_faces(path)


def test_photos_of_the_real_data(tmp_path, monkeypatch):
    (tmp_path / 'data' / 'photos').mkdir(parents=True)
    for name in ('a.jpg', 'notes.txt'):
        (tmp_path / 'data' / 'photos' / name).write_bytes(b'x')
    monkeypatch.setenv('UNIFACE_DATA', str(tmp_path / 'data'))
    collect_photos(tmp_path / 'out')
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['a.jpg']


def test_no_data_and_no_index(tmp_path, monkeypatch):
    monkeypatch.setenv('UNIFACE_DATA', str(tmp_path / 'nowhere'))
    for name in ('PIP_INDEX_URL', 'PIP_EXTRA_INDEX_URL'):
        monkeypatch.setenv(name, 'file:///nowhere')
    monkeypatch.setenv('PIP_NO_INDEX', '1')
    with pytest.raises(UnifaceError, match='put photos into .*nowhere'):
        collect_photos(tmp_path / 'out')


def test_who_is_who():
    photos = {
        'b.jpg': photo(found(0, 0, direction=1), found(0, 0, direction=2)),
        'a.jpg': photo(found(0, 0, direction=2)),
        'none.jpg': photo(),
    }
    assert format_people(photos, 0.4).splitlines() == [
        '| | a | b |',
        '| --- | --- | --- |',
        '| a |  | 0.00 |',
        '| b | 0.00 |  |',
        '3 faces, numbered from the largest down; one person, from a similarity of 0.40 on:',
        'a and b 2 (1.00)',
    ]
    photos['b.jpg']['faces'].reverse()
    assert '| a |  | **1.00** |' in format_people(photos, 0.4)
    # Nobody is twice in a photo.
    photos['b.jpg'] = photo(found(0, 0, direction=2), found(0, 0, direction=2))
    assert len([line for line in format_people(photos, 0.4).splitlines() if line.startswith('a and b')]) == 1
    photos['b.jpg']['faces'][0].pop('embedding')
    with pytest.raises(UnifaceError, match='--embeddings'):
        format_people(photos, 0.4)
    assert format_people({}, 0.4).splitlines()[-1].startswith('0 faces')
