"""Fixtures of the sources' tests: small images, and the larger real sets where they are."""

import os

import pytest
from PIL import Image

from uniface_mx.image import ORIENTATION
from uniface_mx.paths import data_root


@pytest.fixture
def write_image(tmp_path):
    """A function that writes an image of one colour below `tmp_path`."""

    def write(name, width=100, height=80, orientation=None):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        if orientation:
            exif[ORIENTATION] = orientation
        Image.new('RGB', (width, height), (90, 120, 150)).save(path, exif=exif)
        return path

    return write


@pytest.fixture(scope='session')
def real_sets():
    """The folder of the larger sets; the test is skipped where there is none."""
    root = os.environ.get('UNIFACE_SETS') or data_root().parent.parent / 'sets'
    if not os.path.isdir(root):
        pytest.skip(f'no larger sets at {root}: set UNIFACE_SETS')
    return root
