import pickle

import numpy as np
import pytest
from PIL import Image

from uniface_mx.data.sources import SOURCES, Source, SourceError, open_source
from uniface_mx.data.sources.base import annotated, check, image_size, stored_size
from uniface_mx.data.sources.lists import relative_key
from uniface_mx.errors import UnifaceError
from uniface_mx.image import read_image

FACE = (30, 30, 50, 30, 40, 42, 33, 52, 48, 52)


def memory(images, **common):
    """A source of given images."""
    images = {image.key: image for image in images}
    return Source('memory', images, images.__getitem__, 'memory', **common)


def test_right_annotations_pass_unchanged(write_image):
    path = write_image('a.png')
    image = annotated('a.png', path, [[20, 15, 60, 65]], [FACE], masked=[False], ignore=[True])
    checked, reasons = check(image)
    assert checked is image and not reasons
    assert image.boxes.dtype == image.landmarks.dtype == np.float32
    assert image.boxes.shape == (1, 4) and image.landmarks.shape == (1, 5, 2) and image.ignore.dtype == bool
    np.testing.assert_array_equal(image.landmarks[0, 2], [40, 42])


@pytest.mark.parametrize(
    'box',
    [
        [20, 20, 20, 40],
        [20, 20, 10, 40],
        [20, 20, 40, 20],
        [-30, 10, 0, 40],
        [100, 10, 140, 40],
        [10, 80, 40, 90],
        [10, -20, 40, 0],
    ],
)
def test_a_box_without_area_in_the_image_leaves_the_face_out(write_image, box):
    boxes = [[0, 0, 60, 60], box, [10, 10, 99, 79]]
    image = annotated(
        'a.png',
        write_image('a.png'),
        boxes,
        [FACE, FACE, FACE],
        masked=[True, False, False],
        ignore=[False, False, True],
        persons=('p', 'q', 'r'),
    )
    checked, reasons = check(image)
    np.testing.assert_array_equal(checked.boxes, [[0, 0, 60, 60], [10, 10, 99, 79]])
    assert checked.landmarks.shape == (2, 5, 2)
    assert checked.persons == ('p', 'r')
    assert checked.masked.tolist() == [True, False] and checked.ignore.tolist() == [False, True]
    assert len(reasons) == 1 and reasons[0].startswith('face 1: its box (')


def test_a_box_that_reaches_outside_is_kept_as_annotated(write_image):
    image = annotated('a.png', write_image('a.png'), [[-20, -10, 130, 95]])
    checked, reasons = check(image)
    assert not reasons
    np.testing.assert_array_equal(checked.boxes, [[-20, -10, 130, 95]])


def test_points_that_are_one_point(write_image):
    path, points = write_image('a.png'), np.full((5, 2), 30, np.float32)
    checked, reasons = check(annotated('a.png', path, [[0, 0, 100, 80]], points))
    assert len(checked.boxes) == 1 and np.isnan(checked.landmarks).all()
    assert len(reasons) == 1 and reasons[0].endswith('are one point')
    points[2, 1] = 31
    assert check(annotated('a.png', path, [[0, 0, 100, 80]], points))[1] == []


@pytest.mark.parametrize(
    'point, inside',
    [
        ((0, 0), True),
        ((100, 80), True),
        ((-0.5, 30), False),
        ((100.5, 30), False),
        ((30, 80.5), False),
        ((30, -1), False),
    ],
)
def test_points_outside_the_image(write_image, point, inside):
    points = np.reshape(FACE, (5, 2)).astype(np.float32)
    points[4] = point
    path = write_image('a.png')
    with_box, reasons = check(annotated('a.png', path, [[0, 0, 100, 80]], points))
    assert len(with_box.boxes) == 1
    assert bool(reasons) != inside
    assert np.isnan(with_box.landmarks).all() != inside
    without_box, reasons = check(annotated('a.png', path, None, [points, np.reshape(FACE, (5, 2))]))
    assert without_box.boxes is None
    assert len(without_box.landmarks) == (2 if inside else 1)
    np.testing.assert_array_equal(without_box.landmarks[-1].ravel(), FACE)


