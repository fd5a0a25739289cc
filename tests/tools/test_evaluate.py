import argparse
import json
import os
from dataclasses import replace

import numpy as np
import pytest

from tools import evaluate as program
from uniface_mx.data.records import Record, RecordWriter
from uniface_mx.data.rows import BOX, EMBEDDING, HAS_EMBEDDING, OBJECT_WIDTH
from uniface_mx.deploy.predictor import Face
from uniface_mx.evaluation import EVALUATIONS, options
from uniface_mx.evaluation.results import read_result, write_result
from uniface_mx.evaluation.series import read_settings
from uniface_mx.evaluation.subject import Enlarged, Subject
from uniface_mx.image import encode_jpeg, write_image
from uniface_mx.models.files import ModelFiles
from uniface_mx.paths import resource


@pytest.fixture
def evaluate():
    return program


@pytest.fixture
def lite(tmp_path):
    ModelFiles(tmp_path / 'lite').write_manifest(
        {'files': [], 'model': {'name': 'uniface_a_lite', 'overrides': {}}}
    )
    return str(tmp_path / 'lite')


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
        return Face(box, 0.9, points, vector)


@pytest.fixture
def middle(evaluate, monkeypatch):
    monkeypatch.setattr(options, 'teacher', lambda *arguments, **options: Middle())
    return evaluate


def words(line, out):
    """A command line about the teachers."""
    return [*line.split(), '--out', str(out), '--teacher', '--no-progress']


def lfw(tmp_path):
    (tmp_path / 'pairs.txt').write_text('2 1\nAnn 1 2\nAnn 1 Bob 1\nBob 1 2\nBob 1 Cid 1\n')
    for name, colour in dict(Ann_0001=40, Ann_0002=40, Bob_0001=120, Bob_0002=120, Cid_0001=200).items():
        write_image(tmp_path / f'{name}.jpg', np.full((40, 40, 3), colour, np.uint8))
    line = f'lfw --images {tmp_path} --pairs {tmp_path}/pairs.txt --cache {tmp_path}/cache'
    return words(line, tmp_path / 'out')


def test_lfw(middle, tmp_path, capsys):
    assert middle.main(lfw(tmp_path)) == 0
    result = read_result(tmp_path / 'out' / 'lfw.json')
    assert result['metrics']['accuracy'] == 1
    assert (result['data']['photos'], result['subject']['name']) == (5, 'middle')
    assert result['command'][:2] == ['tools/evaluate.py', 'lfw']
    assert not any('cache' in word or 'progress' in word for word in result['command'])
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


def test_a_model_with_mirror_images_has_a_result_of_its_own(evaluate, monkeypatch, tmp_path):
    asked = {}

    def load(prefix, **options):
        asked.update(options)
        return argparse.Namespace(manifest={'embedding': {'centred': True}})

    monkeypatch.setattr(options.Predictor, 'load', load)
    monkeypatch.setattr(options, 'ModelSubject', lambda *arguments: Middle())
    monkeypatch.setattr(options, 'about_model', lambda prefix, *keys: {})
    arguments = [word if word != '--teacher' else '--model=m' for word in lfw(tmp_path)]
    assert evaluate.main(arguments) == 0 and 'mirror' not in asked
    assert evaluate.main(arguments + ['--mirror']) == 0 and asked['mirror']
    assert {path.name for path in (tmp_path / 'out').glob('*.json')} == {'lfw.json', 'lfw_mirror.json'}


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
    assert middle.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith('evaluate: ') and error.count('\n') == 1 and complaint in error
    assert not (tmp_path / 'out').exists()


def fddb(tmp_path, out='out'):
    for fold in range(1, 11):
        name = f'big/img_{fold}'
        (tmp_path / 'big').mkdir(exist_ok=True)
        write_image(tmp_path / (name + '.jpg'), np.zeros((100, 100, 3), np.uint8))
        (tmp_path / f'FDDB-fold-{fold:02d}-ellipseList.txt').write_text(name + '\n1\n22 20 1.57 50 50 1\n')
    return f'fddb --annotations {tmp_path} --images {tmp_path} --no-progress --out {tmp_path}/{out}'.split()


