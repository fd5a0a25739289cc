"""What learns, and how far it moves: by hand."""

import mxnet as mx
import numpy as np
import pytest
from mxnet.gluon import nn

from uniface_mx.train import TrainError
from uniface_mx.train.optimizer import SGD, AdamW, Learned, Optimizer, choose


def small_net():
    net = nn.HybridSequential(prefix='net_')
    with net.name_scope():
        net.add(
            nn.Conv2D(2, 1, in_channels=1, prefix='trunk_conv_'),
            nn.BatchNorm(in_channels=2, prefix='trunk_bn_'),
            nn.Dense(1, in_units=2, prefix='head_'),
        )
    net.initialize()
    return net


def one_weight(value, devices=1):
    parameter = mx.gluon.Parameter('w_weight', shape=(len(value),))
    parameter.initialize(ctx=[mx.cpu(number) for number in range(devices)])
    parameter.set_data(mx.nd.array(value))
    return parameter


def give_gradient(parameter, gradient):
    for array in parameter.list_grad():
        array[:] = mx.nd.array(gradient, ctx=array.ctx)


def test_decay_is_for_weights_alone_and_the_trunk_has_its_own_rate():
    chosen = {
        one.parameter.name: one[1:] for one in choose(small_net().collect_params(), 5e-4, trunk_rate=0.1)
    }
    assert chosen == {
        'net_trunk_conv_weight': (0.1, 5e-4),
        'net_trunk_conv_bias': (0.1, 0.0),
        'net_trunk_bn_gamma': (0.1, 0.0),
        'net_trunk_bn_beta': (0.1, 0.0),
        'net_head_weight': (1.0, 5e-4),
        'net_head_bias': (1.0, 0.0),
    }


def test_the_last_layer_learns_slowly():
    net = nn.Dense(1, in_units=2, prefix='recognition_embedding_')
    net.initialize()
    assert [one[1:] for one in choose(net.collect_params(), 0.5)] == [(0.1, 0.5), (1.0, 0.0)]


def test_frozen_patterns_take_parameters_out():
    net = small_net()
    chosen = [one.parameter.name for one in choose(net.collect_params(), 0, frozen=['net_trunk_*'])]
    assert chosen == ['net_head_weight', 'net_head_bias']
    assert net.collect_params()['net_trunk_conv_weight'].grad_req == 'null'


@pytest.mark.parametrize(
    'patterns, message', [(['trunc_*'], "'trunc_\\*' fits no parameter"), (['*'], 'nothing is left')]
)
def test_patterns_that_make_no_sense_are_refused(patterns, message):
    with pytest.raises(TrainError, match=message):
        choose(small_net().collect_params(), 0, frozen=patterns)


def test_sgd_with_momentum_and_decay():
    parameter = one_weight([1.0, -2.0])
    optimizer = Optimizer([Learned(parameter, 0.5, 0.1)], SGD(0.9))
    give_gradient(parameter, [2.0, 4.0])
    # Rate 0.2 * 0.5, gradient halved by the scale: m = -0.1 (1 + 0.1 * 1), -0.1 (2 - 0.2); then 0.9 m - ...
    optimizer.update(0.2, 0.5)
    np.testing.assert_allclose(parameter.data().asnumpy(), [1 - 0.11, -2 - 0.18], rtol=1e-6)
    optimizer.update(0.2, 0.5)
    np.testing.assert_allclose(
        parameter.data().asnumpy(),
        [0.89 - 0.9 * 0.11 - 0.1 * 1.089, -2.18 - 0.9 * 0.18 - 0.1 * 1.782],
        rtol=1e-6,
    )


def test_adamw_takes_the_rate_as_its_first_step_and_decays_apart_from_it():
    parameter = one_weight([1.0, -2.0])
    optimizer = Optimizer([Learned(parameter, 1.0, 0.1)], AdamW())
    give_gradient(parameter, [3.0, -0.5])
    optimizer.update(0.01)
    # Bias-corrected, the first step is the rate times the gradient's sign; decay is rate * 0.1 * weight.
    np.testing.assert_allclose(parameter.data().asnumpy(), [1 - 0.01 - 0.001, -2 + 0.01 + 0.002], rtol=1e-5)
    give_gradient(parameter, [0.0, 0.0])
    before = parameter.data().asnumpy()
    optimizer.update(0.01)
    mean = 0.9 * 0.1 / (1 - 0.81)
    deviation = np.sqrt(0.999 * 0.001 / (1 - 0.999**2))
    step = 0.01 * mean / deviation * np.array([1, -1])
    np.testing.assert_allclose(parameter.data().asnumpy(), before - step - 0.001 * before, rtol=1e-4)


def test_adamw_counts_gradients_as_often_as_it_is_told_each_time():
    """Scales 1 and 0.1 of the gradients 1 and 1: mean 0.9 * 0.1 + 0.1 * 0.1, variance alike with squares."""
    parameter = one_weight([1.0])
    optimizer = Optimizer([Learned(parameter, 1.0, 0.0)], AdamW())
    give_gradient(parameter, [1.0])
    optimizer.update(0.01, 1.0)
    optimizer.update(0.01, 0.1)
    mean = (0.9 * 0.1 + 0.1 * 0.1) / (1 - 0.9**2)
    variance = (0.999 * 0.001 + 0.001 * 0.01) / (1 - 0.999**2)
    assert parameter.data().asscalar() == pytest.approx(1 - 0.01 - 0.01 * mean / np.sqrt(variance), rel=1e-6)


def test_what_was_frozen_begins_at_zero():
    first, second = (one_weight([1.0]) for _ in range(2))
    second.name = first.name + '_thawed'
    optimizer = Optimizer([Learned(one, 1.0, 0.0) for one in (first, second)], SGD())
    states = {'momentum:' + first.name: mx.nd.array([5.0])}
    optimizer.restore(states, 7)
    found = optimizer.arrays()
    assert (found['momentum:' + first.name].asscalar(), found['momentum:' + second.name].asscalar()) == (5, 0)
    assert optimizer.steps == 7


@pytest.mark.parametrize('rule', [SGD, AdamW])
def test_states_go_through_arrays(rule):
    first, second = one_weight([1.0, 2.0]), one_weight([1.0, 2.0])
    optimizer, other = (Optimizer([Learned(one, 1.0, 0.01)], rule()) for one in (first, second))
    for gradient in ([1.0, 3.0], [2.0, -1.0]):
        give_gradient(first, gradient)
        optimizer.update(0.1)
    second.set_data(first.data())
    other.restore(optimizer.arrays(), optimizer.steps)
    for one, its in ((first, optimizer), (second, other)):
        give_gradient(one, [0.5, 0.5])
        its.update(0.1)
    assert (first.data().asnumpy() == second.data().asnumpy()).all()


def test_devices_move_alike():
    parameter = one_weight([1.0, 2.0], devices=2)
    optimizer = Optimizer([Learned(parameter, 1.0, 0.01)], SGD())
    give_gradient(parameter, [1.0, -1.0])
    optimizer.update(0.1)
    optimizer.update(0.1)
    first, second = (parameter.data(device).asnumpy() for device in (mx.cpu(0), mx.cpu(1)))
    assert (first == second).all() and (first != [1.0, 2.0]).all()


def test_states_of_another_rule_are_refused():
    optimizer = Optimizer([Learned(one_weight([1.0]), 1.0, 0.0)], SGD())
    with pytest.raises(TrainError, match='mean, variance'):
        optimizer.restore(Optimizer([Learned(one_weight([1.0]), 1.0, 0.0)], AdamW()).arrays(), 3)