# The box is 40 wide and 50 high: points may lie 20 beyond its sides and 25 above and below it.
@pytest.mark.parametrize(
    'point, near',
    [
        ((10, 40), True),
        ((9, 40), False),
        ((90, 40), True),
        ((91, 40), False),
        ((40, 0), True),
        ((40, 95), True),
        ((40, 96), False),
    ],
)
def test_points_outside_their_box_by_more_than_half_its_side(write_image, point, near):
    points = np.reshape(FACE, (5, 2)).astype(np.float32)
    points[0] = point
    image = annotated('a.png', write_image('a.png', 100, 100), [[30, 20, 70, 70]], points)
    checked, reasons = check(image)
    assert bool(reasons) != near
    assert np.isnan(checked.landmarks).all() != near
    assert len(checked.boxes) == 1


def test_unknown_points_are_no_issue(write_image):
    image = annotated('a.png', write_image('a.png'), [[20, 15, 60, 65]], np.full((1, 5, 2), np.nan))
    assert check(image) == (image, [])


def test_an_image_whose_only_points_are_wrong_is_as_one_without_annotation(write_image):
    points = np.full((1, 5, 2), 500)
    checked, reasons = check(annotated('a.png', write_image('a.png'), None, points, persons=('x',)))
    assert checked.boxes is checked.landmarks is checked.persons is None
    assert len(reasons) == 1


def test_no_face_stays_no_face(write_image):
    checked, reasons = check(annotated('a.png', write_image('a.png'), []))
    assert checked.boxes.shape == (0, 4) and not reasons


@pytest.mark.parametrize('content', [None, b'', b'no image', b'\xff\xd8\xff\xe0\x00\x10JFIF'])
def test_an_image_without_a_readable_header_is_handed_on(tmp_path, content):
    path = tmp_path / 'a.jpg'
    if content is not None:
        path.write_bytes(content)
    assert stored_size(path) is None and image_size(path) is None
    boxes = [[900, 900, 950, 950], [5, 5, 5, 9]]
    points = [905, 915, 940, 915, 922, 925, 908, 940, 938, 940]
    checked, reasons = check(annotated('a.jpg', path, boxes, [points, FACE]))
    np.testing.assert_array_equal(checked.boxes, [[900, 900, 950, 950]])
    assert np.isfinite(checked.landmarks).all() and len(reasons) == 1


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.webp', '.tif'])
@pytest.mark.parametrize('orientation', [None, 1, 2, 3, 4, 5, 6, 7, 8])
def test_image_size_is_that_of_the_image_as_it_is_read(write_image, suffix, orientation):
    path = write_image('a' + suffix, 50, 20, orientation)
    height, width = read_image(path).shape[:2]
    assert image_size(path) == (width, height) == ((20, 50) if orientation in (5, 6, 7, 8) else (50, 20))
    assert stored_size(path) == (50, 20, orientation or 1)


def test_headers_are_read_without_decoding(tmp_path, write_image, monkeypatch):
    from PIL import ImageFile

    paths = [write_image('a' + suffix) for suffix in ('.png', '.jpg', '.webp', '.bmp')]

    def load(self):
        raise AssertionError('decoded')

    monkeypatch.setattr(ImageFile.ImageFile, 'load', load)
    assert [image_size(path) for path in paths] == [(100, 80)] * 4


