import json
import time

import numpy as np
import pytest

from tools import benchmark
from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation import benchmark as speed
from uniface_mx.evaluation.results import read_result
from uniface_mx.image import write_image


def plain(value, width=30, height=40):
    return np.full((height, width, 3), value, np.uint8)


@pytest.mark.parametrize(
    'faces, height, width', [(1, 40, 30), (2, 40, 60), (4, 80, 60), (5, 80, 90), (8, 120, 90), (16, 160, 120)]
)
def test_crowd(faces, height, width):
    photo = speed.crowd([plain(10 * (n + 1)) for n in range(16)], faces)
    assert photo.shape == (height, width, 3)
    assert sorted(set(photo[photo > 0])) == [10 * (n + 1) for n in range(faces)]


def test_portraits_of_several_sizes():
    photo = speed.crowd([plain(10), plain(20, 77, 11)], 2)
    assert photo.shape == (40, 60, 3) and (photo[:, 30:] == 20).all()


def test_no_face_is_left_without_faces():
    portrait = np.random.RandomState(0).randint(0, 255, (80, 80, 3), dtype=np.uint8)
    photo = speed.crowd([portrait], 0)
    assert photo.shape == portrait.shape
    assert (photo.reshape(8, 10, 8, 10, 3) == photo[::10, ::10].reshape(8, 1, 8, 1, 3)).all()


def test_shrunk():
    assert speed.shrunk(plain(1, 600, 200)).shape == (100, 300, 3)
    assert speed.shrunk(plain(1, 100, 200)).shape == (300, 150, 3)


def test_every_portrait_is_used():
    photos = speed.crowds([plain(n) for n in range(1, 6)], 2, 5)
    assert [sorted(set(photo.ravel())) for photo in photos] == [[1, 2], [3, 4], [1, 5], [2, 3], [4, 5]]


class Sleeper:
    def __init__(self, name, seconds):
        self.system, self.backend, self.batch, self.seconds, self.seen = name, 'sleep', 1, seconds, []

    def run(self, photos, paths, faces):
        self.seen.append([photo.shape for photo in photos])
        for path, photo in zip(paths, photos):
            np.testing.assert_array_equal(np.load(path), photo)
        time.sleep(self.seconds)
        return len(photos) * faces


def test_measure():
    systems = [Sleeper('slow', 0.2), Sleeper('fast', 0.05)]
    slow, fast = speed.measure(systems, [plain(n) for n in range(1, 6)], 2, 'own', count=3, rounds=2)
    assert (slow['system'], slow['faces'], slow['size'], slow['faces_found']) == ('slow', 2, 'own', 2)
    assert len(slow['rounds']) == 2 and 0 < slow['images_per_second'] < 15
    assert fast['images_per_second'] < 60
    # Once to get ready, and twice measured.
    assert systems[0].seen == [[(40, 60, 3)] * 3] * 3
    speed.measure(systems, [plain(1)], 1, '300', count=1, rounds=1)
    assert systems[1].seen[-1] == [(300, 225, 3)]


def test_table():
    rows = [
        dict(system='a', backend='mxnet', batch=1, faces=n, size='own', images_per_second=n + 0.5)
        for n in (2, 1)
    ]
    head, line = speed.speed_table(rows, 'own')
    assert head.split()[-4:] == ['1', 'faces', '2', 'faces']
    assert line.split() == ['a,', 'mxnet', '1', '1.5', '2.5']
    assert len(speed.speed_table(rows, '300')) == 1


@pytest.fixture
def portraits(tmp_path):
    for number in range(16):
        write_image(tmp_path / f'portraits{number}.png', plain(10 * number))
    return tmp_path


@pytest.fixture
def one_process(monkeypatch):
    monkeypatch.setattr(speed, 'cores', lambda: 0)


def test_models_by_command(exported_model, portraits, tmp_path, capsys):
    line = f'--portraits {portraits} --faces 0 2 --batches 1 2 --rounds 1 --sizes 300 --teachers'
    arguments = [*line.split(), '--results', str(tmp_path / 'results'), '--out', str(tmp_path / 'rows')]
    arguments += ['--name', 'own']
    assert benchmark.main(['speed', '--models', str(exported_model), *arguments]) == 0
    out, err = capsys.readouterr()
    assert 'left out: lite: exported without graphs for the backend mxnet-int8' in err
    assert 'lite, onnx' in out and '2 faces' in out
    rows = json.loads((tmp_path / 'rows').read_text())['rows']
    assert {(row['backend'], row['batch'], row['faces']) for row in rows} == {
        (backend, batch, faces) for backend in ('mxnet', 'onnx') for batch in (1, 2) for faces in (0, 2)
    }
    # Random weights see faces everywhere: as many count as a photo has.
    assert all(row['faces_found'] == row['faces'] for row in rows)
    result = read_result(tmp_path / 'results' / 'own' / 'speed.json')
    assert result['metrics']['rows'] == rows and result['subject']['name'] == 'lite'


def test_teachers_beside(portraits, tmp_path, one_process):
    pytest.importorskip('onnxruntime')
    pytest.importorskip('face_recognition_models')
    line = f'speed --portraits {portraits} --faces 1 --batches 1 --rounds 1 --sizes 300'
    assert benchmark.main([*line.split(), '--results', str(tmp_path / 'results')]) == 0
    (row,) = read_result(tmp_path / 'results' / 'teachers' / 'speed.json')['metrics']['rows']
    assert (row['system'], row['faces_found']) == ('mtcnn_pypi + dlib', 0) and row['images_per_second'] > 0


@pytest.mark.parametrize(
    'arguments, reason',
    [
        (['--teachers'], 'a model or the teachers'),
        (['--name', 'a'], 'names the folder of one model, 0 are given'),
        (['--batches', '30'], '30 portraits are needed, 16 are there'),
        (['--batches', '1', '--models', 'nowhere'], 'no such manifest'),
        (['--batches', '1', '--teachers', 'mtcnn_pypi'], 'an embedding teacher'),
    ],
)
def test_bad_input(portraits, capsys, one_process, arguments, reason):
    assert benchmark.main(['speed', '--portraits', str(portraits), *arguments]) == 2
    assert reason in capsys.readouterr().err


def test_missing_portraits(tmp_path):
    with pytest.raises(UnifaceError, match='no photo in this folder'):
        speed.read_portraits(str(tmp_path), 1)
