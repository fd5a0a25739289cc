import os
import subprocess
import sys
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest

from tools import export as tool
from uniface_mx.deploy.backends import MxnetBackend
from uniface_mx.deploy.export import export_model
from uniface_mx.errors import UnifaceError
from uniface_mx.files import file_hash
from uniface_mx.models import PRESETS, get_model
from uniface_mx.models.files import (
    ManifestError,
    ModelFiles,
    load_arrays,
    load_weights,
    named_arrays,
    save_arrays,
)
from uniface_mx.models.randomize import randomize
from uniface_mx.models.uniface import inference_graphs
from uniface_mx.paths import resource

ROOT = Path(__file__).resolve().parents[2]
NAME = 'uniface_c_lite'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """What the tool writes for a model, by a process of its own; nobody may change it."""
    folder = tmp_path_factory.mktemp('export')
    command = (
        f'{sys.executable} tools/export.py --model {NAME} --random 3 --out {folder} --split --onnx'.split()
    )
    environment = dict(os.environ, PYTHONPATH=str(ROOT), PYTHONHASHSEED='7')
    printed = subprocess.run(
        command, cwd=str(ROOT), env=environment, check=True, capture_output=True, text=True
    )
    assert printed.stderr == ''
    assert len(printed.stdout.strip().split('\n')) == 6
    return folder


@pytest.fixture
def copy(folder, tmp_path):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.mark.parametrize('name', sorted(PRESETS))
def test_the_graphs_in_the_repository_are_what_the_code_makes(name):
    """`make symbols` after a change that is meant."""
    stored = (resource('symbols') / (name + '-symbol.json')).read_text()
    made = inference_graphs(get_model(name))['whole'].symbol.tojson() + '\n'
    assert stored == made, f'symbols/{name}-symbol.json has drifted from the code: run make symbols'


def test_a_graph_alone_with_plain_mxnet():
    symbol = mx.sym.load(str(ROOT / 'symbols' / 'uniface_a-symbol.json'))
    assert symbol.list_outputs() == ['detections_output', 'embeddings_output']
    assert symbol.infer_shape(data=(1, 3, 300, 300))[1] == [(1, 16, 15), (1, 16, 128)]
    internals = symbol.get_internals()
    shapes = dict(zip(internals.list_outputs(), internals.infer_shape(data=(1, 3, 300, 300))[1]))
    assert (1, 64, 144, 144) in shapes.values()
    assert shapes['decoder_anchors'] == (1, 5220, 4)
    assert symbol.attr_dict()['decoder_anchors']['__lr_mult__'] == '0.0'


def test_the_same_files_in_another_process_after_other_models(folder, tmp_path):
    get_model('uniface_d_lite', roi_op='align')(mx.sym.var('data'))
    for _ in range(2):
        net = get_model(NAME)
        randomize(net, 3)
        export_model(net, NAME, tmp_path, split=True)
        for path in tmp_path.glob('*-*'):
            assert file_hash(path) == file_hash(folder / path.name), path.name


def test_manifest(folder):
    manifest = ModelFiles(folder / NAME).verify()
    assert sorted(manifest['files']) == sorted(
        path.name for path in folder.iterdir() if path.name != NAME + '.json'
    )
    assert len(manifest['files']) == 7
    whole = manifest['graphs']['whole']
    assert whole['inputs'] == [{'name': 'data', 'shape': ['N', 3, 300, 300], 'dtype': 'float32'}]
    assert [(row['name'], row['shape']) for row in whole['outputs']] == [
        ('detections', ['N', 16, 15]),
        ('embeddings', ['N', 16, 128]),
    ]
    assert [row['name'] for row in manifest['graphs']['faces']['inputs']] == ['features', 'faces']
    assert manifest['model'] == {'name': NAME, 'overrides': {}, 'random': 3}
    assert manifest['max_faces'] == 16 and manifest['mean_embedding'] is None
    assert manifest['versions']['mxnet'] and manifest['onnx_opset'] == 13