def test_fddb_of_a_detector_and_of_its_written_output(middle, tmp_path, capsys):
    assert middle.main(fddb(tmp_path) + ['--teacher']) == 0
    figures = read_result(tmp_path / 'out' / 'fddb.json')
    assert figures['metrics']['discrete'] == {'100': 1, '500': 1, '1000': 1, '2000': 1}
    assert figures['data']['image_sizes'] == 'known'
    first = (tmp_path / 'out' / 'ContROC.txt').read_text()
    assert (tmp_path / 'out' / 'fold-10-out.txt').read_text() == 'big/img_10\n1\n30 30 40 40 0.9\n'
    again = fddb(tmp_path, 'again') + ['--detections', str(tmp_path / 'out'), '--curves']
    assert middle.main([*again, str(tmp_path / 'out')]) == 0
    assert (tmp_path / 'again' / 'ContROC.txt').read_text() == first
    assert read_result(tmp_path / 'again' / 'fddb.json')['subject']['name'] == 'out'
    assert middle.main([*again, str(tmp_path / 'big')]) == 2
    assert 'no *DiscROC*.txt' in capsys.readouterr().err


def test_fddb_crops(middle, tmp_path, capsys):
    (tmp_path / 'images').mkdir()
    write_image(tmp_path / 'images' / 'a.jpg', np.zeros((100, 100, 3), np.uint8))
    faces = [{'ellipse': [22, 20, 1.57, 50, 50], 'visible_fraction': 1.0}]
    (tmp_path / 'meta.json').write_text(json.dumps([{'image': 'a', 'faces': faces}]))
    assert middle.main(words(f'fddb --crops {tmp_path}', tmp_path / 'out')) == 0
    assert read_result(tmp_path / 'out' / 'fddb_crops.json')['data']['name'] == 'FDDB-crops'
    assert (tmp_path / 'out' / 'fddb_crops-DiscROC.txt').read_text() == '1 0 0.9\n'


def landmarks(tmp_path):
    write_image(tmp_path / 'a.png', np.zeros((100, 100, 3), np.uint8))
    (tmp_path / 'points.txt').write_text('a.png 40 40 60 40 50 50 40 60 64 60\n')
    return words(f'landmarks --source points:{tmp_path}/points.txt', tmp_path / 'out')


def test_landmarks(middle, tmp_path):
    assert middle.main(landmarks(tmp_path)) == 0
    figures = read_result(tmp_path / 'out' / 'landmarks_points.json')['metrics']
    assert figures['error_by_point']['right_mouth'] == pytest.approx(0.2)
    assert figures['error'] == pytest.approx(0.04)


def test_room_around_photos_with_points(middle, tmp_path):
    assert middle.main([*landmarks(tmp_path), '--margin', '0.5']) == 0
    # On the canvas of 200 the eyes it sees lie 10 and 10 further out than the annotated ones, which are 20 apart.
    errors = read_result(tmp_path / 'out' / 'landmarks_points.json')['metrics']['error_by_point']
    assert errors['left_eye'] == pytest.approx(0.5**0.5)


def test_groups_need_a_mean(middle, tmp_path, capsys):
    write_image(tmp_path / '26_0_1_2017.jpg', np.full((40, 40, 3), 10, np.uint8))
    assert middle.main(words(f'groups --kind utkface --images {tmp_path}', tmp_path / 'out')) == 2
    assert 'give a record set with --mean' in capsys.readouterr().err


def record_set(path, vector=7, count=1, teachers=None):
    """Photos of one face each, where `Middle` sees it, and with a vector that the teacher gave."""
    objects = np.zeros((1, OBJECT_WIDTH), np.float32)
    objects[0, BOX] = [0.3, 0.3, 0.7, 0.7]
    objects[0, HAS_EMBEDDING] = 1
    objects[0, EMBEDDING] = np.eye(128)[vector]
    with RecordWriter(path, [{'name': 's', 'kind': 'folder', 'licence': 'none'}], teachers or {}) as writer:
        for number in range(count):
            image = np.full((100, 100, 3), 10, np.uint8)
            writer.add(Record(encode_jpeg(image), objects, 100, 100, 's', f'{number}.jpg'))
    return str(path)


