import json

import cv2
import numpy as np
import pytest
from rectangles import load_rectangles, photo, write_video

from tools import detect
from uniface_mx.image import read_image, write_image


@pytest.fixture
def model(monkeypatch):
    """Options of the tool that load the model of rectangles."""
    load_rectangles(monkeypatch)
    return ['--model', 'any']


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / 'photos'
    (folder / 'sub').mkdir(parents=True)
    write_image(folder / 'one.png', photo(300, 300, (30, 40, 90, 110)))
    write_image(folder / 'sub' / 'two.png', photo(600, 300, (60, 40, 160, 140), (300, 100, 340, 140)))
    write_image(folder / 'none.png', photo(100, 100))
    return folder


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_json(model, photos, capsys):
    assert detect.main(model + ['--json', str(photos)]) == 0
    out, err = capsys.readouterr()
    none, one, two = lines(out)
    assert none == {'photo': str(photos / 'none.png'), 'width': 100, 'height': 100, 'faces': []}
    (face,) = one['faces']
    assert face['box'] == [30, 40, 90, 110] and face['score'] == 0.902
    assert len(face['landmarks']) == 5 and 'embedding' not in face
    assert [entry['box'] for entry in two['faces']] == [[60, 40, 160, 140], [300, 100, 340, 140]]
    assert 'rectangles by rectangles on cpu' in err and '3 photos, 3 faces, 0 photos skipped' in err


def test_text_and_options(model, photos, capsys):
    arguments = [str(photos / 'sub'), str(photos / 'none.png'), '--max-faces', '1']
    assert detect.main(model + arguments) == 0
    out = capsys.readouterr().out.splitlines()
    assert out == [
        f'{photos / "sub" / "two.png"}: 100x100 at 60,40 (0.90)',
        f'{photos / "none.png"}: no face',
    ]
    detect.main(model + ['--json', '--embeddings', '--score', '0.95', str(photos / 'one.png')])
    assert lines(capsys.readouterr().out)[0]['faces'] == []
    detect.main(model + ['--json', '--embeddings', str(photos / 'one.png')])
    assert len(lines(capsys.readouterr().out)[0]['faces'][0]['embedding']) == 128


def test_files(model, photos, tmp_path, capsys):
    out = tmp_path / 'out'
    assert detect.main(model + [str(photos), '--out', str(out), '--crops']) == 0
    written = sorted(path.relative_to(out).as_posix() for path in out.rglob('*') if path.is_file())
    assert written == [
        'crops/one-0.jpg',
        'crops/sub/two-0.jpg',
        'crops/sub/two-1.jpg',
        'faces.jsonl',
        'none.jpg',
        'one.jpg',
        'sub/two.jpg',
    ]
    assert len(lines((out / 'faces.jsonl').read_text())) == 3
    drawn = read_image(out / 'sub' / 'two.jpg')
    assert drawn.shape == (300, 600, 3) and drawn[100, 60, 1] > 120
    assert read_image(out / 'crops' / 'one-0.jpg').shape == (160, 160, 3)


def test_broken_photos_are_skipped(model, photos, tmp_path, capsys):
    (photos / 'broken.jpg').write_bytes(b'\xff\xd8\xff')
    arguments = [str(photos), str(photos / 'missing.png'), '--json', '--out', str(tmp_path / 'out')]
    assert detect.main(model + arguments) == 1
    out, err = capsys.readouterr()
    errors = [entry for entry in lines(out) if 'error' in entry]
    assert [entry['photo'] for entry in errors] == [str(photos / 'broken.jpg'), str(photos / 'missing.png')]
    assert lines((tmp_path / 'out' / 'faces.jsonl').read_text()) == lines(out)
    assert f'skipped: {photos / "missing.png"}: no such file' in err
    assert '3 photos, 3 faces, 2 photos skipped' in err


