import numpy as np
import pytest

from uniface_mx.backbones import convert
from uniface_mx.backbones.layout import places, stem_units, trunk_shapes
from uniface_mx.backbones.torchvision import torchvision_names
from uniface_mx.errors import UnifaceError


def changed(source, name, array):
    tensors = dict(source.tensors)
    if array is None:
        del tensors[name]
    else:
        tensors[name] = array
    return source._replace(tensors=tensors)


def test_places_are_the_trunks_units():
    units = stem_units() + [place.name for place in places()]
    assert len(units) == 94
    assert {unit + '_conv_weight' for unit in units} == {
        name for name in trunk_shapes() if name.endswith('weight')
    }


@pytest.mark.parametrize(
    'ours, theirs',
    [
        ('conv_2b_bn_gamma', 'Conv2d_2b_3x3.bn.weight'),
        ('mixed_5b_branch5x5_1_conv_weight', 'Mixed_5b.branch5x5_2.conv.weight'),
        ('mixed_5d_branch_pool_1_bn_running_var', 'Mixed_5d.branch_pool.bn.running_var'),
        ('mixed_6a_branch3x3_0_conv_weight', 'Mixed_6a.branch3x3.conv.weight'),
        ('mixed_6e_branch7x7dbl_4_bn_beta', 'Mixed_6e.branch7x7dbl_5.bn.bias'),
        ('mixed_7a_branch7x7x3_3_conv_weight', 'Mixed_7a.branch7x7x3_4.conv.weight'),
        ('mixed_7c_branch3x3dbl_2b_bn_running_mean', 'Mixed_7c.branch3x3dbl_3b.bn.running_mean'),
        ('mixed_7b_branch3x3_1a_conv_weight', 'Mixed_7b.branch3x3_2a.conv.weight'),
    ],
)
def test_torchvisions_names(ours, theirs):
    assert torchvision_names()[ours] == theirs


def test_a_missing_tensor_is_an_error(gluon_source):
    with pytest.raises(UnifaceError, match=r'features\.7\.1\.0\.0\.weight is missing'):
        convert(changed(gluon_source, 'features.7.1.0.0.weight', None))


def test_another_shape_is_an_error(gluon_source):
    array = gluon_source.tensors['features.0.0.weight'][:16]
    with pytest.raises(
        UnifaceError, match=r'shape \(16, 3, 3, 3\), conv_1a_conv_weight wants \(32, 3, 3, 3\)'
    ):
        convert(changed(gluon_source, 'features.0.0.weight', array))


def test_numbers_that_cannot_be_weights(gluon_source):
    with pytest.raises(UnifaceError, match='not finite'):
        convert(changed(gluon_source, 'features.0.1.gamma', np.full(32, np.nan)))
    with pytest.raises(UnifaceError, match='negative variances'):
        convert(changed(gluon_source, 'features.0.1.running_var', np.full(32, -0.1)))


def test_only_a_gamma_may_be_absent(gluon_source):
    names = {ours: theirs for ours, theirs in gluon_source.names.items() if not ours.startswith('conv_1a_bn')}
    with pytest.raises(UnifaceError, match='nothing for conv_1a_bn_beta') as error:
        convert(gluon_source._replace(names=names))
    assert 'gamma' not in str(error.value)


def test_tensors_without_a_use_are_told(gluon_source):
    assert gluon_source.unused == []
    assert changed(gluon_source, 'extra', np.zeros(1)).unused == ['extra']
