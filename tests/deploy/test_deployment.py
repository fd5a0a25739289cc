"""The documentation's blocks do what it says, run one after the other in a folder with two photos."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from calibrating import face, write
from PIL import Image

from uniface_mx.image import write_image

pytest.importorskip('faiss')
pytest.importorskip('onnxruntime')

ROOT = Path(__file__).resolve().parents[2]
# What tells the documentation's blocks from each other, the first that occurs.
KINDS = '--int8 uniface-export similarity Predictor uniface-detect onnxruntime Module ./find-faces'.split()
BLOCK = re.compile(r'^```(sh|python)\n(.*?)^```$', re.MULTILINE | re.DOTALL)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Two photos, a record set, the examples, and every program of ``tools/`` as a command.

    The first photo is square: the predictor leaves out what random weights see in a letterbox's padding.
    """
    folder = tmp_path_factory.mktemp('deployment')
    random = np.random.RandomState(5)
    for name, size in (('photo.jpg', (480, 480)), ('second.jpg', (360, 500))):
        coarse = Image.fromarray(random.randint(0, 255, (6, 6, 3), dtype=np.uint8))
        write_image(folder / name, np.asarray(coarse.resize(size, Image.BICUBIC)))
    write(folder / 'records', [[face(0.2, 0.2, 0.4)]] * 8)
    (folder / 'examples').symlink_to(ROOT / 'examples')
    (folder / 'bin').mkdir()
    commands = {'uniface-' + tool.stem.replace('_', '-'): tool for tool in (ROOT / 'tools').glob('[a-z]*.py')}
    for name, tool in dict(commands, python='').items():
        command = folder / 'bin' / name
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" {tool} "$@"\n')
        command.chmod(0o755)
    return folder


def run(folder, language, code):
    """What a block prints; it must end with status 0."""
    environment = dict(os.environ, PYTHONPATH=str(ROOT), PATH=f'{folder / "bin"}:{os.environ["PATH"]}')
    command = [sys.executable, '-c', code] if language == 'python' else ['sh', '-e', '-c', code]
    done = subprocess.run(
        command, cwd=str(folder), env=environment, capture_output=True, timeout=300, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def blocks(document, section=''):
    """Language and code of a document's blocks, or of one section's."""
    text = (ROOT / document).read_text()
    found = BLOCK.findall(text[text.index(section) :].split('\n## ')[0] if section else text)
    assert found
    return found


def faces(text):
    """The lines ``score x1 y1 x2 y2``, by score."""
    rows = np.array([line.split() for line in text.splitlines()], float)
    return rows[np.argsort(-rows[:, 0], kind='stable')]


def test_deployment(folder):
    printed = {}
    for language, code in blocks('docs/deployment.md'):
        name = next(word for word in KINDS if word in code)
        if name == './find-faces' and not shutil.which('cc'):
            continue
        assert name not in printed
        printed[name] = run(folder, language, code)
    expected = faces(printed['Predictor'])
    assert len(expected) > 2
    for name in ('onnxruntime', 'Module', './find-faces'):
        found = faces(printed.get(name, printed['Predictor']))[:, :5]
        assert found.shape == expected.shape
        # Two faces of nearly one score may change places.
        distances = np.abs(expected[:, None] - found[None]).max(axis=2)
        assert distances.min(axis=0).max() <= 1 and distances.min(axis=1).max() <= 1
    assert 'lite, int8: calibrated on 8 photos' in printed['--int8']
    assert re.search(r'^similarity [01]\.\d\d$', printed['similarity'])
    assert 'same person' in printed['uniface-detect'] and 'Ann' in printed['uniface-detect']
    assert len((folder / 'faces.jsonl').read_text().splitlines()) == 2
    assert (folder / 'found' / 'photo.jpg').is_file() and (
        folder / 'found' / 'crops' / 'photo-0.jpg'
    ).is_file()


def test_readme(folder, real_data, tmp_path):
    """By the model that ships, on two photos of one person."""
    (tmp_path / 'bin').symlink_to(folder / 'bin')
    for name, photo in (('photo.jpg', 'obama.jpg'), ('second.jpg', 'obama2.jpg')):
        shutil.copyfile(str(real_data / 'photos' / photo), str(tmp_path / name))
    commands, example = (
        run(tmp_path, language, code) for language, code in blocks('README.md', '## Use it on your photos')
    )
    assert 'photo.jpg: ' in commands and 'same person' in commands and 'second.jpg: Ann' in commands
    assert (tmp_path / 'faces' / 'second.jpg').is_file()
    assert (tmp_path / 'faces' / 'crops' / 'second-0.jpg').is_file()
    assert '(128,)' in example
