import pytest

from uniface_mx.errors import UnifaceError
from uniface_mx.registry import Registry, nearest, suggestion


@pytest.fixture
def fruits():
    registry = Registry('fruit')

    @registry.register('apple')
    def apple(size=1):
        return ('apple', size)

    registry.register('banana')(dict)
    return registry


def test_builds_by_name(fruits):
    assert fruits['apple'](size=3) == ('apple', 3)
    assert fruits['banana'] is dict


def test_knows_its_names(fruits):
    assert list(fruits) == ['apple', 'banana']
    assert 'apple' in fruits and 'pear' not in fruits


def test_unknown_name_gets_the_nearest_and_all_valid_ones(fruits):
    with pytest.raises(UnifaceError) as error:
        fruits['aple']
    assert str(error.value) == "unknown fruit 'aple', did you mean 'apple'? valid names: apple, banana"


def test_a_name_near_to_nothing_gets_the_valid_ones(fruits):
    with pytest.raises(UnifaceError) as error:
        fruits['xyz']
    assert str(error.value) == "unknown fruit 'xyz'; valid names: apple, banana"


def test_a_name_cannot_be_taken_twice(fruits):
    with pytest.raises(ValueError, match="fruit 'apple' is registered twice"):
        fruits.register('apple')


def test_nearest_takes_the_best_of_several():
    assert nearest('uniface_b_light', ['uniface_a_lite', 'uniface_b', 'uniface_b_lite']) == 'uniface_b_lite'
    assert nearest('q', ['uniface_a']) is None
    assert suggestion('q', ['uniface_a']) == ''
