import cv2
import numpy as np
import pytest
from rectangles import photo, write_video

from uniface_mx.errors import UnifaceError
from uniface_mx.image import write_image
from uniface_mx.photos import Video, batches, find_photos, read_photos


@pytest.fixture
def folder(tmp_path):
    for name in ('b/1.jpg', 'a/1.png', 'a/1.jpg', 'a/c/2.JPG', '.hidden/3.jpg', 'a/.4.jpg'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(cv2.imencode('.png', photo(20, 10))[1].tobytes())
    (tmp_path / 'notes.txt').write_text('not a photo')
    return tmp_path


def test_find_photos(folder):
    def names(*arguments):
        return [(str(path.relative_to(folder)), name) for path, name in find_photos(map(str, arguments))]

    below = [('a/1.jpg', 'a/1'), ('a/1.png', 'a/1-2'), ('a/c/2.JPG', 'a/c/2'), ('b/1.jpg', 'b/1')]
    assert names(folder) == below
    assert names(folder / '*' / '1.*') == [('a/1.jpg', '1'), ('a/1.png', '1-2'), ('b/1.jpg', '1-3')]
    assert names(folder / '**' / '*.JPG') == [('a/c/2.JPG', '2')]
    assert names(folder / 'notes.txt', folder / 'b') == [('notes.txt', 'notes'), ('b/1.jpg', '1')]
    assert names(folder / 'missing*.jpg') == [('missing*.jpg', 'missing*')]


def test_brackets_in_the_name_of_a_file_are_no_pattern(tmp_path):
    write_image(tmp_path / 'a[1].png', photo(5, 5))
    assert find_photos([str(tmp_path / 'a[1].png')])[0].path == tmp_path / 'a[1].png'


def test_names_stay_unique(folder):
    (folder / 'a' / '1-2.jpg').write_bytes(b'')
    names = [name for _, name in find_photos([str(folder), str(folder), str(folder / 'a')])]
    assert len(set(names)) == len(names) == 14


def test_a_folder_without_photos(tmp_path):
    with pytest.raises(UnifaceError, match='no photo in this folder'):
        find_photos([str(tmp_path)])


def test_unreadable_photos_are_skipped(folder):
    skipped = {}
    photos = find_photos([str(folder / 'notes.txt'), str(folder / 'b'), str(folder / 'missing.jpg')])
    read = list(read_photos(photos, skipped))
    assert [(entry.name, image.shape) for entry, image in read] == [('1', (10, 20, 3))]
    assert sorted(skipped) == [str(folder / 'missing.jpg'), str(folder / 'notes.txt')]
    assert 'no such file' in skipped[str(folder / 'missing.jpg')]


def test_batches_hold_few_large_images():
    items = [(number, photo(10, 10)) for number in range(7)]
    assert [[number for number, _ in batch] for batch in batches(items, 3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [len(batch) for batch in batches(items, 5, pixels=150)] == [2, 2, 2, 1]
    assert list(batches([], 3)) == []


def test_video(tmp_path):
    colours = [np.full((30, 40, 3), (40 * number, 0, 0), np.uint8) for number in range(5)]
    numbers, seconds, frames = zip(*Video(str(write_video(tmp_path / 'v.avi', colours))))
    assert numbers == (0, 1, 2, 3, 4)
    assert seconds == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert abs(int(frames[4][15, 20, 0]) - 160) < 6 and frames[4][15, 20, 2] < 6


def test_no_video(tmp_path):
    (tmp_path / 'v.mp4').write_text('no video')
    for name in ('v.mp4', 'missing.mp4'):
        with pytest.raises(UnifaceError, match=name + ': cannot be opened as a video'):
            Video(str(tmp_path / name))
