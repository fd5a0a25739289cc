import pytest

from uniface_mx.data.sources import SourceError, open_source


@pytest.fixture
def photos(write_image, tmp_path):
    for name in ('7/a.jpg', '7/b.JPEG', '12/a.png', 'c.jpg', '.hidden/d.jpg', '12/.e.jpg'):
        write_image('photos/' + name)
    (tmp_path / 'photos/notes.txt').write_text('no image')
    (tmp_path / 'photos/a.jpg.part').write_text('no image yet')
    return tmp_path / 'photos'


def test_flat(photos):
    source = open_source(f'folder:{photos}')
    assert [image.key for image in source] == ['12/a.png', '7/a.jpg', '7/b.JPEG', 'c.jpg']
    assert all(image.path == photos / image.key and image.path.is_file() for image in source)
    assert all(image.person is image.boxes is image.landmarks is None for image in source)


def test_one_folder_a_person(photos):
    source = open_source(f'folder:{photos}?person=folder')
    assert [image.person for image in source] == ['12', '7', '7', None]


@pytest.mark.parametrize(
    'names, pattern, people',
    [
        (('0000045/001.jpg', 'x/1.jpg'), r'^(?P<person>\d{7})/', ['0000045']),
        (('celeba/10_000123.jpg', 'celeba/9_000001.jpg'), r'(?P<person>[0-9]+)_[0-9]+\.jpg$', ['10', '9']),
        (('26_0_4_20170117200025445.jpg.chip.jpg', 'list.jpg'), r'^\d+_\d_\d_\d+', [None]),
        (('pic00001.jpg', 'thumb_pic00001.jpg'), '^pic', [None]),
    ],
)
def test_pattern(write_image, tmp_path, names, pattern, people):
    for name in names:
        write_image('set/' + name)
    source = open_source(f'folder:{tmp_path / "set"}?pattern={pattern}')
    assert [image.person for image in source] == people


def test_photos_without_faces(photos):
    source = open_source(f'folder:{photos}?faces=0')
    assert all(image.boxes.shape == (0, 4) for image in source) and not source.complete


@pytest.mark.parametrize(
    'query, message',
    [
        ('person=name', 'person=folder'),
        ('person=folder&pattern=a', 'person=folder'),
        ('pattern=(', 'pattern'),
        ('pattern=nothing_like_it', 'no image found'),
    ],
)
def test_bad_options(photos, query, message):
    with pytest.raises(SourceError, match=message):
        open_source(f'folder:{photos}?{query}')


def test_lfw(write_image, tmp_path):
    for name in (
        'lfw/Ann_Lee/Ann_Lee_0001.jpg',
        'lfw/Ann_Lee/Ann_Lee_0012.jpg',
        'lfw/Ann_Lee/cover.jpg',
        'lfw/Bo/Bo_0001.jpg',
        'lfw/Bo/Ann_Lee_0001.jpg',
    ):
        write_image(name)
    source = open_source(f'lfw:{tmp_path}')
    assert [(image.key, image.person) for image in source] == [
        ('lfw/Ann_Lee/Ann_Lee_0001.jpg', 'Ann_Lee'),
        ('lfw/Ann_Lee/Ann_Lee_0012.jpg', 'Ann_Lee'),
        ('lfw/Bo/Bo_0001.jpg', 'Bo'),
    ]
    assert 'evaluation' in source.licence


def test_real_lfw(real_data):
    source = open_source(f'lfw:{real_data / "lfw"}')
    assert len(source) == 7701
    assert source[0].person == 'AJ_Lamas' and source[0].path.is_file()


def test_real_celeba_photos(real_data):
    source = open_source(f'folder:{real_data / "celeba_photos/images"}?person=folder')
    assert len(source) == 5115 and len({image.person for image in source}) == 240


def test_real_celeba_samples(real_sets):
    source = open_source(rf'folder:{real_sets}/celeba_samples?pattern=(?P<person>\d+)_\d+\.jpg$')
    assert len(source) == 46450 and source[0].person == '10000'
