import pytest

from uniface_mx.errors import UnifaceError, lookup, nearest, suggestion

FRUITS = {'banana': dict, 'apple': list}


def test_what_is_known_by_its_name():
    assert lookup('fruit', 'apple', FRUITS) is list


def test_unknown_name_gets_the_nearest_and_all_valid_ones():
    with pytest.raises(UnifaceError) as error:
        lookup('fruit', 'aple', FRUITS)
    assert str(error.value) == "unknown fruit 'aple', did you mean 'apple'? valid names: apple, banana"


def test_a_name_near_to_nothing_gets_the_valid_ones():
    with pytest.raises(UnifaceError) as error:
        lookup('fruit', 'xyz', FRUITS)
    assert str(error.value) == "unknown fruit 'xyz'; valid names: apple, banana"


def test_nearest_takes_the_best_of_several():
    assert nearest('uniface_b_light', ['uniface_a_lite', 'uniface_b', 'uniface_b_lite']) == 'uniface_b_lite'
    assert nearest('q', ['uniface_a']) is None
    assert suggestion('q', ['uniface_a']) == ''