def test_detection_and_groups(middle, tmp_path):
    record_set(tmp_path / 'set')
    assert middle.main(words(f'detection --records {tmp_path}/set', tmp_path / 'out')) == 0
    result = read_result(tmp_path / 'out' / 'detection_set.json')
    assert (result['metrics']['average_precision'], result['metrics']['recall']) == (1, 1)
    assert len(result['data']['sha256'][0]) == 64
    write_image(tmp_path / '26_0_1_2017.jpg', np.full((40, 40, 3), 10, np.uint8))
    (tmp_path / 'only.txt').write_text('utkface/26_0_1_2017.jpg\n')
    line = f'groups --kind utkface --images {tmp_path} --mean {tmp_path}/set --only {tmp_path}/only.txt'
    assert middle.main(words(line, tmp_path / 'out')) == 0
    result = read_result(tmp_path / 'out' / 'groups_utkface.json')
    assert result['metrics']['origin']['black']['recall']['share'] == 1
    assert result['data']['held_out'] is True


@pytest.mark.parametrize(
    'line',
    [
        '',
        'lfw',
        'lfw --out x --images x --pairs x',
        'lfw --out x --images x --pairs x --teacher --model y',
        'lfw --out x --images x --pairs x --teacher --perturb -1',
        'lfw --out x --images x --pairs x --teacher --perturb 1 --seed -1',
        'fddb --out x --teacher',
        'fddb --out x --teacher --annotations x',
        'fddb --out x --teacher --annotations x --detections x',
        'fddb --out x --crops x --detections x',
        'fddb --out x --crops x --teacher --annotations x --images x',
        'cost --out x --teacher',
        'landmarks --out x --source x --teacher --enlarge 0',
        'landmarks --out x --source x --teacher --margin -1',
        'landmarks --out x --source x --teacher --margin nan',
        'groups --out x --images x --kind utkface --teacher --limit 0',
        'detection --out x --records x --teacher --limit 0',
        'cosine --out x --teacher',
        'compare x',
        'all --out x --model x',
    ],
)
def test_usage(evaluate, line):
    with pytest.raises(SystemExit) as stop:
        evaluate.main(line.split())
    assert stop.value.code == 2


def test_cost(evaluate, tmp_path, lite):
    assert evaluate.main(['cost', '--model', lite, '--out', str(tmp_path / 'out')]) == 0
    figures = read_result(tmp_path / 'out' / 'cost.json')
    assert figures['subject']['model']['name'] == 'uniface_a_lite'
    assert 0 < figures['metrics']['multiply_adds_face'] < figures['metrics']['multiply_adds_image']
    assert 0 < figures['metrics']['parameters_of_recognition'] < figures['metrics']['parameters'] < 3.8e6


def cosine(tmp_path, *options):
    return ['cosine', '--teacher', '--out', str(tmp_path / 'out'), '--no-progress', *options]


def test_cosine_on_people_held_out_and_trained_on(middle, tmp_path, capsys):
    # `Middle` gives unit vector 5 for these photos, and so does the teacher; the mean is unit vector 6.
    held_out, training = (record_set(tmp_path / name, 5, 3) for name in ('held', 'trained'))
    zero = record_set(tmp_path / 'mean')
    meta = json.loads((tmp_path / 'mean.json').read_text())
    meta['mean_embedding'] = np.eye(128)[6].tolist()
    (tmp_path / 'mean.json').write_text(json.dumps(meta))
    options = ['--held-out', held_out, '--training', training, '--mean', zero, '--limit', '2']
    assert middle.main(cosine(tmp_path, *options)) == 0
    result = read_result(tmp_path / 'out' / 'cosine.json')
    for part, name in (('held_out', 'held'), ('training', 'trained')):
        figures = result['metrics'][part]
        # Cosine of e5 with e5 - e6.
        assert figures['mean'] == pytest.approx(0.5**0.5)
        assert (figures['photos'], figures['faces'], figures['recall']) == (2, 2, 1)
        assert result['data'][part]['name'] == name
    assert 'held out: cosine 0.707' in capsys.readouterr().out