def test_images_come_sorted_with_their_issues(write_image):
    path = write_image('a.png')
    good, bad = [1, 1, 9, 9], [0, 0, 0, 5]
    boxes = {'c': [bad, good], 'a': [bad, good], 'b': [good]}
    images = [annotated(key, path, boxes[key]) for key in 'cab']
    source = memory(images)
    assert source.issues == []
    assert [image.key for image in source] == ['a', 'b', 'c'] and len(source) == 3
    expected = [(key, 'face 0: its box (0, 0, 0, 5) has no area in the image') for key in 'ac']
    assert source.issues == expected
    assert [len(image.boxes) for image in source] == [1, 1, 1]
    assert source.issues == expected, 'a second pass must not count again'
    assert source[2].key == 'c'


@pytest.mark.parametrize(
    'part, keys', [('', 'abcde'), (':2', 'ab'), ('3:', 'de'), ('::2', 'ace'), ('-1:', 'e')]
)
def test_part(part, keys):
    assert ''.join(memory([annotated(key, key) for key in 'ecabd'], part=part).keys) == keys


@pytest.mark.parametrize('part', ['3', 'a:', '1:2:3:4', '::0', '1:x'])
def test_part_that_is_no_slice(part):
    with pytest.raises(SourceError, match='no slice'):
        memory([annotated('a', 'a')], part=part)


def test_no_image_left():
    with pytest.raises(SourceError, match='no image'):
        memory([annotated('a', 'a')], part='1:')


@pytest.mark.parametrize(
    'text, key',
    [
        ('a/b.jpg', 'a/b.jpg'),
        ('./a.jpg', 'a.jpg'),
        ('lfw_5590\\A_0001.jpg', 'lfw_5590/A_0001.jpg'),
        (' /a.jpg', 'a.jpg'),
    ],
)
def test_relative_key(text, key):
    assert relative_key(text, 'list:1') == key


@pytest.mark.parametrize('text', ['../a.jpg', 'a/../../b.jpg', '', '.', '..\\a.jpg'])
def test_relative_key_that_leaves_the_root(text):
    with pytest.raises(SourceError, match='list:1'):
        relative_key(text, 'list:1')


def test_open_source_options(write_image):
    root = write_image('set/a.png').parent
    source = open_source(f'folder:{root}?name=mine&licence=CC0&complete=1&teacher_box=no&part=:1')
    assert (source.kind, source.name, source.licence, source.complete, source.teacher_box) == (
        'folder',
        'mine',
        'CC0',
        True,
        False,
    )
    plain = open_source(f'folder:{root}')
    assert (plain.name, plain.licence, plain.complete, plain.teacher_box) == ('set', 'unknown', False, False)
    assert open_source(f'folder:{root}?name=a%26b=c').name == 'a&b=c'


@pytest.mark.parametrize(
    'spec, message',
    [
        ('photos', 'KIND:PATH'),
        ('nothing:here', 'folder, lfw, voc'),
        ('folder:', 'no path'),
        ('folder:x?colour=1', 'unknown option .colour.; folder has complete, faces'),
        ('lfw:x?faces=0', 'unknown option'),
        ('folder:x?complete=maybe', 'complete must be 0 or 1'),
        ('folder:/no/such/folder', '/no/such/folder: no such folder'),
    ],
)
def test_open_source_errors(spec, message):
    with pytest.raises(SourceError, match=message) as raised:
        open_source(spec)
    assert isinstance(raised.value, UnifaceError) and '\n' not in str(raised.value)


def test_every_kind_reports_a_missing_path(tmp_path):
    for kind in SOURCES:
        with pytest.raises(SourceError, match='missing'):
            open_source(f'{kind}:{tmp_path / "missing"}')


def test_sources_can_be_sent_to_other_processes(write_image):
    root = write_image('set/7_1.png').parent
    source = pickle.loads(pickle.dumps(open_source(rf'folder:{root}?pattern=^(?P<person>\d+)_')))
    assert [(image.key, image.person) for image in source] == [('7_1.png', '7')]


def test_a_png_is_not_read_as_a_jpeg(tmp_path):
    Image.new('L', (7, 9)).save(tmp_path / 'a.jpg', format='PNG')
    assert image_size(tmp_path / 'a.jpg') == (7, 9)
