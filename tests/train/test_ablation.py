"""The ablation's runs differ in nothing but the model, and what is done is not done again."""

import os
import subprocess
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tools import ablation
from uniface_mx.config import load_config
from uniface_mx.data.transforms import RecordShare
from uniface_mx.train.build import open_canvases


@pytest.fixture
def arguments(tmp_path):
    return SimpleNamespace(
        records='records',
        out=str(tmp_path / 'runs'),
        results=str(tmp_path / 'results'),
        report=str(tmp_path / 'RESULTS.md'),
        settings='all.yaml',
        iterations=4000,
        workers=2,
        set=[],
    )


def resolved(arguments, config, seed=0):
    return load_config(config, ablation.settings(arguments, seed))


def test_configurations_differ_in_the_model_alone(arguments):
    first = resolved(arguments, 'lite_a')
    names = {'lite_' + letter for letter in 'abcd'}
    assert {config for config, _ in ablation.RUNS} == names | {'lite_a_mimic'}
    for config in names:
        other = resolved(arguments, config)
        assert other.model.overrides() == {}
        assert other.model.name == 'uniface_{}_lite'.format(config[-1])
        assert replace(other, model=first.model) == first
    assert resolved(arguments, 'lite_a', 1).training == replace(first.training, seed=1)
    mimic = resolved(arguments, 'lite_a_mimic')
    assert mimic == replace(first, losses=replace(first.losses, contrast=0))


def test_the_first_hundred_batches_show_the_same_records(arguments, records):
    shares = (RecordShare('faces'), RecordShare('negatives', tile=0.5))

    def batches(config, seed=0):
        wanted = resolved(arguments, config, seed)
        canvases = open_canvases(shares, str(records), wanted.augmentation, wanted.training.seed, 64)
        numbers = range(100 * wanted.training.batch_size)
        return [[photo.where for photo in canvases.photos(number)[1]] for number in numbers]

    expected = batches('lite_a')
    assert len(expected) == 800 and all(expected)
    for letter in 'bcd':
        assert batches('lite_' + letter) == expected
    assert batches('lite_a', 1) != expected


def test_goes_on_where_it_stopped(arguments, monkeypatch):
    called = []

    def call(command):
        called.append(command)
        run = os.path.join(arguments.out, 'ablation_lite_a_0')
        if 'uniface_mx.train.launch' in command:
            os.makedirs(os.path.join(run, 'model'), exist_ok=True)
            for name in ('metrics.jsonl', 'last.params'):
                open(os.path.join(run, name), 'a').close()
        elif '--run' in command:
            open(os.path.join(run, 'model', 'ablation_lite_a_0.json'), 'w').close()
        elif 'all' in command:
            return 7
        return 0

    monkeypatch.setattr(subprocess, 'call', call)
    assert ablation.run_series(arguments) == 7
    assert ['--resume' in command for command in called] == [True, False, False]
    assert os.path.isfile(os.path.join(arguments.results, 'ablation_lite_a_0', 'metrics.jsonl'))
    del called[:]
    assert ablation.run_series(arguments) == 7
    assert [('--run' in command, 'all' in command) for command in called] == [(False, False), (False, True)]
