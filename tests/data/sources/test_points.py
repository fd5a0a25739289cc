import numpy as np
import pytest

from uniface_mx.data.sources import SourceError, open_source

POINTS = [[30, 31], [50, 32], [40, 43], [33, 54], [48, 55]]


def test_pairs(tmp_path, write_image):
    write_image('pictures/net/0_0_0.jpg')
    write_image('pictures/net/two words.jpg')
    (tmp_path / 'list.txt').write_text(
        '# image, then x y of the five points\n'
        'net/two words.jpg 30 31 50 32 40 43 33 54 48 55\n\n'
        'net/0_0_0.jpg 30.00 31.00 50.00 32.00 40.00 43.00 33.00 54.00 48.00 55.00\n'
        'net/0_0_0.jpg 31 31 51 32 41 43 34 54 49 55\n'
    )
    source = open_source(f'points:{tmp_path / "list.txt"}?root={tmp_path / "pictures"}')
    first, second = source
    assert (source.name, first.key, second.key) == ('list', 'net/0_0_0.jpg', 'net/two words.jpg')
    assert first.boxes is None and first.path.is_file()
    np.testing.assert_array_equal(first.landmarks, [POINTS, np.add(POINTS, (1, 0))])
    np.testing.assert_array_equal(second.landmarks, [POINTS])


def test_mtfl(tmp_path, write_image):
    write_image('lfw_5590/Aaron_0001.jpg')
    write_image('AFLW/0001.jpg')
    (tmp_path / 'training.txt').write_text(
        ' lfw_5590\\Aaron_0001.jpg 30 50 40 33 48 31 32 43 54 55 1 1 2 3\r\n'
        'AFLW/0001.jpg 30 50 40 33 48 31 32 43 54 55\r\n \r\n'
    )
    source = open_source(f'points:{tmp_path / "training.txt"}?order=mtfl&name=mtfl')
    assert source.keys == ['AFLW/0001.jpg', 'lfw_5590/Aaron_0001.jpg'] and source.name == 'mtfl'
    for image in source:
        np.testing.assert_array_equal(image.landmarks, [POINTS])
        assert image.path.is_file()


def test_points_outside_are_listed(tmp_path, write_image):
    write_image('a.jpg')
    (tmp_path / 'list.txt').write_text(
        'a.jpg 30 31 150 32 40 43 33 54 48 55\na.jpg 30 31 50 32 40 43 33 54 48 55\n'
    )
    source = open_source(f'points:{tmp_path / "list.txt"}')
    np.testing.assert_array_equal(source[0].landmarks, [POINTS])
    ((key, reason),) = source.issues
    assert key == 'a.jpg' and reason.startswith('face 0: its points (30, 31, 150') and '100x80' in reason


@pytest.mark.parametrize(
    'order, line',
    [
        ('xy', 'a.jpg 1 2 3 4 5 6 7 8 9'),
        ('xy', 'a.jpg'),
        ('xy', 'a.jpg 1 2 3 4 5 6 7 8 9 inf'),
        ('xy', 'a.jpg 1 2 3 4 x 6 7 8 9 10'),
        ('mtfl', 'a.jpg 1 2 3 4 5 6 7 8 9'),
        ('mtfl', 'a.jpg 1 2 3 4 5 6 7 8 9 x 1'),
        ('xy', '1 2 3 4 5 6 7 8 9 10'),
        ('xy', '../a.jpg 1 2 3 4 5 6 7 8 9 10'),
    ],
)
def test_malformed(tmp_path, order, line):
    (tmp_path / 'list.txt').write_text(f'ok.jpg 1 2 3 4 5 6 7 8 9 10\n\n{line}\n')
    with pytest.raises(SourceError, match=r'list\.txt:3: '):
        open_source(f'points:{tmp_path / "list.txt"}?order={order}')


def test_bad_files(tmp_path):
    (tmp_path / 'empty.txt').write_text('# nothing\n')
    with pytest.raises(SourceError, match='no image found'):
        open_source(f'points:{tmp_path / "empty.txt"}')
    (tmp_path / 'picture.txt').write_bytes(b'\xff\xd8\xff\xe0')
    with pytest.raises(SourceError, match='no text file'):
        open_source(f'points:{tmp_path / "picture.txt"}')
    with pytest.raises(SourceError, match='order=yx'):
        open_source(f'points:{tmp_path / "empty.txt"}?order=yx')


@pytest.mark.parametrize('name, count', [('aflw_test', 2995), ('net_train', 5849)])
def test_real_lists(real_data, name, count):
    source = open_source(f'points:{real_data / "landmarks" / (name + ".txt")}?order=mtfl')
    landmarks = np.concatenate([image.landmarks for image in source])
    assert len(landmarks) == count and source.issues == []
    left_eye, right_eye, _, left_mouth, right_mouth = landmarks.mean(0)
    assert left_eye[0] < right_eye[0] and left_mouth[0] < right_mouth[0] and left_eye[1] < left_mouth[1]


def test_real_net_7876(real_data, real_sets):
    listed = real_data / 'landmarks/net_7876_points.txt'
    source = open_source(f'points:{listed}?root={real_sets}/net_7876')
    assert len(source) == 7876
    assert sum(len(image.landmarks) for image in source) == 7876 and source.issues == []
