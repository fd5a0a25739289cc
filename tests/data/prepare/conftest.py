import pytest
from fakes import PATTERN, TEACHERS, prepare, write_photos

from uniface_mx.data.prepare.worker import Job


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
    prepare(f'folder:{photos}{PATTERN}', name, job)
    return name
