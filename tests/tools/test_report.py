from tools import report
from uniface_mx.evaluation.results import write_result


def test_report(tmp_path, capsys):
    arguments = ['--results', str(tmp_path / 'results'), '--out', str(tmp_path / 'RESULTS.md')]
    assert report.main(arguments) == 2
    assert capsys.readouterr().err == f'report: {tmp_path / "results"}: no such folder of results\n'
    path = write_result(
        tmp_path / 'results' / 'lite_b',
        'cost',
        subject={'name': 'lite_b'},
        data={},
        metrics={'parameters': 1234567},
    )
    assert report.main(arguments) == 0
    assert '1,234,567' in (tmp_path / 'RESULTS.md').read_text()
    path.write_text('{')
    assert report.main(arguments) == 2
    assert 'cost.json: not a readable result file' in capsys.readouterr().err
