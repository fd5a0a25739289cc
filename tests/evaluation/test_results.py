import numpy as np
import pytest

from uniface_mx.evaluation.results import ResultError, percent, read_result, read_results, shown, write_result


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
        *('format', 'name', 'subject', 'data', 'metrics'),
        *('command', 'date', 'revision', 'versions', 'machine'),
    }
    assert result['versions']['numpy'] == np.__version__
    assert result['machine']['cores'] >= 1
    assert [item.name for item in path.parent.iterdir()] == ['lfw.json']
    assert list(read_results(tmp_path)) == [path]


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
    assert read_results(tmp_path) == {}
    (tmp_path / 'run' / 'broken.json').write_text('{')
    with pytest.raises(ResultError, match='broken.json'):
        read_results(tmp_path)


def test_shares():
    assert (percent(0.98984), percent(0.9, 0.0283), percent(None)) == ('98.98', '90.00 ± 2.83', None)
    assert (shown(0.5), shown(None)) == ('50.00 %', 'none')
