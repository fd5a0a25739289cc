import json
import zipfile

import numpy as np
import pytest
from rectangles import photo, predictor

from uniface_mx.deploy.gallery import Entry, Gallery, GalleryError, open_gallery
from uniface_mx.deploy.predictor import Face


def face(*vector):
    row = np.zeros(128, np.float32)
    row[: len(vector)] = np.array(vector) / np.linalg.norm(vector)
    return Face(np.zeros(4), 0.9, np.zeros((5, 2)), row)


@pytest.fixture
def gallery():
    gallery = Gallery('model')
    gallery.add('ann', 'a1', face(1, 0, 0))
    gallery.add('ann', 'a2', face(1, 0.1, 0))
    gallery.add('bob', 'b1', face(0, 1, 0))
    gallery.add('cid', 'c1', face(0, 0, 1))
    return gallery


def test_people(gallery):
    assert gallery.people() == {'ann': 2, 'bob': 1, 'cid': 1}
    assert len(gallery) == 4


def test_search_names_each_person_once(gallery):
    pytest.importorskip('faiss')
    first, second = gallery.search([face(4, 3, 0), face(0, 0, -1)], people=3)
    assert [(match.person, match.photo) for match in first] == [('ann', 'a2'), ('bob', 'b1'), ('cid', 'c1')]
    # (4, 3, 0) / 5 with (1, 0.1, 0) / sqrt(1.01), and with (0, 1, 0).
    assert [match.similarity for match in first] == pytest.approx([0.86 / np.sqrt(1.01), 0.6, 0], abs=1e-6)
    assert second[-1].person == 'cid' and second[-1].similarity == pytest.approx(-1)
    assert [len(matches) for matches in gallery.search([face(1)], people=1)] == [1]
    assert len(gallery.search([face(1)], people=50)[0]) == 3


def test_search_agrees_with_all_products():
    pytest.importorskip('faiss')
    random = np.random.RandomState(1)
    gallery = Gallery('model')
    for number in range(300):
        # One person has nearly all entries, so that the nearest neighbours are all theirs.
        gallery.add('many' if number % 20 else f'person{number}', str(number), face(*random.randn(128)))
    query = face(*random.randn(128))
    (matches,) = gallery.search([query], people=5)
    best = {}
    for entry, value in zip(gallery.entries, gallery.embeddings @ query.embedding):
        best[entry.person] = max(best.get(entry.person, -1), value)
    expected = sorted(best.items(), key=lambda item: -item[1])[:5]
    assert [match.person for match in matches] == [person for person, _ in expected]
    assert [match.similarity for match in matches] == pytest.approx(
        [value for _, value in expected], abs=1e-5
    )


def test_search_without_entries_or_faces(gallery):
    assert Gallery('model').search([face(1)]) == [[]]
    assert gallery.search([]) == []


def test_the_same_photo_again_replaces(gallery):
    gallery.add('ann', 'a1', face(0, 0, 0, 1))
    assert gallery.people()['ann'] == 2
    assert gallery.entries[-1] == Entry('ann', 'a1') and gallery.embeddings[-1, 3] == 1
    gallery.add('bob', 'a1', face(1))
    assert gallery.people() == {'ann': 2, 'bob': 2, 'cid': 1}


def test_remove(gallery):
    assert gallery.remove('ann') == 2
    assert gallery.entries == [Entry('bob', 'b1'), Entry('cid', 'c1')]
    assert gallery.embeddings[:, :3].tolist() == [[0, 1, 0], [0, 0, 1]]
    with pytest.raises(GalleryError, match="'ann' is not in the gallery"):
        gallery.remove('ann')
    with pytest.raises(GalleryError, match='needs a name'):
        gallery.add('', 'x', face(1))