def test_cosine_needs_a_mean_and_a_face(middle, tmp_path, capsys, monkeypatch):
    held_out = record_set(tmp_path / 'held')
    assert middle.main(cosine(tmp_path, '--held-out', held_out)) == 2
    assert 'give a record set with --mean' in capsys.readouterr().err
    assert middle.main(cosine(tmp_path, '--held-out', str(tmp_path / 'none'), '--mean', held_out)) == 2
    assert 'none.json' in capsys.readouterr().err
    monkeypatch.setattr(Middle, '__call__', lambda self, images: [[] for _ in images])
    assert middle.main(cosine(tmp_path, '--held-out', held_out, '--mean', held_out)) == 2
    assert 'none of its faces was found' in capsys.readouterr().err


def test_records_of_another_teacher_are_refused(evaluate, tmp_path, capsys):
    taught = {'embeddings': {'name': 'dlib', 'version': '2', 'sha256': 'a' * 64, 'mirror': True}}
    record_set(tmp_path / 'set', teachers={'embeddings': dict(taught['embeddings'], version='1')})
    manifest = {'files': [], 'training': {'teachers': taught}, 'mean_embedding': [0.0] * 127 + [1.0]}
    ModelFiles(tmp_path / 'lite').write_manifest(manifest)
    arguments = ['--model', str(tmp_path / 'lite'), '--out', str(tmp_path / 'out')]
    assert evaluate.main(['detection', '--records', str(tmp_path / 'set'), *arguments]) == 2
    assert 'version 1' in capsys.readouterr().err
    assert evaluate.main(['cosine', '--held-out', str(tmp_path / 'set'), *arguments]) == 2
    assert 'version 1' in capsys.readouterr().err


def lfw_result(path, folds):
    return str(write_result(path, 'lfw', subject={}, data={}, metrics={'folds': folds}))


def test_compare(evaluate, tmp_path, capsys):
    first = lfw_result(tmp_path / 'a', [0.9, 0.94, 0.92])
    second = lfw_result(tmp_path / 'd', [0.8, 0.82, 0.8])
    assert evaluate.main(['compare', first, second]) == 0
    out = capsys.readouterr().out
    assert 'points: +10.00 +12.00 +12.00' in out
    assert 'mean +11.33, standard deviation 1.15; paired t-test: t = 17.00, p = 0.0034' in out
    assert 'the first is better by more than two' in out
    assert evaluate.main(['compare', second, first]) == 0
    assert 'the second is better' in capsys.readouterr().out
    assert evaluate.main(['compare', first, first]) == 0
    assert 'neither is better' in capsys.readouterr().out


def test_what_cannot_be_compared(evaluate, tmp_path, capsys):
    first = lfw_result(tmp_path / 'a', [0.9, 0.94, 0.92])
    fewer = lfw_result(tmp_path / 'b', [0.9, 0.94])
    other = str(write_result(tmp_path / 'c', 'cost', subject={}, data={}, metrics={'parameters': 1}))
    for path, complaint in (
        (fewer, 'of 3 and of 2 folds cannot be compared'),
        (other, 'cost.json: no result of lfw'),
        (str(tmp_path / 'none.json'), 'none.json: not a readable result file'),
    ):
        assert evaluate.main(['compare', first, path]) == 2
        assert complaint in capsys.readouterr().err


def all_of(tmp_path, lite, text):
    (tmp_path / 'settings.yaml').write_text(text)
    settings, out = str(tmp_path / 'settings.yaml'), str(tmp_path / 'out')
    return ['all', '--model', lite, '--settings', settings, '--out', out]


