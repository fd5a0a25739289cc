import numpy as np
import pytest

from uniface_mx.backbones import convert
from uniface_mx.backbones.source import places, stem_units, trunk_shapes
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
