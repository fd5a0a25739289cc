import json

import numpy as np
import pytest

from tools.demo import collect_photos, format_people, read_faces
from uniface_mx.errors import UnifaceError


def face(direction):
    """A face whose embedding is e_direction."""
    return {'box': [0, 0, 9, 9], 'score': 1.0, 'embedding': np.eye(128)[direction].tolist()}


def test_faces_of_detect(tmp_path):
    path = tmp_path / 'faces.jsonl'
    lines = [{'photo': 'x/a.jpg', 'faces': [face(0)]}, {'photo': 'x/b.jpg', 'error': 'no image'}]
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
    photos = {'b.jpg': [face(1), face(2)], 'a.jpg': [face(2)], 'none.jpg': []}
    assert format_people(photos, 0.4).splitlines() == [
        '| | a | b |',
        '| --- | --- | --- |',
        '| a |  | 0.00 |',
        '| b | 0.00 |  |',
        '3 faces, numbered from the largest down; one person, from a similarity of 0.40 on:',
        'a and b 2 (1.00)',
    ]
    photos['b.jpg'].reverse()
    assert '| a |  | **1.00** |' in format_people(photos, 0.4)
    # Nobody is twice in a photo.
    photos['b.jpg'] = [face(2), face(2)]
    assert len([line for line in format_people(photos, 0.4).splitlines() if line.startswith('a and b')]) == 1
    photos['b.jpg'][0].pop('embedding')
    with pytest.raises(UnifaceError, match='detect --embeddings'):
        format_people(photos, 0.4)
    assert format_people({}, 0.4).splitlines()[-1].startswith('0 faces')
