import json
import subprocess

import numpy as np
import pytest

from uniface_mx import provenance as results
from uniface_mx.provenance import ResultError, read_result, read_results, write_json, write_result


def test_round_trip(tmp_path):
    path = write_result(
        tmp_path / 'model',
        'lfw',
        subject={'name': 'model'},
        data={'path': tmp_path},
        metrics={'accuracy': np.float32(0.5), 'folds': np.array([1, 2]), 'none': float('nan')},
        command=['evaluate.py', 'lfw'],
    )
    assert path == tmp_path / 'model' / 'lfw.json'
    result = read_result(path)
    assert result['metrics'] == {'accuracy': 0.5, 'folds': [1, 2], 'none': None}
    assert result['command'] == ['evaluate.py', 'lfw']
    assert set(result) == {
        'format',
        'name',
        'subject',
        'data',
        'metrics',
        'command',
        'date',
        'revision',
        'versions',
        'machine',
    }
    assert result['versions']['numpy'] == np.__version__
    assert result['machine']['cores'] >= 1
    assert [item.name for item in path.parent.iterdir()] == ['lfw.json']
    assert [found['path'] for found in read_results(tmp_path)] == [path]


def test_what_cannot_be_written_leaves_the_old_file(tmp_path):
    path = write_json(tmp_path / 'a.json', {'old': 1})
    with pytest.raises(TypeError):
        write_json(path, {'new': object()})
    assert json.loads(path.read_text()) == {'old': 1}


@pytest.mark.parametrize(
    'text, complaint',
    [
        ('{', 'not a readable result'),
        ('[]', 'lacks format'),
        ('{"format": 1, "name": "x"}', 'lacks subject, data, metrics'),
        ('{"format": 9, "name": "x", "subject": {}, "data": {}, "metrics": {}}', 'result format 9'),
    ],
)
def test_no_result(tmp_path, text, complaint):
    path = tmp_path / 'x.json'
    path.write_text(text)
    with pytest.raises(ResultError, match=complaint):
        read_result(path)


def test_other_json_files_are_passed_over_and_broken_ones_are_not(tmp_path):
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run' / 'summary.json').write_text('{"loss": 1}')
    assert read_results(tmp_path) == []
    (tmp_path / 'run' / 'broken.json').write_text('{')
    with pytest.raises(ResultError, match='broken.json'):
        read_results(tmp_path)


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
    monkeypatch.setattr(results, '__file__', str(files[0]))
    assert results.git_revision()['modified'] is False and len(results.git_revision()['commit']) == 40
    files[2].write_text('2')
    assert results.git_revision()['modified'] is False
    files[1].write_text('2')
    assert results.git_revision()['modified'] is True


def test_another_repositorys_commit_is_not_ours(tmp_path, monkeypatch):
    subprocess.run(['git', 'init', '-q'], cwd=str(tmp_path), check=True)
    commit = ['git', '-c', 'user.name=x', '-c', 'user.email=x', 'commit', '-qm', 'x', '--allow-empty']
    subprocess.run(commit, cwd=str(tmp_path), check=True)
    module = tmp_path / 'environment' / 'results.py'
    module.parent.mkdir()
    module.touch()
    monkeypatch.setattr(results, '__file__', str(module))
    assert results.git_revision() == {'commit': None}


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
    kept = results.portable(words)
    assert kept == [
        'tools/evaluate.py',
        'points:.../aflw.txt?order=mtfl',
        '--model=.../lite',
        '../shared/data/lfw',
        'runs/lite_a',
        '20/10',
        'MODULE:CLASS',
    ]
    assert results.portable(kept) == kept
    path = write_result(tmp_path, 'x', subject={}, data={}, metrics={}, command=words)
    assert read_result(path)['command'] == kept
