"""The moving average of weights: its numbers, what it is used for, and going on with it."""

import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon

from uniface_mx.config.reader import ConfigError
from uniface_mx.train.average import Average
from uniface_mx.train.checkpoint import AVERAGE, WEIGHTS
from uniface_mx.train.result import load_run

SETTINGS = ('training.average=0.6', 'training.batch_size=1')


@pytest.fixture
def weight():
    parameter = gluon.Parameter('w', shape=(2,))
    parameter.initialize(mx.init.Zero())
    return parameter


def test_its_numbers(weight):
    average = Average({'w': weight}, 0.6)
    # Shares of the newest: 1 - 1/10, 1 - 2/11, ..., until 1 - decay is more.
    for iteration, value, expected in ((1, 10.0, 9.0), (2, 20.0, 18.0), (30, 28.0, 22.0)):
        weight.set_data(mx.nd.array([value, 0]))
        average.update(iteration)
        assert average.arrays()['arg:w'].asnumpy() == pytest.approx([expected, 0], rel=1e-6)


def test_it_stands_in_for_the_weights_and_leaves_them(weight):
    average = Average({'w': weight}, 0.5)
    weight.set_data(mx.nd.array([4, 8]))
    with pytest.raises(RuntimeError), average.in_place():
        assert weight.data().asnumpy().tolist() == [0, 0]
        raise RuntimeError
    assert weight.data().asnumpy().tolist() == [4, 8]


def test_without_an_earlier_one_it_begins_at_the_weights(weight):
    average = Average({'w': weight}, 0.5)
    weight.set_data(mx.nd.array([4, 8]))
    average.restore({})
    assert average.arrays()['arg:w'].asnumpy().tolist() == [4, 8]
    average.restore({'arg:w': mx.nd.array([1, 2])})
    assert average.arrays()['arg:w'].asnumpy().tolist() == [1, 2]


@pytest.mark.parametrize('decay', ['1', '-0.1', 'much'])
def test_decays_that_make_no_sense(configuration, decay):
    with pytest.raises(ConfigError, match='training.average'):
        configuration(f'training.average={decay}')


@pytest.fixture
def sit(build):
    """A function that goes on with the run of a name up to an iteration, and gives its trainer."""

    def make(name, iterations, *settings):
        trainer = build(f'training.iterations={iterations}', *SETTINGS, *settings, run=name, resume=True)
        trainer.run()
        return trainer

    return make


def test_two_sittings_are_one(sit):
    whole = sit('whole', 4)
    sit('halves', 2)
    halves = sit('halves', 4)
    for arrays in (lambda trainer: trainer.weights(), lambda trainer: trainer.average.arrays()):
        expected, found = arrays(whole), arrays(halves)
        assert all(np.array_equal(expected[key].asnumpy(), found[key].asnumpy()) for key in expected)


def test_it_is_validated_and_exported(sit, tmp_path):
    validation = (
        'data.validation=[{path: faces}]',
        'validation.images=2',
        'validation.every=1',
        'validation.best=loss',
    )
    trainer = sit('run', 3, *validation)
    folder = tmp_path / 'run' / 'checkpoints' / '00000003'
    stored, average = mx.nd.load(str(folder / WEIGHTS)), mx.nd.load(str(folder / AVERAGE))
    name = 'arg:recognition_embedding_weight'
    assert not np.array_equal(stored[name].asnumpy(), average[name].asnumpy())
    assert np.array_equal(stored[name].asnumpy(), trainer.weights()[name].asnumpy())
    exported = load_run(tmp_path / 'run', 'last').net.recognition.embedding.weight.data()
    assert np.array_equal(exported.asnumpy(), average[name].asnumpy())
    assert np.array_equal(
        mx.nd.load(str(tmp_path / 'run' / 'last.params'))[name].asnumpy(), exported.asnumpy()
    )
    # A validation of the weights as they are would find another loss.
    with trainer.average.in_place():
        of_average = trainer.validate()['loss']
    of_weights = trainer.validate()['loss']
    assert trainer.best['value'] <= of_average != of_weights


def test_a_run_without_goes_on_with_one(sit, tmp_path):
    trainer = sit('run', 1, 'training.average=0')
    assert trainer.average is None and not list((tmp_path / 'run').rglob(AVERAGE))
    sit('run', 2)
    assert list((tmp_path / 'run').rglob(AVERAGE))
