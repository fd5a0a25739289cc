"""The C program that reads a photo sees what the predictor sees."""

import subprocess

import numpy as np
import pytest
from compiling import compile_example
from PIL import Image

from uniface_mx.deploy.predictor import Predictor
from uniface_mx.geometry import area
from uniface_mx.image import write_image


@pytest.fixture(scope='module')
def program(tmp_path_factory):
    return compile_example('faces', tmp_path_factory.mktemp('c'))


def run(program, *arguments):
    return subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True, timeout=300)


def rows(faces):
    return np.array([[face.score, *face.box, *face.landmarks.ravel()] for face in faces])


@pytest.mark.parametrize('width, height', [(640, 480), (333, 500), (200, 120), (300, 300)])
def test_the_predictor_s_faces(program, exported_model, tmp_path, width, height):
    coarse = Image.fromarray(np.random.RandomState(width).randint(0, 255, (5, 5, 3), dtype=np.uint8))
    write_image(tmp_path / 'photo.png', np.asarray(coarse.resize((width, height), Image.BICUBIC)))
    expected = rows(Predictor.load(exported_model, score_threshold=0.3)(str(tmp_path / 'photo.png')))
    assert len(expected)
    done = run(program, exported_model, tmp_path / 'photo.png', 0.3)
    assert done.returncode == 0, done.stderr
    found = np.array([line.split() for line in done.stdout.splitlines()], float)
    assert found.shape[1] == 15 and np.all(np.diff(found[:, 0]) <= 0)
    # Random weights see faces in the letterbox's padding, which the predictor leaves out.
    inside = area(np.clip(found[:, 1:5], 0, np.tile([width, height], 2))) > 0
    assert np.count_nonzero(inside) == len(expected)
    pixel = max(width, height) / 300
    # Both round colours while they resize, and random weights see overlapping faces of nearly one score, of
    # which either may be suppressed.
    distances = np.abs(found[inside][None] - expected[:, None]).max(axis=2).min(axis=1) / pixel
    assert np.mean(distances < 0.5) > 0.9


@pytest.mark.parametrize(
    'arguments, status, message',
    [
        (['photo.jpg'], 2, 'usage: faces PREFIX PHOTO'),
        (['nowhere', 'photo.jpg'], 1, 'nowhere-symbol.json: No such file'),
    ],
)
def test_bad_arguments(program, arguments, status, message):
    done = run(program, *arguments)
    assert done.returncode == status and message in done.stderr and not done.stdout


@pytest.mark.parametrize('content', [None, b'', b'no picture'])
def test_bad_photos(program, exported_model, tmp_path, content):
    if content is not None:
        (tmp_path / 'photo.jpg').write_bytes(content)
    done = run(program, exported_model, tmp_path / 'photo.jpg')
    assert done.returncode == 1 and done.stderr.startswith('faces: ') and not done.stdout
    assert done.stderr.count('\n') == 1
