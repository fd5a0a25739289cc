import pytest

from uniface_mx.files import files_aside, written_aside


def test_the_file_is_there_at_the_end(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('before')
    with written_aside(str(path)) as aside:
        aside.write_text('after')
        assert path.read_text() == 'before' and aside.parent == tmp_path
    assert path.read_text() == 'after' and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize('error', [OSError, KeyboardInterrupt])
def test_after_an_error_all_is_as_it_was(tmp_path, error):
    path = tmp_path / 'a.txt'
    path.write_text('before')
    with pytest.raises(error):
        with written_aside(path) as aside:
            aside.write_text('half')
            raise error
    assert path.read_text() == 'before' and list(tmp_path.iterdir()) == [path]


def test_an_error_names_the_file_that_was_wanted(tmp_path):
    with pytest.raises(OSError) as failure:
        with written_aside(tmp_path / 'nowhere' / 'a.txt') as aside:
            aside.write_text('a')
    assert failure.value.filename == str(tmp_path / 'nowhere' / 'a.txt')


def test_a_file_that_was_never_written(tmp_path):
    with pytest.raises(FileNotFoundError):
        with written_aside(tmp_path / 'a.txt'):
            pass
    assert not list(tmp_path.iterdir())


def test_files_are_there_at_the_end(tmp_path):
    folder = tmp_path / 'new' / 'folder'
    with files_aside(folder) as aside:
        (aside / 'a.txt').write_text('a')
        (aside / 'b.txt').write_text('b')
        assert list(folder.iterdir()) == [aside]
    assert {path.name: path.read_text() for path in folder.iterdir()} == {'a.txt': 'a', 'b.txt': 'b'}


@pytest.mark.parametrize('error', [OSError, KeyboardInterrupt])
def test_after_an_error_the_folder_is_as_it_was(tmp_path, error):
    (tmp_path / 'a.txt').write_text('before')
    with pytest.raises(error):
        with files_aside(tmp_path) as aside:
            (aside / 'a.txt').write_text('after')
            raise error
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {'a.txt': 'before'}
