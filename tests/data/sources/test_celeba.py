import numpy as np
import pytest

from uniface_mx.data.sources import SourceError, open_source

HEADER = (
    '3\nlefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y '
    'rightmouth_x rightmouth_y\n'
)
LISTS = {
    'Anno/list_bbox_celeba.txt': '3\nimage_id x_1 y_1 width height\n'
    '000001.jpg    20  10  40  60\n000002.jpg    0   0   0   0\n000003.jpg    30  20  50  50\n',
    'Anno/list_landmarks_celeba.txt': HEADER + '000001.jpg 30   31    50  32   40   43   33   54   48   55\n'
    '000002.jpg 30   31    50  32   40   43   33   54   48   55\n'
    '000003.jpg 40   31    60  32   50   43   43   54   58   55\n',
    'Anno/list_landmarks_align_celeba.txt': HEADER + '000001.jpg 69  60  106  61   77  70   73  75  99  76\n'
    '000002.jpg 69  60  106  61   77  70   73  75  99  76\n'
    '000003.jpg 69  60  106  61   77  70   73  75  99  76\n',
    'Anno/identity_CelebA.txt': '000001.jpg 2880\n000002.jpg 2937\n000003.jpg 8692\n',
    'Eval/list_eval_partition.txt': '000001.jpg 0\n000002.jpg 1\n000003.jpg 2\n',
}


@pytest.fixture
def celeba(tmp_path, write_image):
    for name, text in LISTS.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    for number in (1, 2, 3):
        write_image(f'Img/img_celeba/00000{number}.jpg')
        write_image(f'Img/img_align_celeba/00000{number}.jpg', 178, 218)
    return tmp_path


def test_in_the_wild(celeba):
    first, second, third = source = open_source(f'celeba:{celeba}')
    assert first.key == '000001.jpg' and first.path == celeba / 'Img/img_celeba/000001.jpg'
    np.testing.assert_array_equal(first.boxes, [[20, 10, 60, 70]])
    np.testing.assert_array_equal(first.landmarks, [[[30, 31], [50, 32], [40, 43], [33, 54], [48, 55]]])
    assert first.persons == ('2880',) and third.persons == ('8692',)
    assert second.boxes.shape == (0, 4) and second.persons == ()
    assert [key for key, _ in source.issues] == ['000002.jpg']
    assert source.teacher_box and not source.complete and source.name == 'celeba'


def test_aligned(celeba):
    source = open_source(f'celeba:{celeba}?aligned=1')
    assert source[1].boxes is None and source[1].persons == ('2937',) and source[1].path.is_file()
    np.testing.assert_array_equal(source[1].landmarks, [[[69, 60], [106, 61], [77, 70], [73, 75], [99, 76]]])
    assert source.issues == [] and len(list(source)) == 3


@pytest.mark.parametrize(
    'split, key', [('train', '000001.jpg'), ('val', '000002.jpg'), ('test', '000003.jpg')]
)
def test_split(celeba, split, key):
    assert open_source(f'celeba:{celeba}?split={split}').keys == [key]


def test_lists_beside_the_images(celeba):
    for name in LISTS:
        (celeba / name).rename(celeba / name.split('/')[1])
    assert len(open_source(f'celeba:{celeba}?images=Img/img_celeba&split=train')) == 1


@pytest.mark.parametrize(
    'name, old, new, message',
    [
        ('Anno/list_bbox_celeba.txt', '40  60', '40', r'list_bbox_celeba\.txt:3: '),
        (
            'Anno/list_bbox_celeba.txt',
            '000003.jpg    30  20  50  50\n',
            '',
            r"list_bbox_celeba\.txt:1: '3' images",
        ),
        ('Anno/list_bbox_celeba.txt', '000003.jpg', '000004.jpg', '000003.jpg is missing in list_bbox'),
        (
            'Anno/list_landmarks_celeba.txt',
            '48   55\n000002',
            '48   x\n000002',
            r'list_landmarks_celeba\.txt:3: ',
        ),
        ('Anno/identity_CelebA.txt', '2937', 'Ann', r'identity_CelebA\.txt:2: '),
    ],
)
def test_malformed(celeba, name, old, new, message):
    text = (celeba / name).read_text()
    assert old in text
    (celeba / name).write_text(text.replace(old, new))
    with pytest.raises(SourceError, match=message):
        open_source(f'celeba:{celeba}')


def test_missing_files_and_options(celeba):
    with pytest.raises(SourceError, match='split=dev'):
        open_source(f'celeba:{celeba}?split=dev')
    (celeba / 'Anno/identity_CelebA.txt').unlink()
    with pytest.raises(SourceError, match='identity_CelebA.txt'):
        open_source(f'celeba:{celeba}')
