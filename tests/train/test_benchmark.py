"""Cost of a training step: what is planned, and the command that measures."""

import pytest

from tools import benchmark
from uniface_mx.models import get_model
from uniface_mx.train.benchmark import planned_memory


def test_the_plan_is_that_of_the_model_and_the_step():
    small = {'width': 0.05, 'extra_channels': (16,) * 4, 'fusion_channels': 16, 'deconv_channels': (8, 8)}

    def plan(batch, precision='float32'):
        return planned_memory(get_model('uniface_a_lite', **small), precision, batch, 1)

    assert plan(4) == pytest.approx(2 * plan(2), rel=0.1)
    assert plan(4, 'bfloat16') != plan(4)
    assert plan(4) < 0.8 * planned_memory(get_model('uniface_a_lite'), 'float32', 4, 1)


def test_by_command(configuration, capsys):
    line = f'training --config {configuration.path} --steps 1 --cells 1 --operators 2'
    assert benchmark.main(line.split()) == 0
    first, *operators = capsys.readouterr().out.splitlines()
    assert 'float32, 1 x batch 4: ' in first and 'executor plan' in first
    assert len(operators) == 2 and all(line.endswith('%') for line in operators)
