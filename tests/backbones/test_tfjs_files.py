import base64
import json
import tarfile

import numpy as np
import pytest

from uniface_mx.backbones.tfjs import read_tfjs_model
from uniface_mx.errors import UnifaceError


def entry(name, shape, **quantization):
    stored = {'quantization': quantization} if quantization else {}
    return dict(name=name, shape=shape, dtype='float32', **stored)


WEIGHTS = [
    entry('a/kernel', [2, 2], min=-0.5, scale=0.25, dtype='uint8'),
    entry('b/bias', [1], min=-1, scale=0.5, dtype='uint16'),
    entry('c/half', [1], dtype='float16'),
    entry('d/plain', [1]),
]
CONTENT = (
    bytes([0, 1, 2, 10]) + np.uint16(300).tobytes() + np.float16(0.125).tobytes() + np.float32(-3.5).tobytes()
)
NAME, CONFIG = 'a:b, !0 .5', {'sparse': False, 'use_bias': True, 'rate': 0.5, 'seed': None}
LAYERS = {'layers': [{'name': NAME, 'config': CONFIG}], 'output_layers': [[NAME, 0, 0]]}
MODEL = {
    'modelTopology': {'model_config': {'config': LAYERS}},
    'weightsManifest': [{'paths': ['group1-shard1of2', 'group1-shard2of2'], 'weights': WEIGHTS}],
}
MINIFIED = (
    '!function(a){x({modelTopology:1})}({1:[function(a,n,i){n.exports={modelTopology:{model_config:{config:'
    '{layers:[{name:"a:b, !0 .5",config:{sparse:!1,use_bias:!0,rate:.5,seed:null}}],'
    'output_layers:[["a:b, !0 .5",0,0]]}}},'
    'weightsManifest:[{paths:["group1-shard1of2","group1-shard2of2"],weights:['
    '{name:"a/kernel",shape:[2,2],dtype:"float32",quantization:{min:-.5,scale:.25,dtype:"uint8"}},'
    '{name:"b/bias",shape:[1],dtype:"float32",quantization:{min:-1,scale:5e-1,dtype:"uint16"}},'
    '{name:"c/half",shape:[1],dtype:"float32",quantization:{dtype:"float16"}},'
    '{name:"d/plain",shape:[1],dtype:"float32"}]}]}},{}]},{},[1])(1)});'
)
SHARD = '!function(d){return 0}({1:[function(d,h,Z){h.exports="BYTES"},{}]},{},[1])(1)});'


def plain(folder):
    folder.mkdir(parents=True)
    (folder / 'model.json').write_text(json.dumps(MODEL))
    (folder / 'group1-shard1of2').write_bytes(CONTENT[:5])
    (folder / 'group1-shard2of2').write_bytes(CONTENT[5:])
    return folder


def scripts(folder):
    folder.mkdir(parents=True)
    (folder / 'model.min.js').write_text(MINIFIED)
    for number, part in enumerate((CONTENT[:5], CONTENT[5:]), 1):
        text = SHARD.replace('BYTES', base64.b64encode(part).decode())
        (folder / f'group1-shard{number}of2.min.js').write_text(text)
    return folder


def package(folder):
    """Two models, of which one is in a folder of the right name."""
    scripts(folder / 'package' / 'inception_v3')
    plain(folder / 'package' / 'mobilenet_v2')
    path = folder / 'x-1.0.0.tgz'
    with tarfile.open(str(path), 'w:gz') as archive:
        archive.add(str(folder / 'package'), 'package')
    return path


@pytest.mark.parametrize(
    'make',
    [
        plain,
        scripts,
        package,
        lambda folder: plain(folder) / 'model.json',
        lambda folder: scripts(folder).parent,
    ],
)
def test_weights_by_hand(make, tmp_path):
    model = read_tfjs_model(make(tmp_path / 'model'))
    assert model.tensors['a/kernel'].tolist() == [[-0.5, -0.25], [0, 2]]
    assert model.tensors['b/bias'].tolist() == [149]
    assert model.tensors['c/half'].tolist() == [0.125]
    assert model.tensors['d/plain'].tolist() == [-3.5]
    assert {array.dtype.str for array in model.tensors.values()} == {'<f4'}
    assert model.output == NAME
    assert model.layers[NAME]['config'] == CONFIG


def test_what_is_missing_or_damaged(tmp_path):
    folder = plain(tmp_path / 'model')
    shard = folder / 'group1-shard2of2'
    shard.write_bytes(CONTENT[5:] + b'x')
    with pytest.raises(UnifaceError, match='take 12 bytes, its files have 13'):
        read_tfjs_model(folder)
    shard.write_bytes(CONTENT[5:-1])
    with pytest.raises(UnifaceError, match='damaged'):
        read_tfjs_model(folder)
    shard.unlink()
    with pytest.raises(UnifaceError, match='group1-shard2of2 is missing'):
        read_tfjs_model(folder)
    (folder / 'model.json').write_text('{"weightsManifest": 3}')
    with pytest.raises(UnifaceError, match='damaged'):
        read_tfjs_model(folder)
    (folder / 'model.json').unlink()
    with pytest.raises(UnifaceError, match='0 files model.json or model.min.js in it'):
        read_tfjs_model(folder)
    plain(tmp_path / 'two' / 'a')
    plain(tmp_path / 'two' / 'b')
    with pytest.raises(UnifaceError, match='2 files .*name the folder of one model'):
        read_tfjs_model(tmp_path / 'two')
    archive = tmp_path / 'x.tgz'
    archive.write_bytes(b'no archive')
    with pytest.raises(UnifaceError, match='x.tgz: is no Keras model'):
        read_tfjs_model(archive)


def test_a_name_outside_the_folder_is_not_read(tmp_path):
    folder = plain(tmp_path / 'model')
    (tmp_path / 'secret').write_bytes(CONTENT)
    model = json.loads(json.dumps(MODEL))
    model['weightsManifest'][0]['paths'] = ['../secret']
    (folder / 'model.json').write_text(json.dumps(model))
    with pytest.raises(UnifaceError, match='secret is missing'):
        read_tfjs_model(folder)