def test_onnx_says_what_runtimes_need(folder):
    onnx = pytest.importorskip('onnx')
    model = onnx.load(str(folder / (NAME + '.onnx')))
    assert [entry.version for entry in model.opset_import] == [13]
    assert [entry.name for entry in model.graph.input] == ['data']
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize('file', ['-0000.params', '-symbol.json', '.onnx', '-faces-symbol.json'])
@pytest.mark.parametrize('position', [100, -100])
def test_a_flipped_bit_is_an_error_that_names_the_file(copy, file, position):
    flip(copy / (NAME + file), position)
    with pytest.raises(ManifestError, match=rf'{NAME}{file}: damaged or changed.*{NAME}\.json'):
        ModelFiles(copy / NAME).verify()
    assert ModelFiles(copy / NAME).manifest['name'] == NAME


def test_a_missing_file_and_a_missing_manifest(copy):
    (copy / (NAME + '.onnx')).unlink()
    with pytest.raises(ManifestError, match=rf'{NAME}\.onnx: missing'):
        ModelFiles(copy / NAME).verify()
    with pytest.raises(ManifestError, match=r'other\.json: no such manifest; give the prefix'):
        ModelFiles(copy / 'other').verify()


@pytest.mark.parametrize(
    'text, message',
    [
        ('{"nodes": []}', 'not a manifest of format 1'),
        ('[1, 2]', 'not a manifest'),
        ('', 'cannot be read'),
        ('{"format": 1', 'cannot be read'),
        ('{"format": 99, "files": {}}', 'not a manifest of format 1'),
        ('{"format": 1, "files": [1]}', 'not a manifest'),
        ('{"format": 1, "files": {"../x": "0"}}', 'missing'),
        ('\udcff', 'cannot'),
    ],
)
def test_foreign_json(tmp_path, text, message):
    (tmp_path / 'm.json').write_bytes(text.encode('utf-8', 'surrogateescape'))
    with pytest.raises(ManifestError, match=message):
        ModelFiles(tmp_path / 'm').verify()


def test_the_mean_embedding_is_subtracted(tmp_path):
    net = get_model(NAME)
    randomize(net, 3)
    mean = np.random.RandomState(0).normal(size=128).astype(np.float32)
    raw_bias = net.recognition.embedding.bias.data().asnumpy()
    export_model(net, 'centred', tmp_path, split=True, mean_embedding=mean)
    assert np.array_equal(net.recognition.embedding.bias.data().asnumpy(), raw_bias)
    manifest = ModelFiles(tmp_path / 'centred').verify()
    assert np.allclose(manifest['mean_embedding'], mean) and manifest['embedding']['centred']
    features = mx.nd.random.normal(shape=(1, 256, 9, 9))
    faces = mx.nd.array([[0, 60, 60, 200, 220, 100, 110, 160, 110, 130, 150, 105, 180, 155, 180]])
    expected = net.recognition(features, faces).asnumpy() - mean
    inputs = {'features': features.asnumpy(), 'faces': faces.asnumpy()}
    (actual,) = MxnetBackend(ModelFiles(tmp_path / 'centred')).run('faces', inputs)
    assert np.allclose(actual.asnumpy(), expected / np.linalg.norm(expected), atol=1e-5)


def export(options, out):
    """Status of the tool."""
    return tool.main([*options.split(), '--out', str(out)])


def test_overrides_and_other_names(tmp_path, capsys):
    assert export(f'--model {NAME} --random 0 --name mine --max-faces 3 --roi-op align', tmp_path) == 0
    assert 'mine, symbol: largest difference from Gluon' in capsys.readouterr().out
    assert ModelFiles(tmp_path / 'mine').verify()['model']['overrides'] == {'max_faces': 3, 'roi_op': 'align'}
    symbol = mx.sym.load(str(tmp_path / 'mine-symbol.json'))
    assert symbol.infer_shape(data=(1, 3, 300, 300))[1][0] == (1, 3, 15)