def test_all_passes_over_what_is_done(evaluate, tmp_path, lite, capsys):
    arguments = all_of(tmp_path, lite, '- cost: {}\n')
    assert evaluate.main(arguments) == 0
    assert 'done before' not in capsys.readouterr().out
    first = (tmp_path / 'out' / 'cost.json').read_text()
    assert evaluate.main(arguments) == 0
    assert 'done before: cost' in capsys.readouterr().out
    assert (tmp_path / 'out' / 'cost.json').read_text() == first
    # Other files under the same name.
    (tmp_path / 'weights').write_text('new')
    ModelFiles(lite).write_manifest(
        {'files': ['weights'], 'model': {'name': 'uniface_d_lite', 'overrides': {}}}
    )
    assert evaluate.main(arguments) == 0
    assert 'done before' not in capsys.readouterr().out
    assert read_result(tmp_path / 'out' / 'cost.json')['subject']['model']['name'] == 'uniface_d_lite'


def test_all_goes_on_after_a_failure(evaluate, tmp_path, lite, capsys):
    text = '- lfw: {images: nowhere, pairs: no.txt, perturb: 60, seed: [0, 1, 2]}\n- cost:\n'
    assert evaluate.main(all_of(tmp_path, lite, text)) == 1
    out, err = capsys.readouterr()
    assert '--images nowhere --pairs no.txt --perturb 60 --seed 0 1 2' in out
    assert 'no.txt: cannot be read' in err and '1 of 2 evaluations failed' in err
    assert (tmp_path / 'out' / 'cost.json').is_file()


@pytest.mark.parametrize(
    'text, complaint',
    [
        ('', 'expected a list of evaluations'),
        ('cost: {}', 'expected a list of evaluations'),
        ('- cost: [', 'not readable YAML'),
        ('- cost\n', 'entry 1 is not one name'),
        ('- cost: {}\n- {lfw: {}, cost: {}}\n', 'entry 2 is not one name'),
        ('- cost: 5\n', 'entry 1 is not one name'),
        ('- speeed: {}\n', "no evaluation 'speeed'; there are lfw, fddb"),
    ],
)
def test_settings_that_say_nothing(evaluate, tmp_path, lite, capsys, text, complaint):
    assert evaluate.main(all_of(tmp_path, lite, text)) == 2
    error = capsys.readouterr().err
    assert complaint in error and error.count('\n') == 1
    assert not (tmp_path / 'out').exists()


def test_the_settings_that_ship_are_commands(evaluate):
    path = resource('experiments') / 'evaluation' / 'all.yaml'
    if not path.is_file():
        pytest.skip(f'no {path} in an installed package')
    commands = [
        evaluate.parse([name, '--model', 'x', '--out', 'y', *options])
        for name, options in read_settings(path)
    ]
    assert {command.command for command in commands} == set(EVALUATIONS)
    assert [command.seed for command in commands if getattr(command, 'perturb', 0)] == [[0, 1, 2]]


def test_a_wrong_option_is_told_before_anything_is_run(evaluate, tmp_path, lite, capsys):
    with pytest.raises(SystemExit) as stop:
        evaluate.main(all_of(tmp_path, lite, '- cost: {}\n- lfw: {image: x, pairs: y}\n'))
    assert stop.value.code == 2 and not (tmp_path / 'out').exists()


def test_what_is_recorded_of_a_command(tmp_path, monkeypatch):
    words = ['lfw', '--cache', '/tmp/x', '--no-progress', '--seed', '1', '--cache=/tmp/y']
    assert options.recorded(words) == ['lfw', '--seed', '1']
    monkeypatch.chdir(tmp_path)
    kept = options.recorded(['cost', '--out', str(tmp_path / 'results' / 'a'), '--model', '/m/a'])
    assert kept == ['cost', '--out', os.path.join('results', 'a'), '--model', '.../a']


def test_no_such_model(evaluate, tmp_path, capsys):
    assert evaluate.main(['cost', '--model', str(tmp_path / 'none'), '--out', str(tmp_path / 'out')]) == 2
    assert 'no such manifest' in capsys.readouterr().err


