"""The program, and the proof on real photos with the weights of the npm package nsfwjs."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tools import import_backbone

PACKAGE = 'nsfwjs@4.3.0'
SHA256 = '4496790efc9bdc6f3e85a826a8e482c1fa1e9db4b3d18c095e98cc0c73cfb12f'
# Ordinary photos, and one of which TensorFlow.js 4 itself is less sure: there its probabilities are known.
ORDINARY = ('biden.jpg', 'obama.jpg', 'bald_guys.jpg', 'two_people.jpg')
KNOWN = ('obama_and_biden.jpg', {'Neutral': 0.858, 'Sexy': 0.133, 'Porn': 0.005})


@pytest.fixture(scope='module')
def nsfwjs():
    """The package as npm brings it, kept in the user's cache."""
    cache = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'uniface_mx'
    path = cache / 'nsfwjs-4.3.0.tgz'
    if not path.is_file():
        if shutil.which('npm') is None:
            pytest.skip(f'no npm to bring {PACKAGE}; put its .tgz at {path}')
        cache.mkdir(parents=True, exist_ok=True)
        try:
            fetched = subprocess.run(
                ['npm', 'pack', '--silent', PACKAGE],
                cwd=str(cache),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=120,
                check=False,
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f'npm cannot bring {PACKAGE} within two minutes')
        if fetched.returncode or not path.is_file():
            pytest.skip(f'npm cannot bring {PACKAGE}: {fetched.stdout.strip()[-200:]}')
    assert hashlib.sha256(path.read_bytes()).hexdigest() == SHA256, f'{path} is not the package'
    return path


def test_real_photos_are_called_neutral(nsfwjs, real_data, tmp_path, capsys):
    photos = [str(real_data / 'photos' / name) for name in ORDINARY + KNOWN[:1]]
    out = tmp_path / 'trunk.params'
    assert import_backbone.main([str(nsfwjs), '--out', str(out), '--check'] + photos) == 0
    printed = capsys.readouterr().out
    with capsys.disabled():
        print('\n' + printed)
    said = {
        line.split(':')[0]: dict(re.findall(r'(\w+) (\d\.\d+)', line.split(':', 1)[1]))
        for line in printed.splitlines()[3:]
    }
    assert sorted(said) == sorted(photos)
    for photo in photos[:4]:
        assert float(said[photo]['Neutral']) >= 0.9, photo
    for label, probability in KNOWN[1].items():
        assert float(said[photos[4]][label]) == pytest.approx(probability, abs=0.02)
    assert '0 unused: -' in printed
    description = json.loads(out.with_suffix('.json').read_text())
    assert description['count_include_pad'] is False
    assert description['scaling']['name'] == 'unit'
    used = description['tensors']['used']
    assert sorted(theirs for theirs in used.values() if theirs.endswith('/kernel')) == sorted(
        f'conv2d_{number}/kernel' for number in range(1, 95)
    )
    assert sum(theirs == 'none: 1' for theirs in used.values()) == 94
    assert used['trunk_mixed_7b_branch3x3_1b_conv_weight'] == 'conv2d_80/kernel'


@pytest.mark.parametrize('content, message', [(None, 'no such file'), (b'text', 'cannot be read as weights')])
def test_one_line_says_what_is_wrong(content, message, tmp_path, capsys):
    source = tmp_path / 'source.params'
    if content is not None:
        source.write_bytes(content)
    assert import_backbone.main([str(source), '--out', str(tmp_path / 'trunk.params')]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f'import_backbone: {source}: ') and message in error
    assert error.count('\n') == 1
    assert not (tmp_path / 'trunk.params').exists()


def test_weights_of_another_network_are_refused(tmp_path, capsys):
    import mxnet as mx

    source = tmp_path / 'source.params'
    mx.nd.save(str(source), {'features.0.weight': mx.nd.zeros((64, 3, 7, 7))})
    assert import_backbone.main([str(source), '--out', str(tmp_path / 'trunk.params')]) == 2
    assert 'no Inception-v3 of full width: features.0.0.weight is missing' in capsys.readouterr().err