@pytest.mark.parametrize(
    'arguments, reason',
    [
        (['--tile', '3', '{}/one.jpg'], 'tile is 3'),
        (['{}/empty'], 'no photo in this folder'),
        (['{}/missing.mp4'], 'cannot be opened as a video'),
        (['{}/one.jpg', '--out', '{}'], 'would overwrite'),
        (['{}/one.jpg', '--out', '{}/one.jpg/x'], 'one.jpg'),
    ],
)
def test_trouble(model, tmp_path, capsys, arguments, reason):
    (tmp_path / 'empty').mkdir()
    write_image(tmp_path / 'one.jpg', photo(30, 30))
    before = (tmp_path / 'one.jpg').read_bytes()
    assert detect.main(model + [argument.format(tmp_path) for argument in arguments]) == 2
    err = capsys.readouterr().err
    assert err.splitlines()[-1].startswith('detect: ') and reason in err
    assert (tmp_path / 'one.jpg').read_bytes() == before


@pytest.mark.parametrize('times', [1, 2])
def test_only_an_earlier_run_is_overwritten(model, photos, tmp_path, capsys, times):
    """Neither by a photo given twice, whose pictures are one.jpg and one-2.jpg."""
    out = tmp_path / 'own'
    out.mkdir()
    (out / 'one.jpg').write_bytes(b'mine')
    arguments = model + times * [str(photos / 'one.png')] + ['--out', str(out)]
    assert detect.main(arguments) == 2
    assert f'would overwrite {out / "one.jpg"}' in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ['one.jpg'] and (out / 'one.jpg').read_bytes() == b'mine'
    (out / 'one.jpg').unlink()
    assert detect.main(arguments) == detect.main(arguments) == 0


def test_crops_overwrite_nothing_but_an_earlier_runs(model, photos, tmp_path, capsys):
    out = tmp_path / 'own'
    (out / 'crops').mkdir(parents=True)
    (out / 'crops' / 'one-0.jpg').write_bytes(b'mine')
    arguments = model + [str(photos / 'one.png'), '--out', str(out), '--crops']
    assert detect.main(arguments) == 2
    assert f'{out / "crops"}: was there before' in capsys.readouterr().err
    assert (out / 'crops' / 'one-0.jpg').read_bytes() == b'mine' and len(list(out.iterdir())) == 1
    (out / 'crops').rename(out / 'mine')
    assert detect.main(arguments) == detect.main(arguments) == 0


def test_crops_of_photos_in_a_folder_of_that_name(model, photos, tmp_path, capsys):
    (photos / 'sub').rename(photos / 'crops')
    assert detect.main(model + [str(photos), '--out', str(tmp_path / 'out'), '--crops']) == 2
    assert 'lie in a folder crops themselves' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_an_empty_folder_among_photos_is_skipped(model, photos, tmp_path, capsys):
    (tmp_path / 'empty').mkdir()
    assert detect.main(model + [str(tmp_path / 'empty'), str(photos / 'one.png')]) == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1 and f'skipped: {tmp_path / "empty"}: no photo in this folder' in err


def test_an_interrupted_run_keeps_what_it_had(model, photos, tmp_path, capsys, monkeypatch):
    def draw(image, faces):
        raise KeyboardInterrupt

    monkeypatch.setattr(detect, 'draw_faces', draw)
    assert detect.main(model + [str(photos / 'one.png'), '--out', str(tmp_path / 'out')]) == 130
    assert capsys.readouterr().err.splitlines()[-1] == 'detect: interrupted'
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['faces.jsonl']
    assert len(lines((tmp_path / 'out' / 'faces.jsonl').read_text())) == 1


def test_a_full_list_is_told(model, tmp_path, capsys):
    boxes = [
        (70 * column, 70 * row, 70 * column + 40, 70 * row + 40) for row in range(4) for column in range(4)
    ]
    write_image(tmp_path / 'many.png', photo(300, 300, *boxes))
    assert detect.main(model + [str(tmp_path / 'many.png')]) == 0
    assert 'the model finds 16 faces in a photo at most; --tile finds more' in capsys.readouterr().err
    assert detect.main(model + [str(tmp_path / 'many.png'), '--max-faces', '16']) == 0
    assert '--tile' not in capsys.readouterr().err


@pytest.mark.parametrize(
    'words, told',
    [
        ('', 'PHOTO'),
        ('a.jpg --crops', '--crops needs --out'),
        ('a.jpg --max-faces two', 'argument --max-faces: '),
        ('a.jpg --frames 1', '--frames goes with a video or a camera'),
        *((f'a.mp4 --frames {number}', 'argument --frames: ') for number in ('0', '-1', 'many')),
        *((f'a.jpg --score={score}', 'argument --score: ') for score in ('2', '-0.1', 'nan', 'high')),
    ],
)
def test_wrong_arguments(model, capsys, words, told):
    with pytest.raises(SystemExit) as left:
        detect.main(model + words.split())
    assert left.value.code == 2 and told in capsys.readouterr().err