def test_an_exported_model(evaluate, tmp_path):
    from uniface_mx.deploy.export import export_model
    from uniface_mx.models import get_model
    from uniface_mx.models.randomize import randomize

    net = get_model('uniface_a_lite')
    randomize(net, 0)
    details = {'model': {'name': 'uniface_a_lite', 'overrides': {}}}
    export_model(net, 'lite', tmp_path, split=True, details=details)
    arguments = [word for word in lfw(tmp_path) if word != '--teacher'] + ['--model', str(tmp_path / 'lite')]
    assert evaluate.main(arguments + ['--score-threshold', '0']) == 0
    result = read_result(tmp_path / 'out' / 'lfw.json')
    assert len(result['subject']['identity']['sha256']) == 64
    assert result['subject']['identity']['score_threshold'] == 0
    assert result['subject']['model']['name'] == 'uniface_a_lite'
    assert 0 <= result['metrics']['accuracy'] <= 1
    assert len(list((tmp_path / 'cache').glob('lfw-*.npz'))) == 1


def test_limits_and_thresholds_of_detection(middle, tmp_path):
    record_set(tmp_path / 'set', count=3)
    line = f'detection --records {tmp_path}/set --threshold 0.95 --limit 2'
    assert middle.main(words(line, tmp_path)) == 0
    figures = read_result(tmp_path / 'detection_set.json')['metrics']
    assert (figures['recall'], figures['average_precision'], figures['photos']) == (0, 1, 2)


def test_some_photos_of_groups(middle, tmp_path):
    record_set(tmp_path / 'set')
    (tmp_path / 'faces').mkdir()
    for number in range(3):
        write_image(tmp_path / 'faces' / f'2{number}_0_1_2017.jpg', np.full((40, 40, 3), 10, np.uint8))
    line = f'groups --kind utkface --images {tmp_path}/faces --mean {tmp_path}/set --limit 2'
    assert middle.main(words(line, tmp_path)) == 0
    assert read_result(tmp_path / 'groups_utkface.json')['data']['photos'] == 2


def test_official_output_with_and_without_its_photos(middle, tmp_path, capsys):
    assert middle.main(fddb(tmp_path) + ['--teacher']) == 0
    given = fddb(tmp_path) + ['--detections', str(tmp_path / 'out')]
    assert middle.main(given + ['--official', str(tmp_path / 'out')]) == 2
    assert 'end at 0 false positives, before 10' in capsys.readouterr().err
    assert middle.main(given) == 0
    assert read_result(tmp_path / 'out' / 'fddb.json')['data']['image_sizes'] == 'known'


def test_whom_a_photo_is_about(middle, monkeypatch, tmp_path):
    class Beside(Middle):
        """Sees one more face beside the photo's middle, larger and the same in every photo."""

        def __call__(self, images):
            large = np.array([-90.0, -90, -10, -10])
            return [
                [face, replace(face, box=large, embedding=np.eye(128)[0])]
                for (face,) in super().__call__(images)
            ]

    monkeypatch.setattr(options, 'teacher', lambda *arguments, **options: Beside())
    accuracies = []
    for choose in ('centre', 'largest'):
        assert middle.main(lfw(tmp_path) + ['--choose', choose]) == 0
        accuracies.append(read_result(tmp_path / 'out' / 'lfw.json')['metrics']['accuracy'])
    assert accuracies == [1, 0.5]


def test_the_teachers_as_the_options_describe_them(evaluate, monkeypatch):
    words = ['lfw', '--out', 'o', '--images', 'i', '--pairs', 'p', '--teacher']
    words += ['--teachers', 'fakes:FakeFinder?seconds=0.5', 'fakes:FakeEmbedding']
    plain = options.subject(evaluate.parse(words))
    assert (plain.landmarks.seconds, plain.mirror, plain.centre) == (0.5, True, None)
    other = options.subject(evaluate.parse(words + ['--no-mirror', '--enlarge', '2']), centre=np.ones(2))
    assert isinstance(other, Enlarged) and other.factor == 2
    assert other.subject.mirror is False and other.subject.centre.tolist() == [1, 1]


@pytest.mark.parametrize('spec', ['mtcnn_pypi?min_face=abc', 'mtcnn_pypi?min_face=[1', 'mtcnn_pypi?min_face'])
def test_teachers_that_make_no_sense(evaluate, tmp_path, capsys, spec):
    arguments = lfw(tmp_path) + ['--teachers', spec, 'dlib']
    assert evaluate.main(arguments) == 2
    error = capsys.readouterr().err
    assert f"teacher '{spec}'" in error and error.count('\n') == 1
