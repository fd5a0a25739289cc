"""Results of a model in its manifest."""

import pytest
from reporting import add, lfw

from tools.evaluate import main
from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation.publish import publish
from uniface_mx.evaluation.subject import hash_model
from uniface_mx.models.files import ManifestError, ModelFiles


@pytest.fixture
def model(tmp_path):
    """The prefix of a model whose one file is no model."""
    (tmp_path / 'm-symbol.json').write_text('{}')
    thresholds = {'score': 0.5, 'verification': None}
    ModelFiles(tmp_path / 'm').write_manifest(
        {'name': 'm', 'files': ['m-symbol.json'], 'thresholds': thresholds}
    )
    return tmp_path / 'm'


@pytest.fixture
def results(tmp_path, model):
    identity = {'sha256': hash_model(model)}
    add(tmp_path, 'results', 'lfw', dict(lfw(), threshold=0.31, strict_threshold=0.42), identity=identity)
    add(tmp_path, 'results', 'fddb_crops', {'discrete': {'100': 0.9}, 'faces': 7}, identity=identity)
    add(tmp_path, 'results', 'speed', {'rows': []}, identity={'sha256': 'of another'})
    return tmp_path / 'results'


def test_threshold_and_figures(model, results, capsys):
    before = hash_model(model)
    assert main(['publish', '--model', str(model), '--results', str(results), '--licence', 'research']) == 0
    assert 'from a similarity of 0.310 on; figures of fddb_crops, lfw' in capsys.readouterr().out
    manifest = ModelFiles(model).verify()
    assert manifest['thresholds'] == {'score': 0.5, 'verification': 0.31, 'identification': 0.42}
    assert manifest['results'] == {
        'lfw': {'accuracy': 0.9, 'std': 0.0283, 'area': 0.95},
        'fddb_crops': {'discrete': {'100': 0.9}},
    }
    assert manifest['licence'] == 'research' and hash_model(model) == before


def test_results_of_another_model_or_none(model, results, tmp_path, capsys):
    add(tmp_path, 'results', 'landmarks_x', {'error': 0.1}, identity={'sha256': 'of another'})
    with pytest.raises(UnifaceError, match='landmarks_x.json: about another model'):
        publish(model, results)
    assert ModelFiles(model).verify()['thresholds']['verification'] is None
    with pytest.raises(UnifaceError, match='no lfw.json'):
        publish(model, tmp_path / 'nothing')
    with pytest.raises(ManifestError, match='no such manifest'):
        publish(tmp_path / 'other', results)
    assert main(['publish', '--model', str(model), '--results', str(tmp_path / 'nothing')]) == 2
    assert capsys.readouterr().err.startswith('evaluate: ')
