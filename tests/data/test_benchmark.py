import json

from tools.benchmark import main


def test_every_step_is_measured(tmp_path, write_set, capsys):
    name, out = write_set(tmp_path / 'photos', 8), tmp_path / 'speed.json'
    options = '--size 64 --batch 2 --seconds 0.02'.split()
    assert main(['data', '--records', name, *options, '--out', str(out)]) == 0
    figures = json.loads(out.read_text())
    names = [row['name'] for row in figures['rows']]
    assert sum('ImageDetRecordIter' in name for name in names) == 2
    assert any('all transforms' in name for name in names)
    assert all(row['per_second'] > 0 and row['cpu_ms'] > 0 for row in figures['rows'])
    assert all(name in capsys.readouterr().out for name in names[:1])


def test_a_missing_set_is_one_line(tmp_path, capsys):
    assert main(['data', '--records', str(tmp_path / 'none')]) == 2
    assert 'none.json' in capsys.readouterr().err
