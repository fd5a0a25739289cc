"""A Keras Inception-v3 graph, its layers numbered at random, followed back to the trunk's units."""

import copy
import random

import pytest

from uniface_mx.backbones.source import BLOCKS, places, stem_units, unit_name
from uniface_mx.backbones.tfjs import Walk
from uniface_mx.errors import UnifaceError
from uniface_mx.nn.inception import AVERAGE_POOL, STEM, Unit


class Builder:
    """Makes layers as Keras describes them, and remembers which numbers each unit was given."""

    def __init__(self):
        self.layers, self.units = {}, {}
        self.numbers = list(range(1, 400))
        random.Random(3).shuffle(self.numbers)

    def add(self, class_name, inputs, **config):
        name = f'{class_name.lower()}_{self.numbers.pop()}'
        self.layers[name] = {
            'name': name,
            'class_name': class_name,
            'config': config,
            'inbound_nodes': [[[other, 0, 0, {}] for other in inputs]] if inputs else [],
        }
        return name

    def unit(self, start, name, unit):
        kernel = list(unit.kernel) if isinstance(unit.kernel, tuple) else [unit.kernel] * 2
        valid = unit.stride == 2 or name in ('conv_2a', 'conv_4a')
        convolution = self.add(
            'Conv2D',
            [start],
            kernel_size=kernel,
            strides=[unit.stride] * 2,
            use_bias=False,
            padding='valid' if valid else 'same',
            dilation_rate=[1, 1],
            activation='linear',
        )
        norm = self.add('BatchNormalization', [convolution], epsilon=0.001, scale=False)
        self.units[name] = (convolution, norm)
        return self.add('Activation', [norm], activation='relu')

    def step(self, start, name, step):
        if isinstance(step, Unit):
            return self.unit(start, name, step)
        if isinstance(step, str):
            average = step == AVERAGE_POOL
            return self.add(
                'AveragePooling2D' if average else 'MaxPooling2D',
                [start],
                pool_size=[3, 3],
                strides=[1, 1] if average else [2, 2],
                padding='same' if average else 'valid',
            )
        return self.add(
            'Concatenate', [self.unit(start, name + letter, unit) for letter, unit in zip('ab', step)]
        )

    def build(self):
        end = self.add('InputLayer', [])
        for name, step in STEM:
            end = self.step(end, name, step)
        for block, branches in BLOCKS:
            ends = []
            for branch, *steps in branches:
                last = end
                for number, step in enumerate(steps):
                    last = self.step(last, unit_name(block, branch, number), step)
                ends.append(last)
            end = self.add('Concatenate', ends)
        return end


@pytest.fixture(scope='module')
def built():
    builder = Builder()
    return builder, builder.build()


def test_every_unit_is_found_whatever_its_number(built):
    builder, end = built
    walk = Walk(builder.layers)
    walk.trunk(end)
    assert walk.units == builder.units
    assert set(walk.units) == set(stem_units()) | {place.name for place in places()}


def test_the_classifier_ends_where_the_trunk_does(built):
    layers = dict(built[0].layers)
    after = [
        ('pool', 'GlobalAveragePooling2D', {}),
        ('dense_1', 'Dense', {'activation': 'relu'}),
        ('dropout', 'Dropout', {}),
        ('dense_2', 'Dense', {'activation': 'softmax'}),
    ]
    end = built[1]
    for name, class_name, config in after:
        layers[name] = {'class_name': class_name, 'config': config, 'inbound_nodes': [[[end, 0, 0, {}]]]}
        end = name
    classifier, start = Walk(layers).classifier(end)
    assert start == built[1]
    assert classifier == (
        ('dense_1/kernel', 'dense_1/bias', 'relu'),
        ('dense_2/kernel', 'dense_2/bias', 'softmax'),
    )


def swap_branches(layers, builder):
    """Two branches of a concatenation, whose weights would then read each other's channels."""
    concatenation = next(
        layer
        for layer in layers.values()
        if layer['class_name'] == 'Concatenate' and len(layer['inbound_nodes'][0]) == 4
    )
    nodes = concatenation['inbound_nodes'][0]
    nodes[0], nodes[1] = nodes[1], nodes[0]


def config_of(unit, index, **changes):
    def change(layers, builder):
        layers[builder.units[unit][index]]['config'].update(changes)

    return change


def skip_a_unit(layers, builder):
    convolution = builder.units['mixed_6c_branch7x7dbl_2'][0]
    before = builder.units['mixed_6c_branch7x7dbl_1'][0]
    layers[convolution]['inbound_nodes'] = copy.deepcopy(layers[before]['inbound_nodes'])


def another_start(layers, builder):
    layers[builder.units['mixed_6c_branch1x1_0'][0]]['inbound_nodes'] = copy.deepcopy(
        layers[builder.units['mixed_6b_branch1x1_0'][0]]['inbound_nodes']
    )


@pytest.mark.parametrize(
    'change, message',
    [
        (swap_branches, 'an Inception-v3 has a'),
        (config_of('mixed_6b_branch7x7_1', 0, kernel_size=[7, 1]), r'with kernel_size \[1, 7\]'),
        (config_of('conv_4a', 0, padding='same'), 'with padding valid'),
        (config_of('mixed_7a_branch3x3_1', 0, strides=[1, 1]), r'with strides \[2, 2\]'),
        (config_of('conv_1a', 0, use_bias=True), 'with use_bias False'),
        (config_of('conv_3b', 1, epsilon=1e-5), 'another epsilon than 0.001'),
        (skip_a_unit, 'an Inception-v3 has a'),
        (another_start, 'begin at different layers'),
    ],
)
def test_another_graph_is_refused(change, message, built):
    builder, end = built
    layers = copy.deepcopy(builder.layers)
    change(layers, builder)
    with pytest.raises(UnifaceError, match=message):
        Walk(layers).trunk(end)
