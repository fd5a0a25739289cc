import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fakes import PATTERN, TEACHERS, write_photos

from uniface_mx.data.prepare.cache import Cache
from uniface_mx.data.prepare.executor import SerialExecutor
from uniface_mx.data.prepare.look import Job
from uniface_mx.data.prepare.make import make
from uniface_mx.data.sources import open_source


@pytest.fixture
def job():
    """The options of a run with fake teachers."""
    return Job(TEACHERS)


@pytest.fixture
def photos(tmp_path):
    """Twenty photos of seven people with a painted face each."""
    return write_photos(tmp_path / 'photos', 20)


@pytest.fixture
def prepared(tmp_path, photos, job):
    """The name of the record set of `photos`."""
    name = str(tmp_path / 'prepared')
    make(open_source(f'folder:{photos}{PATTERN}'), name, job, SerialExecutor(), Cache(None))
    return name
