import numpy as np
import pytest

from uniface_mx.data.sources import SourceError, open_source

FOLD_1 = """2002/08/11/big/img_591
1
20.0 10.0 1.5707963267948966 50.0 40.0  1
2002/08/26/big/img_265
2
20.0 10.0 0.0 50.0 40.0  1
10.0 10.0 1.0 20.0 30.0  1
"""
FOLD_2 = """2002/07/19/big/img_423
1
20.0 10.0 0.0 50.0 40.0  1
"""


@pytest.fixture
def fddb(tmp_path, write_image):
    folds = tmp_path / 'FDDB-folds'
    folds.mkdir()
    for number, text in (('01', FOLD_1), ('02', FOLD_2)):
        (folds / (f'FDDB-fold-{number}-ellipseList.txt')).write_text(text)
        names = [line for line in text.split('\n') if line.startswith('2002')]
        (folds / (f'FDDB-fold-{number}.txt')).write_text('\n'.join(names) + '\n')
        for name in names:
            write_image(f'originalPics/{name}.jpg')
    return tmp_path


@pytest.mark.parametrize('below', ['', 'FDDB-folds'])
def test_ellipses(fddb, below):
    last, first, two = source = open_source(f'fddb:{fddb / below}')
    assert [image.key for image in source] == [
        '2002/07/19/big/img_423.jpg',
        '2002/08/11/big/img_591.jpg',
        '2002/08/26/big/img_265.jpg',
    ]
    assert all(image.path.is_file() for image in source)
    np.testing.assert_allclose(first.boxes, [[40, 20, 60, 60]], atol=1e-5)
    np.testing.assert_allclose(two.boxes, [[30, 30, 70, 50], [10, 20, 30, 40]], atol=1e-5)
    assert source.complete and source.teacher_box and 'evaluation' in source.licence and source.issues == []


def test_one_fold(fddb):
    assert open_source(f'fddb:{fddb}?fold=2').keys == ['2002/07/19/big/img_423.jpg']
    assert len(open_source(f'fddb:{fddb}?fold=01')) == 2
    with pytest.raises(SourceError, match='fold 3'):
        open_source(f'fddb:{fddb}?fold=3')


def test_other_image_folder(fddb, tmp_path):
    (fddb / 'originalPics').rename(tmp_path / 'pictures')
    assert open_source(f'fddb:{fddb}?root={tmp_path / "pictures"}')[0].path.is_file()


@pytest.mark.parametrize(
    'old, new, line',
    [
        ('\n1\n', '\n2\n', 4),
        ('\n1\n', '\nmany\n', 1),
        ('20.0 10.0 0.0 50.0', '20.0 10.0 0.0', 6),
        ('20.0 10.0 0.0', '20.0 wide 0.0', 6),
        ('img_265\n2', 'img_265\n5', 4),
        ('2002/08/26/big/img_265', '../x', 4),
    ],
)
def test_malformed(fddb, old, new, line):
    listed = fddb / 'FDDB-folds/FDDB-fold-01-ellipseList.txt'
    (fddb / 'FDDB-folds/FDDB-fold-01.txt').unlink()
    listed.write_text(FOLD_1.replace(old, new))
    with pytest.raises(SourceError, match=rf'FDDB-fold-01-ellipseList\.txt:{line}: '):
        open_source(f'fddb:{fddb}')


def test_lists_that_disagree(fddb):
    (fddb / 'FDDB-folds/FDDB-fold-02.txt').write_text('2002/07/19/big/img_424\n')
    with pytest.raises(SourceError, match='FDDB-fold-02.txt: not the images of FDDB-fold-02-ellipseList.txt'):
        open_source(f'fddb:{fddb}')


def test_an_image_in_two_folds(fddb):
    for name in ('FDDB-fold-02.txt', 'FDDB-fold-02-ellipseList.txt'):
        (fddb / 'FDDB-folds' / name).write_text((fddb / 'FDDB-folds' / name.replace('02', '01')).read_text())
    with pytest.raises(SourceError, match='listed twice'):
        open_source(f'fddb:{fddb}')


def test_real_folds(real_data):
    source = open_source(f'fddb:{real_data / "fddb/FDDB-folds"}')
    assert len(source) == 2845 and sum(len(image.boxes) for image in source) == 5171
    folds = [open_source(f'fddb:{real_data}/fddb?fold={fold}') for fold in range(1, 11)]
    assert sum(map(len, folds)) == 2845


def test_real_crops(real_data):
    source = open_source(f'fddb:{real_data / "fddb/crops"}?name=FDDB-crops')
    assert len(source) == 1444 and sum(len(image.boxes) for image in source) == 1778
    assert source.issues == [] and all(image.path.is_file() for image in source)
