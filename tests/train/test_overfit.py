"""What is said of records that were to be learned by heart."""

import json

import yaml

from tools.overfit import main
from uniface_mx.train import overfit


def test_what_overfit_says(configuration, records, tmp_path, capsys):
    model = yaml.safe_load(configuration.path.read_text())['model']
    settings = [f'model.{key}={value}' for key, value in model.items()]
    settings += ['training.iterations=2', 'training.batch_size=1', 'training.precision=float32']
    arguments = ['--records', str(records / 'faces'), '--count', '2', '--out', str(tmp_path / 'run')]
    arguments += [f'--set={one}' for one in settings]
    assert main(arguments) == 1
    shown = capsys.readouterr().out
    assert shown.endswith('failed: the limit is 5%, and every face\n') and 'mimic loss' in shown
    assert main(arguments) == 2
    assert 'run: holds a finished run' in capsys.readouterr().err


def test_overfit_passes_where_every_term_fell(tmp_path):
    first = {'classification': 1.0, 'box': 1.0, 'landmarks': 2.0, 'mimic': 0.5}
    last = {'classification': 0.04, 'box': 0.03, 'landmarks': 0.02, 'mimic': 0.01}

    def passed(recall=1.0, variance=0.3, **changes):
        rows = [
            {'kind': 'train', 'iteration': 1, **first},
            {'kind': 'train', 'iteration': 9, **last, **changes},
            {'kind': 'validation', 'iteration': 9, 'recall': recall},
        ]
        (tmp_path / 'metrics.jsonl').write_text('\n'.join(map(json.dumps, rows)))
        return overfit.figures(tmp_path, variance)

    found = passed()
    parts = {'classification': 0.04, 'box': 0.03, 'landmarks': 0.01, 'mimic': 0.02}
    assert found['passed'] and found['parts'] == parts
    assert not passed(recall=0.99)['passed'] and not passed(box=0.06)['passed']
    assert not passed(variance=0.1)['passed']
