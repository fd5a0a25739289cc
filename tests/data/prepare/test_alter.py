import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools import prepare_data
from uniface_mx.data.prepare.alter import LIST, Changes, alter, draw_changes, turned, write_altered
from uniface_mx.errors import UnifaceError

RNG = np.random.default_rng(0)
IMAGE = np.full((80, 100, 3), 100, np.uint8)
BOX = np.array([30.0, 20, 70, 60])


def seen(changes, point, middle=(0.0, 0.0), distance=100.0):
    x, y, w = turned(changes, np.array(middle), distance) @ (*point, 1)
    return x / w, y / w


def test_turns_by_hand():
    assert seen(Changes(roll=90), (10, 0)) == pytest.approx((0, 10))
    # cos 60 = 0.5; the right edge comes nearer by sin 60 = 0.8660 of its distance from the axis.
    assert seen(Changes(yaw=60), (10, 0)) == pytest.approx((5 / (1 - 0.08660254), 0))
    assert seen(Changes(pitch=60), (0, 10)) == pytest.approx((0, 5 / (1 + 0.08660254)))
    assert seen(Changes(yaw=30, pitch=20, roll=10), (7, 9), middle=(7, 9)) == pytest.approx((7, 9))


def test_no_change():
    assert alter(IMAGE, BOX, Changes(), RNG) is IMAGE


def test_a_face_turned_stays_where_it_is():
    image = IMAGE.copy()
    image[38:42, 48:52] = 255
    image = alter(image, BOX, Changes(yaw=40, pitch=-20, roll=30), RNG)
    rows, columns = np.nonzero(image[..., 0] > 180)
    assert (columns.mean() + 0.5, rows.mean() + 0.5) == pytest.approx((50, 40), abs=0.5)


def test_light_by_hand():
    # 100 / 255 squared, times 255.
    assert (alter(IMAGE, BOX, Changes(gamma=2), RNG) == 39).all()
    shaded = alter(IMAGE, BOX, Changes(shade=0.5, direction=0), RNG)
    # At the box's edges, 20 pixels from its middle, half of the light is gone, or added; half a pixel from
    # the middle 1/80.
    assert shaded[0, [0, 29, 49, 50, 70, 99], 0].tolist() == [50, 50, 99, 101, 150, 150]
    assert (alter(IMAGE, BOX, Changes(shade=0.5, direction=90), RNG)[60:] == 150).all()


def test_quality():
    image = np.zeros((80, 100, 3), np.uint8)
    image[:, ::2] = 200
    # The face is 40 high: at 20 a column in two is left, which averages both.
    reduced = alter(image, BOX, Changes(height=20), RNG)
    assert np.abs(reduced.astype(int) - 100).max() <= 1
    assert np.array_equal(alter(image, BOX, Changes(height=41), RNG), image)
    assert alter(IMAGE, BOX, Changes(noise=10), RNG).astype(float).std() == pytest.approx(10, rel=0.1)
    assert not np.array_equal(alter(image, BOX, Changes(quality=10), RNG), image)


@given(st.integers(0, 2**32 - 1))
def test_something_is_changed_and_nothing_beyond_its_limits(seed):
    changes = draw_changes(np.random.default_rng(seed))
    assert changes != Changes()
    assert abs(changes.yaw) <= 40 and abs(changes.pitch) <= 25 and abs(changes.roll) <= 35
    assert 0.4 <= changes.gamma <= 2.5 and 0 <= changes.shade <= 0.7
    assert changes.height == 0 or 24 <= changes.height <= 80
    assert changes == draw_changes(np.random.default_rng(seed))


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_photos_are_made_once_and_the_same_way(prepared, tmp_path):
    out = tmp_path / 'altered'
    assert write_altered([prepared], out, 5, 3) == 5
    made = files(out)
    rows = [line.split('\t') for line in made[LIST].decode().splitlines()]
    assert [row[0] for row in rows] == sorted(set(made) - {LIST}) and len(rows[0]) == 2 + len(Changes())
    (out / rows[0][0]).unlink()
    assert write_altered([prepared], out, 5, 3) == 5
    assert files(out) == made
    others = made[LIST].replace(b'photos/', b'pictures/')
    (out / LIST).write_bytes(others)
    with pytest.raises(UnifaceError, match='3_000000.jpg: was made of something else'):
        write_altered([prepared], out, 5, 3)
    assert files(out) == dict(made, **{LIST: others})


def test_no_record(tmp_path, prepared, capsys):
    with pytest.raises(UnifaceError, match='at least 1 of the records'):
        write_altered([], tmp_path / 'out', 2, 0)
    assert prepare_data.main(['alter', prepared, '--out', str(tmp_path / 'out'), '--count', '2']) == 0
    assert 'make --source folder:' in capsys.readouterr().out