def test_params_in_every_dress(folder, tmp_path):
    """The exporter's own file, and Gluon's."""
    data = mx.nd.random.uniform(0, 255, (1, 3, 300, 300))
    net = get_model(NAME)
    load_weights(net, folder / (NAME + '-0000.params'))
    expected = net(data)[0].asnumpy()
    net.save_parameters(str(tmp_path / 'gluon.params'))
    other = get_model(NAME)
    load_weights(other, tmp_path / 'gluon.params')
    assert np.array_equal(other(data)[0].asnumpy(), expected)
    assert export(f'--model {NAME} --params {tmp_path}/gluon.params', tmp_path) == 0
    assert file_hash(tmp_path / (NAME + '-0000.params')) == file_hash(folder / (NAME + '-0000.params'))
    assert ModelFiles(tmp_path / NAME).verify()['model']['params'] == 'gluon.params'


def bad_params(folder, tmp_path):
    good = folder / (NAME + '-0000.params')
    arrays = load_arrays(good)
    content = good.read_bytes()
    (tmp_path / 'cut.params').write_bytes(content[: len(content) // 2])
    (tmp_path / 'empty.params').write_bytes(b'')
    (tmp_path / 'text.params').write_text('these are no weights')
    mx.nd.save(str(tmp_path / 'nameless.params'), [mx.nd.ones((2, 2))])
    name = 'arg:coarse_map_weight'
    save_arrays(tmp_path / 'shape.params', dict(arrays, **{name: mx.nd.ones((256, 99, 1, 1))}))
    save_arrays(tmp_path / 'axes.params', dict(arrays, **{name: mx.nd.ones((256, 512))}))
    save_arrays(
        tmp_path / 'anchors.params',
        dict(arrays, **{'arg:decoder_anchors': arrays['arg:decoder_anchors'] + 1}),
    )
    save_arrays(tmp_path / 'lacking.params', {key: value for key, value in arrays.items() if key != name})
    save_arrays(tmp_path / 'more.params', dict(arrays, **{'arg:stranger': mx.nd.ones((1,))}))
    return {
        'cut': 'cannot be read as weights',
        'empty': 'cannot be read',
        'text': 'cannot be read',
        'nameless': 'arrays without names',
        'absent': 'no such file',
        'shape': r'coarse_map_weight has shape \(256, 99, 1, 1\), the model wants \(256, 512, 1, 1\)',
        'axes': r'coarse_map_weight has shape \(256, 512\)',
        'anchors': 'made for other decoder_anchors',
        'lacking': r'made for another model: 1 weights missing \(coarse_map_weight\), 0 left over',
        'more': r'0 weights missing \(-\), 1 left over \(stranger\)',
    }


def test_bad_params(folder, tmp_path, capsys):
    for kind, message in bad_params(folder, tmp_path).items():
        path = tmp_path / (kind + '.params')
        with pytest.raises(Exception, match=rf'{path.name}.*{message}'):
            load_weights(get_model(NAME), path)
        assert export(f'--model {NAME} --params {path}', tmp_path / 'out') == 2
        captured = capsys.readouterr()
        assert captured.out == '' and captured.err.startswith('export: ') and captured.err.count('\n') == 1
        assert path.name in captured.err
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('other', ['uniface_d_lite', 'uniface_c'])
def test_params_of_another_model(folder, other, capsys, tmp_path):
    assert export(f'--model {other} --params {folder}/{NAME}-0000.params', tmp_path) == 2
    assert capsys.readouterr().err.count('\n') == 1


def test_bad_arguments(tmp_path, capsys):
    (tmp_path / 'file').write_text('')
    random = f'--model {NAME} --random 0'
    for options, out, message in (
        ('--model uniface_z --random 0', 'out', "unknown model 'uniface_z'"),
        (random + ' --max-faces 0', 'out', 'max_faces is 0'),
        (random, 'file', 'file'),
        (random + ' --name a/b', 'out', "'a/b': is no name of files"),
        (random + ' --name ..', 'out', "'..': is no name of files"),
    ):
        assert export(options, tmp_path / out) == 2
        captured = capsys.readouterr()
        assert message in captured.err and captured.err.count('\n') == 1
    for options in (
        '',
        random,
        f'--model {NAME} --out x',
        f'--model {NAME} --random -1 --out x',
        random + ' --params x --out x',
        random + ' --calibrate records --out x',
        f'--model {NAME} --exported {NAME} --out x',
        f'--model {NAME} --run run --out x',
        f'--exported {NAME} --checkpoint last --out x',
    ):
        with pytest.raises(SystemExit) as ended:
            tool.main(options.split())
        assert ended.value.code == 2
        assert 'Traceback' not in capsys.readouterr().err


def test_a_failing_export_leaves_the_model_that_was_there(tmp_path, monkeypatch, capsys):
    random = f'--model {NAME} --random 0 --name mine'
    assert export(random, tmp_path) == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setitem(sys.modules, 'onnx', None)
    capsys.readouterr()
    assert export(random + ' --onnx', tmp_path) == 2
    assert capsys.readouterr().err == 'export: ONNX export needs the package onnx: pip install onnx==1.16.2\n'
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert ModelFiles(tmp_path / 'mine').verify()['name'] == 'mine'


def test_weights_that_cannot_be_written(tmp_path):
    path = tmp_path / 'missing' / 'a.params'
    with pytest.raises(UnifaceError, match='a.params: cannot be written'):
        save_arrays(path, {'a': mx.nd.zeros(1)})


def test_weights_cut_short_are_not_kept(tmp_path, monkeypatch):
    path, save = tmp_path / 'a.params', mx.nd.save
    save_arrays(path, {'a': mx.nd.ones(1)})

    def full(name, arrays):
        save(name, arrays)
        os.truncate(name, os.path.getsize(name) - 4)

    monkeypatch.setattr(mx.nd, 'save', full)
    with pytest.raises(UnifaceError, match='a.params: cannot be written'):
        save_arrays(path, {'a': mx.nd.zeros(1000)})
    assert [file.name for file in tmp_path.iterdir()] == ['a.params']
    assert mx.nd.load(str(path))['a'].asscalar() == 1


def test_the_table_in_the_docs_is_what_the_tool_counts(capsys):
    assert tool.main(['--summary']) == 0
    assert capsys.readouterr().out.strip() in (ROOT / 'docs' / 'models.md').read_text()


def test_symbols_are_written(tmp_path, monkeypatch):
    monkeypatch.setattr(tool, 'PRESETS', {NAME: PRESETS[NAME]})
    assert tool.main(['--symbols', str(tmp_path)]) == 0
    assert [path.name for path in tmp_path.iterdir()] == [NAME + '-symbol.json']


def test_stock_names():
    net = get_model(NAME)
    randomize(net, 0)
    names = set(named_arrays(net))
    symbol = inference_graphs(net)['whole'].symbol
    assert names == (
        {'arg:' + name for name in symbol.list_arguments() if name != 'data'}
        | {'aux:' + name for name in symbol.list_auxiliary_states()}
    )


def test_randomize_is_the_same_for_a_seed():
    arrays = []
    for seed in (5, 5, 6):
        net = get_model(NAME)
        randomize(net, seed)
        arrays.append({name: array.asnumpy() for name, array in named_arrays(net).items()})
    assert all(np.array_equal(arrays[0][name], arrays[1][name]) for name in arrays[0])
    assert not np.array_equal(
        arrays[0]['aux:trunk_conv_1a_bn_running_mean'], arrays[2]['aux:trunk_conv_1a_bn_running_mean']
    )
