import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from uniface_mx.evaluation.subject import FoundFace, Subject
from uniface_mx.image import write_image
from uniface_mx.results import read_result

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def evaluate():
    spec = importlib.util.spec_from_file_location('evaluate', str(ROOT / 'tools' / 'evaluate.py'))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Middle(Subject):
    """Sees one face in the middle of every photo, whose vector is the photo's colour there."""

    name, identity = 'middle', {'version': 1}

    def __call__(self, images):
        return [[self.face(image)] for image in images]

    @staticmethod
    def face(image):
        height, width = image.shape[:2]
        middle = np.array([width, height]) / 2
        box = np.concatenate([middle - 0.2 * width, middle + 0.2 * width])
        points = middle + 0.1 * width * np.array([[-1, -1], [1, -1], [0, 0], [-1, 1], [1, 1]])
        vector = np.eye(128, dtype=np.float32)[int(image[height // 2, width // 2, 0]) // 2]
        return FoundFace(box, 0.9, points, vector)


@pytest.fixture
def middle(evaluate, monkeypatch):
    monkeypatch.setattr(evaluate, 'teacher', lambda *arguments, **options: Middle())
    return evaluate


def lfw(tmp_path):
    (tmp_path / 'pairs.txt').write_text('2 1\nAnn 1 2\nAnn 1 Bob 1\nBob 1 2\nBob 1 Cid 1\n')
    for name, colour in (
        ('Ann_0001', 40),
        ('Ann_0002', 40),
        ('Bob_0001', 120),
        ('Bob_0002', 120),
        ('Cid_0001', 200),
    ):
        write_image(tmp_path / (name + '.jpg'), np.full((40, 40, 3), colour, np.uint8))
    return [
        'lfw',
        '--images',
        str(tmp_path),
        '--pairs',
        str(tmp_path / 'pairs.txt'),
        '--out',
        str(tmp_path / 'out'),
        '--cache',
        str(tmp_path / 'cache'),
        '--no-progress',
        '--teacher',
    ]


def test_lfw(middle, tmp_path, capsys):
    assert middle.main(lfw(tmp_path)) == 0
    result = read_result(tmp_path / 'out' / 'lfw.json')
    assert result['metrics']['accuracy'] == 1
    assert (result['data']['photos'], result['subject']['name']) == (5, 'middle')
    assert result['command'][:2] == ['tools/evaluate.py', 'lfw']
    assert 'accuracy 100.00 %' in capsys.readouterr().out
    assert (tmp_path / 'out' / 'lfw_roc.png').is_file()


def test_lfw_perturbed_over_seeds(middle, tmp_path):
    assert middle.main(lfw(tmp_path) + ['--perturb', '4', '--seed', '0', '1', '2']) == 0
    figures = read_result(tmp_path / 'out' / 'lfw_perturb4.json')['metrics']
    assert [run['seed'] for run in figures['seeds']] == [0, 1, 2]
    assert figures['accuracy'] == 1 and figures['std_over_seeds'] == 0


def test_one_vector_a_face_has_a_result_of_its_own(middle, tmp_path):
    assert middle.main(lfw(tmp_path) + ['--no-mirror']) == 0
    assert (tmp_path / 'out' / 'lfw_single.json').is_file()


@pytest.mark.parametrize(
    'break_it, complaint',
    [
        (lambda path: (path / 'Cid_0001.jpg').unlink(), '1 of the photos that the pairs name are missing'),
        (lambda path: (path / 'Cid_0001.jpg').write_bytes(b'x'), 'Cid_0001.jpg'),
        (lambda path: (path / 'pairs.txt').write_text('2 1\n'), '0 rows follow'),
        (lambda path: (path / 'pairs.txt').unlink(), 'pairs.txt'),
    ],
)
def test_bad_input_is_one_line(middle, tmp_path, capsys, break_it, complaint):
    arguments = lfw(tmp_path)
    break_it(tmp_path)
    assert middle.main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith('error: ') and error.count('\n') == 1 and complaint in error
    assert not (tmp_path / 'out').exists()


def fddb(tmp_path):
    for fold in range(1, 11):
        name = 'big/img_{}'.format(fold)
        (tmp_path / 'big').mkdir(exist_ok=True)
        write_image(tmp_path / (name + '.jpg'), np.zeros((100, 100, 3), np.uint8))
        (tmp_path / 'FDDB-fold-{:02d}-ellipseList.txt'.format(fold)).write_text(
            name + '\n1\n22 20 1.57 50 50 1\n'
        )
    return [
        'fddb',
        '--annotations',
        str(tmp_path),
        '--images',
        str(tmp_path),
        '--out',
        str(tmp_path / 'out'),
        '--no-progress',
    ]


def test_fddb_of_a_detector_and_of_its_written_output(middle, tmp_path, capsys):
    assert middle.main(fddb(tmp_path) + ['--teacher']) == 0
    figures = read_result(tmp_path / 'out' / 'fddb.json')
    assert figures['metrics']['discrete'] == {'100': 1, '500': 1, '1000': 1, '2000': 1}
    assert figures['data']['image_sizes'] == 'known'
    first = (tmp_path / 'out' / 'ContROC.txt').read_text()
    assert (tmp_path / 'out' / 'fold-10-out.txt').read_text() == 'big/img_10\n1\n30 30 40 40 0.9\n'
    again = fddb(tmp_path)
    again[again.index('--out') + 1] = str(tmp_path / 'again')
    assert (
        middle.main(again + ['--detections', str(tmp_path / 'out'), '--curves', str(tmp_path / 'out')]) == 0
    )
    assert (tmp_path / 'again' / 'ContROC.txt').read_text() == first
    assert read_result(tmp_path / 'again' / 'fddb.json')['subject']['name'] == 'out'
    assert (
        middle.main(again + ['--detections', str(tmp_path / 'out'), '--curves', str(tmp_path / 'big')]) == 1
    )
    assert 'no *DiscROC*.txt' in capsys.readouterr().err


def test_fddb_crops(middle, tmp_path, capsys):
    (tmp_path / 'images').mkdir()
    write_image(tmp_path / 'images' / 'a.jpg', np.zeros((100, 100, 3), np.uint8))
    (tmp_path / 'meta.json').write_text(
        json.dumps([{'image': 'a', 'faces': [{'ellipse': [22, 20, 1.57, 50, 50], 'visible_fraction': 1.0}]}])
    )
    assert (
        middle.main(
            ['fddb', '--crops', str(tmp_path), '--out', str(tmp_path / 'out'), '--teacher', '--no-progress']
        )
        == 0
    )
    assert read_result(tmp_path / 'out' / 'fddb_crops.json')['data']['name'] == 'FDDB-crops'
    assert (tmp_path / 'out' / 'fddb_crops-DiscROC.txt').read_text() == '1 0 0.9\n'


def test_landmarks(middle, tmp_path):
    write_image(tmp_path / 'a.png', np.zeros((100, 100, 3), np.uint8))
    (tmp_path / 'points.txt').write_text('a.png 40 40 60 40 50 50 40 60 64 60\n')
    assert (
        middle.main(
            [
                'landmarks',
                '--source',
                'points:{}'.format(tmp_path / 'points.txt'),
                '--out',
                str(tmp_path / 'out'),
                '--teacher',
                '--no-progress',
            ]
        )
        == 0
    )
    figures = read_result(tmp_path / 'out' / 'landmarks_points.json')['metrics']
    assert figures['error_by_point']['right_mouth'] == pytest.approx(0.2)
    assert figures['error'] == pytest.approx(0.04)


def test_groups_need_a_mean(middle, tmp_path, capsys):
    write_image(tmp_path / '26_0_1_2017.jpg', np.full((40, 40, 3), 10, np.uint8))
    arguments = [
        'groups',
        '--kind',
        'utkface',
        '--images',
        str(tmp_path),
        '--out',
        str(tmp_path / 'out'),
        '--teacher',
        '--no-progress',
    ]
    assert middle.main(arguments) == 1
    assert 'give a record set with --mean' in capsys.readouterr().err


def test_detection_and_groups(middle, tmp_path):
    from uniface_mx.data.records import BOX, EMBEDDING, HAS_EMBEDDING, OBJECT_WIDTH, Record, RecordWriter
    from uniface_mx.image import encode_jpeg

    objects = np.zeros((1, OBJECT_WIDTH), np.float32)
    objects[0, BOX] = [0.3, 0.3, 0.7, 0.7]
    objects[0, HAS_EMBEDDING] = 1
    objects[0, EMBEDDING] = np.eye(128)[7]
    with RecordWriter(tmp_path / 'set', [{'name': 's', 'kind': 'folder', 'licence': 'none'}], {}) as writer:
        writer.add(Record(encode_jpeg(np.full((100, 100, 3), 10, np.uint8)), objects, 100, 100, 's', 'a.jpg'))
    assert (
        middle.main(
            [
                'detection',
                '--records',
                str(tmp_path / 'set'),
                '--out',
                str(tmp_path / 'out'),
                '--teacher',
                '--no-progress',
            ]
        )
        == 0
    )
    result = read_result(tmp_path / 'out' / 'detection_set.json')
    assert (result['metrics']['average_precision'], result['metrics']['recall']) == (1, 1)
    assert len(result['data']['sha256'][0]) == 64
    write_image(tmp_path / '26_0_1_2017.jpg', np.full((40, 40, 3), 10, np.uint8))
    (tmp_path / 'only.txt').write_text('utkface/26_0_1_2017.jpg\n')
    assert (
        middle.main(
            [
                'groups',
                '--kind',
                'utkface',
                '--images',
                str(tmp_path),
                '--out',
                str(tmp_path / 'out'),
                '--teacher',
                '--no-progress',
                '--mean',
                str(tmp_path / 'set'),
                '--only',
                str(tmp_path / 'only.txt'),
            ]
        )
        == 0
    )
    result = read_result(tmp_path / 'out' / 'groups_utkface.json')
    assert result['metrics']['origin']['black']['recall']['share'] == 1
    assert result['data']['held_out'] is True


@pytest.mark.parametrize(
    'arguments',
    [
        [],
        ['lfw'],
        ['lfw', '--out', 'x', '--images', 'x', '--pairs', 'x'],
        ['lfw', '--out', 'x', '--images', 'x', '--pairs', 'x', '--teacher', '--model', 'y'],
        ['fddb', '--out', 'x', '--teacher'],
        ['fddb', '--out', 'x', '--teacher', '--annotations', 'x'],
        ['fddb', '--out', 'x', '--teacher', '--annotations', 'x', '--detections', 'x'],
        ['cost', '--out', 'x', '--teacher'],
        ['landmarks', '--out', 'x', '--source', 'x', '--teacher', '--enlarge', '0'],
    ],
)
def test_usage(evaluate, arguments):
    with pytest.raises(SystemExit) as stop:
        evaluate.main(arguments)
    assert stop.value.code == 2


def test_cost(evaluate, tmp_path):
    from uniface_mx.manifest import write_manifest

    write_manifest(tmp_path / 'lite', {'files': [], 'model': {'name': 'uniface_a_lite', 'overrides': {}}})
    assert evaluate.main(['cost', '--model', str(tmp_path / 'lite'), '--out', str(tmp_path / 'out')]) == 0
    figures = read_result(tmp_path / 'out' / 'cost.json')
    assert figures['subject']['model']['name'] == 'uniface_a_lite'
    assert 0 < figures['metrics']['multiply_adds_face'] < figures['metrics']['multiply_adds_image']
    assert 0 < figures['metrics']['parameters_of_recognition'] < figures['metrics']['parameters'] < 3.8e6


def test_no_such_model(evaluate, tmp_path, capsys):
    assert evaluate.main(['cost', '--model', str(tmp_path / 'none'), '--out', str(tmp_path / 'out')]) == 1
    assert 'no such manifest' in capsys.readouterr().err


def test_an_exported_model(evaluate, tmp_path):
    from uniface_mx.export import export_model
    from uniface_mx.models import get_model
    from uniface_mx.models.weights import randomize

    net = get_model('uniface_a_lite')
    randomize(net, 0)
    details = {'model': {'name': 'uniface_a_lite', 'overrides': {}}}
    export_model(net, 'lite', tmp_path, split=True, details=details)
    arguments = [str(tmp_path / 'lite') if value == '--teacher' else value for value in lfw(tmp_path)]
    arguments.insert(-1, '--model')
    assert evaluate.main(arguments + ['--score-threshold', '0']) == 0
    result = read_result(tmp_path / 'out' / 'lfw.json')
    assert len(result['subject']['identity']['sha256']) == 64
    assert result['subject']['identity']['score_threshold'] == 0
    assert result['subject']['model']['name'] == 'uniface_a_lite'
    assert 0 <= result['metrics']['accuracy'] <= 1
    assert len(list((tmp_path / 'cache').glob('lfw-*.npz'))) == 1
