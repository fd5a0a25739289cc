import json

import pytest
from rectangles import load_rectangles, photo

from tools import verify
from uniface_mx.image import read_image, write_image


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs the tool in a folder of photos with the model of rectangles."""
    load_rectangles(monkeypatch)
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / 'ann.png', photo(300, 300, (30, 40, 90, 110, 230, 10)))
    write_image(tmp_path / 'ann2.png', photo(600, 600, (60, 60, 160, 160, 230, 20)))
    write_image(tmp_path / 'bob.png', photo(300, 300, (30, 40, 90, 110, 230, 250)))
    write_image(
        tmp_path / 'both.png', photo(300, 300, (30, 40, 90, 110, 230, 250), (150, 150, 190, 190, 230, 10))
    )
    write_image(tmp_path / 'none.png', photo(300, 300))
    (tmp_path / 'text.png').write_text('no photo')
    return lambda *arguments: verify.main(['--model', 'any', *arguments])


def test_same(run, capsys):
    assert run('ann.png', 'ann2.png') == 0
    out = capsys.readouterr().out.splitlines()
    # cos(10 / 255 * pi / 2 of a turn) against 20: the angles differ by 3.53 degrees.
    assert out[0] == 'same person: similarity 0.998, threshold 0.800'
    assert out[1:] == [
        '  ann.png: face of 60x70 at 30,40 (0.90)',
        '  ann2.png: face of 100x100 at 60,60 (0.90)',
    ]


def test_different(run, capsys):
    assert run('ann.png', 'bob.png', '--json') == 1
    told = json.loads(capsys.readouterr().out)
    assert (told['same'], told['threshold'], told['similarity']) == (False, 0.8, 0.0923)
    assert [face['photo'] for face in told['faces']] == ['ann.png', 'bob.png']
    assert told['faces'][1]['box'] == [30, 40, 90, 110]
    assert run('ann.png', 'bob.png', '--threshold', '0.05') == 0
    assert run('ann.png', 'ann2.png', '--threshold', '0.999') == 1


def test_largest_or_any_face(run):
    assert run('ann.png', 'both.png') == 1
    assert run('ann.png', 'both.png', '--any') == 0


def test_picture_of_what_was_compared(run, tmp_path):
    assert run('ann.png', 'ann2.png', '--out', 'pair.jpg') == 0
    assert read_image(tmp_path / 'pair.jpg').shape == (320, 640, 3)


@pytest.mark.parametrize(
    'name, reason',
    [('none.png', 'no face found'), ('text.png', 'not an image'), ('missing.png', 'no such file')],
)
def test_trouble(run, capsys, name, reason):
    assert run('ann.png', name) == 2
    assert f'verify: {name}: {reason}' in capsys.readouterr().err


def test_a_compared_photo_is_not_overwritten(run, capsys, tmp_path):
    before = (tmp_path / 'ann2.png').read_bytes()
    assert run('ann.png', 'ann2.png', '--out', './ann2.png') == 2
    assert 'would overwrite' in capsys.readouterr().err and (tmp_path / 'ann2.png').read_bytes() == before


def test_exported_model(exported_model, real_data, capsys):
    photos = [str(real_data / 'photos' / name) for name in ('obama.jpg', 'obama2.jpg')]
    # Random weights, for which all people are one.
    assert verify.main(['--model', str(exported_model), *photos]) == 0
    assert verify.main(['--model', str(exported_model), '--threshold', '1', *photos]) == 1
