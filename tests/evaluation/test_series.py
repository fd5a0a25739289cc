import pytest

from uniface_mx.evaluation.results import write_result
from uniface_mx.evaluation.series import is_done, option_words
from uniface_mx.evaluation.subject import hash_model
from uniface_mx.models.files import ModelFiles


@pytest.mark.parametrize(
    'key, value, words',
    [
        ('limit', 5, ['--limit', '5']),
        ('sample_seed', 0, ['--sample-seed', '0']),
        ('seed', [0, 1], ['--seed', '0', '1']),
        ('no_mirror', True, ['--no-mirror']),
        ('no_mirror', False, []),
        ('margin', 0.5, ['--margin', '0.5']),
    ],
)
def test_options_as_words(key, value, words):
    assert option_words(key, value) == words


def test_what_is_done(tmp_path):
    ModelFiles(tmp_path / 'lite').write_manifest({'files': []})
    out, words = tmp_path / 'out', ['cost', '--model', 'lite']
    assert not is_done(out, tmp_path / 'lite', words)

    def put(name, sha256, command):
        subject = {'name': 'lite', 'identity': {'sha256': sha256}}
        write_result(out, name, subject=subject, data={}, metrics={}, command=['tools/evaluate.py', *command])

    sha256 = hash_model(tmp_path / 'lite')
    put('other_weights', 'x', words)
    put('other_options', sha256, words + ['--limit', '5'])
    write_result(out, 'no_identity', subject={'name': 'x'}, data={}, metrics={}, command=words)
    (out / 'damaged.json').write_text('{')
    assert not is_done(out, tmp_path / 'lite', words)
    put('cost', sha256, words)
    assert is_done(out, tmp_path / 'lite', words + ['--cache', 'elsewhere', '--no-progress'])
    elsewhere = ['cost', '--model', '../runs/lite', '--out', '../out']
    assert is_done(out, tmp_path / 'lite', elsewhere)
    assert not is_done(out, tmp_path / 'lite', elsewhere + ['--limit', '6'])
