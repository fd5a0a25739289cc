"""The weights that ship: where faces are, where none are, and who is who."""

import itertools

import mxnet as mx
import numpy as np
import pytest

from uniface_mx import get_model
from uniface_mx.deploy.predictor import Predictor
from uniface_mx.models.files import ManifestError, ModelFiles

NAME = 'uniface_a_lite'


@pytest.fixture(scope='module')
def predictor():
    return Predictor.load(NAME)


def test_the_files():
    files = ModelFiles.find(NAME)
    for prefix in (files.prefix, str(files.prefix) + '.json'):
        assert ModelFiles.find(prefix).prefix == files.prefix
    manifest, weights = files.verify(), files.weights_path()
    assert weights.name in manifest['files'] and weights.stat().st_size <= 16e6
    assert 0 < manifest['thresholds']['verification'] < 1
    assert manifest['licence'] and manifest['training']['teachers']


@pytest.mark.parametrize('model', ['', '.', '/'])
def test_what_names_no_file(model):
    with pytest.raises(ManifestError, match='is no model'):
        ModelFiles.find(model)


def test_stock_mxnet_loads_it():
    prefix = str(ModelFiles.find(NAME).prefix)
    symbol, arguments, statistics = mx.model.load_checkpoint(prefix, 0)
    module = mx.mod.Module(symbol, data_names=['data'], label_names=None)
    module.bind(data_shapes=[('data', (1, 3, 300, 300))], for_training=False)
    module.set_params(arguments, statistics)
    data = mx.nd.random.uniform(0, 255, (1, 3, 300, 300))
    module.forward(mx.io.DataBatch([data]), is_train=False)
    block = mx.gluon.SymbolBlock.imports(prefix + '-symbol.json', ['data'], prefix + '-0000.params')
    for ours, theirs in zip(module.get_outputs(), block(data)):
        assert np.allclose(ours.asnumpy(), theirs.asnumpy(), atol=1e-4)


def test_by_name():
    """The network in Gluon gives what the exported graph gives."""
    data = mx.nd.random.uniform(0, 255, (1, 3, 300, 300))
    prefix = str(ModelFiles.find(NAME).prefix)
    block = mx.gluon.SymbolBlock.imports(prefix + '-symbol.json', ['data'], prefix + '-0000.params')
    for ours, exported in zip(get_model(NAME, pretrained=True)(data), block(data)):
        assert ours.shape == exported.shape and np.allclose(ours.asnumpy(), exported.asnumpy(), atol=1e-4)


def test_exported_anew_it_is_the_same_model(tmp_path):
    from tools.export import main

    assert main(['--exported', NAME, '--out', str(tmp_path), '--name', 'mine', '--split']) == 0
    before, after = ModelFiles.find(NAME).verify(), ModelFiles(tmp_path / 'mine').verify()
    for key in ('model', 'training', 'licence', 'mean_embedding', 'embedding', 'results', 'thresholds'):
        assert after[key] == before[key]
    assert after['files']['mine-0000.params'] == before['files'][NAME + '-0000.params']
    assert main(['--exported', NAME, '--out', str(tmp_path), '--name', 'align', '--roi-op', 'align']) == 0
    other = ModelFiles(tmp_path / 'align').verify()
    assert 'results' not in other and other['thresholds']['verification'] is None
    assert other['licence'] == before['licence'] and other['model']['overrides'] == {'roi_op': 'align'}


def test_six_people(predictor, real_data):
    faces = predictor(str(real_data / 'photos' / 't1.jpg'))
    assert len(faces) == 6


def test_dogs_are_no_people(predictor, real_data):
    assert predictor(str(real_data / 'photos' / 'dogs.jpg')) == []


def test_who_is_who(predictor, real_data):
    """Two photos of one person are nearer than any of two people."""
    embeddings = {
        name: predictor(str(real_data / 'photos' / (name + '.jpg')))[0].embedding
        for name in ('obama', 'obama2', 'biden')
    }
    similar = {
        pair: float(embeddings[pair[0]] @ embeddings[pair[1]])
        for pair in itertools.combinations(embeddings, 2)
    }
    assert max(similar, key=similar.get) == ('obama', 'obama2')
    assert similar['obama', 'obama2'] >= predictor.verification_threshold
