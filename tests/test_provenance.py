import json
import subprocess

import pytest

from uniface_mx import provenance
from uniface_mx.provenance import write_json


def test_what_cannot_be_written_leaves_the_old_file(tmp_path):
    path = write_json(tmp_path / 'a.json', {'old': 1})
    with pytest.raises(TypeError):
        write_json(path, {'new': object()})
    assert json.loads(path.read_text()) == {'old': 1}


def test_results_are_no_modification(tmp_path, monkeypatch):
    def git(*words):
        subprocess.run(
            ['git', '-c', 'user.name=x', '-c', 'user.email=x', *words],
            cwd=str(tmp_path),
            check=True,
            stdout=subprocess.DEVNULL,
        )

    files = [tmp_path / name for name in ('package/results.py', 'README', 'experiments/results/a/lfw.json')]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text('1')
    git('init', '-q')
    git('add', '.')
    git('commit', '-qm', 'x')
    monkeypatch.setattr(provenance, '__file__', str(files[0]))
    assert provenance.git_revision()['modified'] is False and len(provenance.git_revision()['commit']) == 40
    files[2].write_text('2')
    assert provenance.git_revision()['modified'] is False
    files[1].write_text('2')
    assert provenance.git_revision()['modified'] is True


def test_another_repositorys_commit_is_not_ours(tmp_path, monkeypatch):
    subprocess.run(['git', 'init', '-q'], cwd=str(tmp_path), check=True)
    commit = ['git', '-c', 'user.name=x', '-c', 'user.email=x', 'commit', '-qm', 'x', '--allow-empty']
    subprocess.run(commit, cwd=str(tmp_path), check=True)
    module = tmp_path / 'environment' / 'results.py'
    module.parent.mkdir()
    module.touch()
    monkeypatch.setattr(provenance, '__file__', str(module))
    assert provenance.git_revision() == {'commit': None}


def test_commands_tell_no_folder_of_this_machine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [
        str(tmp_path / 'tools' / 'evaluate.py'),
        'points:/home/ann/aflw.txt?order=mtfl',
        '--model=/home/ann/models/lite',
        '../shared/data/lfw',
        'runs/lite_a',
        '20/10',
        'MODULE:CLASS',
    ]
    kept = provenance.portable(words)
    assert kept == [
        'tools/evaluate.py',
        'points:.../aflw.txt?order=mtfl',
        '--model=.../lite',
        '../shared/data/lfw',
        'runs/lite_a',
        '20/10',
        'MODULE:CLASS',
    ]
    assert provenance.portable(kept) == kept
    assert provenance.provenance(words)['command'] == kept
