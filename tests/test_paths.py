from pathlib import Path

from uniface_mx.paths import PACKAGE, data_root, resource


def test_data_root_is_what_the_environment_says(monkeypatch):
    monkeypatch.setenv('UNIFACE_DATA', '/somewhere/data')
    assert data_root() == Path('/somewhere/data')


def test_data_root_takes_the_home_folder(monkeypatch):
    monkeypatch.setenv('HOME', '/home/somebody')
    monkeypatch.setenv('UNIFACE_DATA', '~/data')
    assert data_root() == Path('/home/somebody/data')


def test_data_root_lies_beside_the_checkout_by_default(monkeypatch):
    monkeypatch.delenv('UNIFACE_DATA', raising=False)
    assert data_root() == PACKAGE.parent.parent / 'shared' / 'data'
    monkeypatch.setenv('UNIFACE_DATA', '')
    assert data_root() == PACKAGE.parent.parent / 'shared' / 'data'


def test_resources_lie_inside_the_package_or_beside_it():
    assert resource('nn') == PACKAGE / 'nn'
    assert resource('no_such_folder') == PACKAGE.parent / 'no_such_folder'