def test_video(model, tmp_path, capsys):
    frames = [photo(320, 240, (20 * number, 60, 20 * number + 60, 120)) for number in range(12)]
    video = write_video(tmp_path / 'v.avi', frames)
    out = tmp_path / 'out'
    arguments = [str(video), '--frames', '10', '--json', '--out', str(out), '--score', '0']
    assert detect.main(model + arguments) == 0
    entries = lines(capsys.readouterr().out)
    assert [entry['frame'] for entry in entries] == list(range(10))
    assert entries[3]['seconds'] == 0.3 and (entries[0]['width'], entries[0]['height']) == (320, 240)
    assert sorted(path.name for path in out.iterdir()) == ['faces.jsonl', 'video.mp4']
    capture = cv2.VideoCapture(str(out / 'video.mp4'))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 10
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(10)


@pytest.mark.parametrize('name', ['video.mp4', 'other.mp4'])
def test_a_video_overwrites_nothing_but_an_earlier_runs(model, tmp_path, capsys, name):
    """Neither itself nor another that is there."""
    write_video(tmp_path / name, [photo(64, 48)], 'mp4v')
    out = tmp_path if name == 'video.mp4' else tmp_path / 'out'
    out.mkdir(exist_ok=True)
    if name == 'other.mp4':
        (out / 'video.mp4').write_bytes(b'mine')
    before = (out / 'video.mp4').read_bytes()
    arguments = model + [str(tmp_path / name), '--out', str(out)]
    assert detect.main(arguments) == 2
    assert f'would overwrite {out / "video.mp4"}' in capsys.readouterr().err
    assert (out / 'video.mp4').read_bytes() == before and not (out / 'faces.jsonl').exists()
    (out / 'video.mp4').rename(tmp_path / 'mine.mp4')
    arguments[-3] = str(tmp_path / ('mine.mp4' if name == 'video.mp4' else name))
    assert detect.main(arguments) == detect.main(arguments) == 0


@pytest.mark.parametrize('error, status', [(KeyboardInterrupt, 130), (OSError, 2)])
def test_a_video_that_is_not_finished_leaves_none(model, tmp_path, monkeypatch, error, status):
    write_video(tmp_path / 'v.mp4', 3 * [photo(64, 48)], 'mp4v')
    drawn = []

    def draw(image, faces):
        drawn.append(faces)
        if len(drawn) == 2:
            raise error
        return image

    monkeypatch.setattr(detect, 'draw_faces', draw)
    assert detect.main(model + [str(tmp_path / 'v.mp4'), '--out', str(tmp_path / 'out')]) == status
    assert len(drawn) == 2 and {path.name for path in (tmp_path / 'out').iterdir()} <= {'faces.jsonl'}


@pytest.mark.parametrize(
    'inputs, source',
    [('0', 0), ('12', 12), ('a.mp4', 'a.mp4'), ('a.MOV', 'a.MOV')]
    + [('a.jpg', None), ('folder', None), ('a.mp4 b.mp4', None)],
)
def test_what_is_a_video(inputs, source):
    assert detect.video_source(inputs.split()) == source


def test_a_folder_called_0_is_no_camera(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / '0').mkdir()
    assert detect.video_source(['0']) is None


def test_exported_model(exported_model, photos, capsys):
    arguments = ['--model', str(exported_model), '--score', '0.2', '--max-faces', '3', '--json', str(photos)]
    assert detect.main(arguments) == 0
    by_mxnet = lines(capsys.readouterr().out)
    assert detect.main(arguments + ['--backend', 'onnx']) == 0
    out, err = capsys.readouterr()
    assert 'lite by onnx on cpu' in err
    for first, second in zip(by_mxnet, lines(out)):
        assert len(first['faces']) == len(second['faces'])
        for a, b in zip(first['faces'], second['faces']):
            np.testing.assert_allclose(a['box'], b['box'], atol=0.05)
    assert detect.main(['--model', 'nowhere', str(photos)]) == 2