def test_doubts(gallery):
    pytest.importorskip('faiss')
    assert gallery.doubts(0.9, 0.9) == []
    gallery.add('bob', 'b2', face(1, 0.05))
    doubts = gallery.doubts(0.9, 0.9)
    assert any(doubt.startswith('b2: bob is like ann') for doubt in doubts)
    assert 'b2: unlike all other photos of bob' in doubts and 'b1: unlike all other photos of bob' in doubts
    # The two photos of bob have a similarity of 0.05: each threshold tells of its own kind of doubt.
    assert all('unlike' in doubt for doubt in gallery.doubts(1.1, 0.9))
    assert all('is like' in doubt for doubt in gallery.doubts(0.9, 0.0))


def test_file(gallery, tmp_path):
    gallery.add('Zoë', 'photos/ü.jpg', face(1, 2, 3))
    gallery.save(tmp_path / 'people.npz')
    other = Gallery.load(tmp_path / 'people.npz', 'model')
    assert other.entries == gallery.entries and other.model == 'model'
    np.testing.assert_array_equal(other.embeddings, gallery.embeddings)
    assert [path.name for path in tmp_path.iterdir()] == ['people.npz']
    with np.load(str(tmp_path / 'people.npz'), allow_pickle=False) as file:
        assert sorted(file.files) == ['about', 'embeddings']
    Gallery('model').save(tmp_path / 'empty')
    assert len(Gallery.load(tmp_path / 'empty')) == 0


def test_another_model_is_refused(gallery, tmp_path):
    gallery.save(tmp_path / 'g')
    with pytest.raises(GalleryError, match='another model'):
        Gallery.load(tmp_path / 'g', 'other')
    with pytest.raises(GalleryError, match='another model'):
        open_gallery(tmp_path / 'g', predictor())
    assert open_gallery(tmp_path / 'new', predictor()).model == 'f' * 64


def damaged(gallery, path):
    """Files that look like a gallery and are none."""
    gallery.save(path)
    whole = path.read_bytes()
    yield b''
    yield b'no archive'
    yield whole[: len(whole) // 2]
    with np.load(str(path)) as file:
        embeddings, about = file['embeddings'], json.loads(file['about'].tobytes())
    for rows, told in (
        (embeddings[:-1], about),
        (embeddings * 2, about),
        (embeddings.astype(np.float64), about),
        (embeddings * np.nan, about),
        (embeddings, dict(about, format=2)),
        (embeddings, dict(about, entries=[[1]])),
        (embeddings, []),
        (embeddings, {}),
    ):
        np.savez(
            str(path.with_suffix('.npz')),
            embeddings=rows,
            about=np.frombuffer(json.dumps(told).encode(), np.uint8),
        )
        yield path.with_suffix('.npz').read_bytes()
    # Would be unpickled by a careless reader.
    np.savez(str(path.with_suffix('.npz')), embeddings=np.array([{}]), about=np.zeros(2, np.uint8))
    yield path.with_suffix('.npz').read_bytes()
    with zipfile.ZipFile(str(path), 'w') as archive:
        archive.writestr('other', 'x')
    yield path.read_bytes()


def test_damaged_files(gallery, tmp_path):
    contents = list(damaged(gallery, tmp_path / 'good'))
    assert len(contents) == 13
    for content in contents:
        (tmp_path / 'bad').write_bytes(content)
        with pytest.raises(GalleryError, match='bad: '):
            Gallery.load(tmp_path / 'bad')
    with pytest.raises(GalleryError, match='no such gallery'):
        Gallery.load(tmp_path / 'missing')


def test_faces_of_the_predictor(tmp_path):
    pytest.importorskip('faiss')
    find = predictor()
    gallery = open_gallery(tmp_path / 'g', find)
    for name, green in (('ann', 10), ('bob', 240)):
        gallery.add(name, name, find(photo(300, 300, (30, 30, 90, 90, 250, green)))[0])
    faces = find(photo(500, 400, (50, 50, 150, 150, 250, 20), (250, 250, 300, 300, 250, 230)))
    assert [matches[0].person for matches in gallery.search(faces)] == ['ann', 'bob']
