import numpy as np
import pytest

from tools import prepare_data
from uniface_mx.data.prepare.morph import apart, morph, morphs
from uniface_mx.data.prepare.portraits import LIST, Portrait, portrait, write_photos
from uniface_mx.data.records import RecordReader
from uniface_mx.errors import UnifaceError
from uniface_mx.image import read_image

POINTS = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])


def painted(width, height, box, ground, skin, bend=0.0):
    """A face of one colour, black at the landmarks, of which the nose is `bend` box sides to the right."""
    left, top, right, bottom = box
    image = np.full((height, width, 3), ground, np.uint8)
    image[top:bottom, left:right] = skin
    # A few brighter and darker pixels, or there would be no deviation to match.
    image[top : top + 4, left:right] = np.add(skin, 20)
    points = np.array([left, top]) + (POINTS + [[0, 0], [0, 0], [bend, 0], [0, 0], [0, 0]]) * [
        right - left,
        bottom - top,
    ]
    for x, y in np.round(points).astype(int):
        image[y - 3 : y + 3, x - 3 : x + 3] = 0
    return Portrait(image, np.array(box, float), points)


FIRST = painted(200, 160, (40, 20, 120, 120), 200, (180, 120, 100))
SECOND = painted(120, 150, (10, 30, 110, 140), 30, (90, 60, 50), bend=0.1)


def test_nothing_of_the_second_face_and_the_same_face_change_nothing():
    assert np.array_equal(morph(FIRST, SECOND, 0.0), FIRST.image)
    assert np.abs(morph(FIRST, FIRST, 0.7).astype(int) - FIRST.image).max() <= 1


def test_the_second_face_lies_on_the_first_ones_landmarks():
    image = morph(FIRST, SECOND, 1.0)
    for x, y in FIRST.landmarks:
        assert image[int(y), int(x)].max() < 30
    # Beside the nose, where SECOND's nose would be if it were not bent, is skin of the first face's colour.
    x, y = FIRST.landmarks[2] + [12, 0]
    assert np.abs(image[int(y), int(x)].astype(int) - (180, 120, 100)).max() < 25
    # Outside the ellipse nothing changes.
    changed = (image != FIRST.image).any(axis=2)
    rows, columns = np.nonzero(changed)
    radius = np.hypot((columns + 0.5 - 80) / 80, (rows + 0.5 - 70) / 100)
    assert changed.any() and radius.max() < 0.48


def test_halves():
    whole, half = (morph(FIRST, SECOND, share).astype(int) for share in (1.0, 0.5))
    assert np.abs(half - (whole + FIRST.image) / 2).max() <= 1


def test_a_face_cut_by_the_border_of_its_photo():
    cut = Portrait(SECOND.image[:, 40:], SECOND.box - [40, 0, 40, 0], SECOND.landmarks - [40, 0])
    image = morph(FIRST, cut, 1.0)
    # Of what the second photo does not show the first face is kept.
    assert np.array_equal(image[60:70, 42:50], FIRST.image[60:70, 42:50])
    assert not np.array_equal(image, FIRST.image)


def test_apart():
    turned = FIRST.landmarks @ np.array([[0.0, 2.0], [-2.0, 0.0]]) + 7
    assert apart(FIRST.landmarks, turned) == pytest.approx(0, abs=1e-9)
    square = np.array([[0.0, 0.0], [2, 0], [1, 1], [0, 2], [2, 2]])
    # The mean moves by (0.2, 0), and the best scale is 8 / 8.8: corners lie (1, 1) / 11 and (3, 1) / 11 off, the nose
    # 8 / 11.
    expected = (2 * np.hypot(1, 1) + 2 * np.hypot(3, 1) + 8) / 11 / 5 / 2
    assert apart(square, square + [[0, 0], [0, 0], [1, 0], [0, 0], [0, 0]]) == pytest.approx(expected)


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_photos_are_made_once_and_the_same_way(prepared, tmp_path):
    out = tmp_path / 'morphs'
    count = write_photos(out, 6, 3, morphs([prepared]))
    made = files(out)
    assert 0 < count <= 6 and len(made) == count + 1
    rows = [line.split('\t') for line in made[LIST].decode().splitlines()]
    assert [row[0] for row in rows] == sorted(set(made) - {LIST})
    reader = RecordReader(prepared)
    by_name = {f'{record.source}/{record.key}': record for record in reader}
    for name, first, second, share in rows:
        assert first != second and 0.35 <= float(share) <= 0.65
        assert read_image(out / name).shape == portrait(by_name[first]).image.shape
    (out / rows[0][0]).unlink()
    (out / LIST).write_text('\n'.join('\t'.join(row) for row in rows[:-1]) + '\n')
    (out / rows[-1][0]).write_bytes(b'half')
    assert write_photos(out, 6, 3, morphs([prepared])) == count
    assert files(out) == made
    others = write_photos(out, 6, 4, morphs([prepared]))
    assert len(files(out)) == len(made) + others and files(out)[LIST].startswith(made[LIST])


def test_too_few_records(prepared, tmp_path, capsys):
    with pytest.raises(UnifaceError, match='at least 2 of the records'):
        morphs([])
    assert prepare_data.main(['morph', str(tmp_path / 'nothing'), '--out', str(tmp_path / 'out')]) == 2
    assert 'nothing' in capsys.readouterr().err
    assert prepare_data.main(['morph', prepared, '--out', str(tmp_path / 'out'), '--count', '2']) == 0
    assert 'make --source folder:' in capsys.readouterr().out
