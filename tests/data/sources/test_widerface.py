import numpy as np
import pytest

from uniface_mx.data.sources import SourceError, open_source

OFFICIAL = """0--Parade/0_Parade_marchingband_1_849.jpg
1
44 31 20 25 0 0 0 0 0 0
0--Parade/0_Parade_Parade_0_452.jpg
0
0 0 0 0 0 0 0 0 0 0
1--Handshaking/1_Handshaking_2.jpg
3
10 12 15 20 2 0 0 1 2 1
40 12 0 20 2 0 0 0 2 1
60 12 15 20 1 0 1 0 0 0
"""
# As in the official file, rows end with a blank.
OFFICIAL = OFFICIAL.replace(' 0\n', ' 0 \n').replace(' 1\n', ' 1 \n')
LABEL = """# 0--Parade/0_Parade_marchingband_1_849.jpg
44 31 20 25 48.9 38.4 0.0 59.1 38.1 0.0 54.2 45.0 0.0 49.5 50.5 1.0 58.5 50.2 0.0 0.82
# 1--Handshaking/1_Handshaking_2.jpg
10 12 15 20 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 0.0
60 12 15 20
"""


def test_official_text(tmp_path, write_image):
    for name in (
        '0--Parade/0_Parade_marchingband_1_849.jpg',
        '0--Parade/0_Parade_Parade_0_452.jpg',
        '1--Handshaking/1_Handshaking_2.jpg',
    ):
        write_image('WIDER_train/images/' + name)
    listed = tmp_path / 'wider_face_split/wider_face_train_bbx_gt.txt'
    listed.parent.mkdir()
    listed.write_text(OFFICIAL)
    empty, parade, handshaking = source = open_source(f'widerface:{listed}')
    assert empty.key == '0--Parade/0_Parade_Parade_0_452.jpg' and empty.boxes.shape == (0, 4)
    assert parade.path.is_file()
    np.testing.assert_array_equal(parade.boxes, [[44, 31, 64, 56]])
    assert parade.ignore.tolist() == [False] and parade.landmarks is None
    np.testing.assert_array_equal(handshaking.boxes, [[10, 12, 25, 32], [60, 12, 75, 32]])
    assert handshaking.ignore.tolist() == [True, False]
    assert [key for key, _ in source.issues] == ['1--Handshaking/1_Handshaking_2.jpg']
    assert source.complete and not source.teacher_box


def test_no_faces_without_a_row_of_zeros(tmp_path):
    listed = tmp_path / 'val.txt'
    listed.write_text('a.jpg\n0\nb.jpg\n1\n44 31 20 25 0 0 0 0 0 0\n')
    assert [len(image.boxes) for image in open_source(f'widerface:{listed}?root={tmp_path}')] == [0, 1]


def test_label_txt(tmp_path, write_image):
    write_image('images/0--Parade/0_Parade_marchingband_1_849.jpg')
    write_image('images/1--Handshaking/1_Handshaking_2.jpg')
    (tmp_path / 'label.txt').write_text(LABEL)
    parade, handshaking = source = open_source(f'widerface:{tmp_path / "label.txt"}')
    np.testing.assert_array_equal(parade.boxes, [[44, 31, 64, 56]])
    np.testing.assert_allclose(
        parade.landmarks, [[[48.9, 38.4], [59.1, 38.1], [54.2, 45], [49.5, 50.5], [58.5, 50.2]]]
    )
    np.testing.assert_array_equal(handshaking.boxes, [[10, 12, 25, 32], [60, 12, 75, 32]])
    assert np.isnan(handshaking.landmarks).all() and handshaking.landmarks.shape == (2, 5, 2)
    assert source.issues == []


def test_one_unknown_point_makes_the_set_unknown(tmp_path, write_image):
    write_image('images/a.jpg')
    (tmp_path / 'label.txt').write_text(
        '# a.jpg\n44 31 20 25 48.9 38.4 0.0 -1.0 -1.0 -1.0 54.2 45 0.0 49.5 50.5 1.0 58.5 50.2 0.0 0.82\n'
    )
    assert np.isnan(open_source(f'widerface:{tmp_path / "label.txt"}')[0].landmarks).all()


@pytest.mark.parametrize(
    'text, line',
    [
        ('a.jpg\n2\n1 2 3 4 0 0 0 0 0 0\n', 1),
        ('a.jpg\n', 1),
        ('a.jpg\nmany\n', 1),
        ('a.jpg\n1\n1 2 3 4\n', 3),
        ('a.jpg\n1\n1 2 3 x 0 0 0 0 0 0\n', 3),
        ('a.jpg\n0\na.jpg\n0\n', 3),
        ('# a.jpg\n1 2 3\n', 2),
        ('# a.jpg\n1 2 3 4 5 6 7 8 9 10\n', 2),
        ('# a.jpg\n# ../b.jpg\n', 2),
    ],
)
def test_malformed(tmp_path, text, line):
    (tmp_path / 'train.txt').write_text(text)
    with pytest.raises(SourceError, match=rf'train\.txt:{line}: '):
        open_source(f'widerface:{tmp_path / "train.txt"}')


def test_root_that_the_name_does_not_tell(tmp_path):
    (tmp_path / 'list.txt').write_text(OFFICIAL)
    with pytest.raises(SourceError, match='root='):
        open_source(f'widerface:{tmp_path / "list.txt"}')
