import json
import shutil

import mxnet as mx
import numpy as np
import pytest

from uniface_mx import get_model
from uniface_mx.backbones import classify, convert, load_trunk, trunk_options, write_trunk
from uniface_mx.errors import UnifaceError
from uniface_mx.files import file_hash
from uniface_mx.nn.inception import InceptionTrunk
from uniface_mx.train import TrainError
from uniface_mx.train.start import load_backbone


def test_names_are_stock_names_and_all_is_described(trunk_file, gluon_file):
    arrays = mx.nd.load(str(trunk_file))
    assert len(arrays) == 5 * 94
    assert arrays['arg:trunk_mixed_5b_branch5x5_1_conv_weight'].shape == (64, 48, 5, 5)
    assert arrays['aux:trunk_conv_1a_bn_running_var'].shape == (32,)
    description = json.loads(trunk_file.with_suffix('.json').read_text())
    assert description['kind'] == 'gluon'
    assert description['source'] == {
        'path': gluon_file.name,
        'sha256': {gluon_file.name: file_hash(gluon_file)},
    }
    assert description['scaling']['name'] == 'imagenet'
    assert description['tensors']['used']['trunk_conv_1a_conv_weight'] == 'features.0.0.weight'
    assert set(description['tensors']['used']) == {name.split(':')[1] for name in arrays}
    assert description['tensors']['classifier'] == ['output.weight', 'output.bias']
    assert not list(trunk_file.parent.glob('*.part'))


def test_the_pooling_rule_goes_from_the_source_into_the_model(gluon_source, gluon_file, trunk_file, tmp_path):
    assert trunk_options(trunk_file) == {'count_include_pad': True}
    path = tmp_path / 'keras.params'
    write_trunk(path, gluon_source._replace(count_include_pad=False), gluon_file)
    assert trunk_options(path) == {'count_include_pad': False}
    load_trunk(get_model('uniface_a', **trunk_options(path)), path)
    with pytest.raises(UnifaceError, match='want a model with count_include_pad=False'):
        load_trunk(get_model('uniface_a'), path)


def test_both_trunks_of_model_b_and_nothing_else(trunk_file, gluon_source):
    net = get_model('uniface_b')
    filled = load_trunk(net, trunk_file)
    assert len(filled) == 2 * 5 * 94
    expected = convert(gluon_source)
    parameters = net.collect_params()
    for prefix in ('detection_trunk_', 'recognition_trunk_'):
        for name in ('conv_1a_conv_weight', 'mixed_7c_branch_pool_1_bn_running_var'):
            np.testing.assert_array_equal(parameters[prefix + name].data().asnumpy(), expected[name])
    assert all(parameters[name]._data is None for name in parameters if name not in filled)


def test_an_initialized_trunk_is_overwritten(trunk_file, gluon_source):
    trunk = InceptionTrunk(prefix='any_')
    trunk.initialize()
    load_trunk(trunk, trunk_file)
    weight = trunk.collect_params()['any_conv_1a_conv_weight']
    np.testing.assert_array_equal(weight.data().asnumpy(), convert(gluon_source)['conv_1a_conv_weight'])


def test_the_trainer_begins_with_it(trunk_file, gluon_source):
    trunk = InceptionTrunk(prefix='trunk_')
    load_backbone(trunk, str(trunk_file), [mx.cpu()])
    weight = trunk.collect_params()['trunk_conv_1a_conv_weight']
    np.testing.assert_array_equal(weight.data().asnumpy(), convert(gluon_source)['conv_1a_conv_weight'])
    with pytest.raises(TrainError, match='training.backbone: .*set model.count_include_pad to true'):
        load_backbone(InceptionTrunk(count_include_pad=False), str(trunk_file), [mx.cpu()])


def test_models_without_a_place_for_it(trunk_file):
    with pytest.raises(UnifaceError, match='a trunk must have width 1'):
        load_trunk(get_model('uniface_a_lite'), trunk_file)
    with pytest.raises(UnifaceError, match='no Inception trunk'):
        load_trunk(mx.gluon.nn.Dense(3), trunk_file)


def test_files_that_are_not_what_was_written(trunk_file, gluon_source, gluon_file, tmp_path):
    path = tmp_path / 'trunk.params'
    shutil.copy(str(trunk_file), str(path))
    with pytest.raises(UnifaceError, match='trunk.json: no such file'):
        trunk_options(path)
    beside = path.with_suffix('.json')
    for content, message in [
        ('{', 'is no description'),
        ('{"format": 1}', 'is no description'),
        ('[]', 'is no description'),
        ('{"format": 9, "count_include_pad": true, "sha256": ""}', 'another version'),
    ]:
        beside.write_text(content)
        with pytest.raises(UnifaceError, match=message):
            trunk_options(path)
    shutil.copy(str(trunk_file.with_suffix('.json')), str(beside))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UnifaceError, match='trunk.params: is damaged'):
        load_trunk(InceptionTrunk(), path)
    path.unlink()
    with pytest.raises(UnifaceError, match='trunk.params: no such file of weights'):
        load_trunk(InceptionTrunk(), path)
    with pytest.raises(UnifaceError, match='must end in .params'):
        write_trunk(tmp_path / 'trunk.npz', gluon_source, gluon_file)


def test_only_a_trunk_is_overwritten(gluon_source, gluon_file, tmp_path):
    mine = tmp_path / 'model.json'
    mine.write_text('{"modelTopology": 1}')
    with pytest.raises(UnifaceError, match='model.json: is there already, and no trunk'):
        write_trunk(tmp_path / 'model.params', gluon_source, gluon_file)
    source = tmp_path / gluon_file.name
    shutil.copy(str(gluon_file), str(source))
    with pytest.raises(UnifaceError, match=f'{source.name}: is there already'):
        write_trunk(source, gluon_source, source)
    assert mine.read_text() == '{"modelTopology": 1}' and source.read_bytes() == gluon_file.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(['model.json', source.name])
    for _ in range(2):
        write_trunk(tmp_path / 'trunk.params', gluon_source, gluon_file)


def test_the_classifier_is_the_models_own(gluon_model, gluon_source, trunk_file):
    image = np.random.randint(0, 256, (299, 299, 3)).astype(np.uint8)
    data = (image / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    expected = mx.nd.softmax(gluon_model(mx.nd.array(data.transpose(2, 0, 1)[None])))[0].asnumpy()
    actual = classify(image, trunk_file, gluon_source)
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-6)
    with pytest.raises(UnifaceError, match='no classifier'):
        classify(image, trunk_file, gluon_source._replace(classifier=()))
