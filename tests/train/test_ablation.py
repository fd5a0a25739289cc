"""The ablation's runs differ in nothing but the model, and what is done is not done again."""

import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tools import ablation
from uniface_mx.config.augmentation import RecordShare
from uniface_mx.config.reader import load_config
from uniface_mx.config.schema import DataConfig
from uniface_mx.errors import UnifaceError
from uniface_mx.train.build import open_canvases


@pytest.fixture
def arguments(tmp_path):
    (tmp_path / 'ablation.yaml').touch()
    return SimpleNamespace(
        records='records',
        out=str(tmp_path / 'runs'),
        results=str(tmp_path / 'results'),
        report=str(tmp_path / 'RESULTS.md'),
        settings=str(tmp_path / 'ablation.yaml'),
        iterations=4000,
        parallel=1,
        set=[],
    )


def resolved(arguments, config, seed=0):
    values = dict(vars(arguments), config=config, seed=seed, name='x')
    words = next(ablation.commands(ablation.read_plan()['each'], values))
    return load_config(config, [value for option, value in zip(words, words[1:]) if option == '--set'])


@pytest.mark.parametrize('losses', ['', '_mimic'])
def test_configurations_differ_in_the_model_alone(arguments, losses):
    first = resolved(arguments, 'lite_a' + losses)
    for letter in 'abcd':
        other = resolved(arguments, 'lite_' + letter + losses)
        assert other.model.overrides() == {} and other.model.name == f'uniface_{letter}_lite'
        assert replace(other, model=first.model) == first
    assert resolved(arguments, 'lite_a' + losses, 1).training == replace(first.training, seed=1)


RUNS = ablation.read_plan()['runs']
NAMES = [one['name'] for one in RUNS]


def test_what_runs():
    four = {f'lite_{letter}_mimic' for letter in 'abcd'}
    first, second = ({one['config'] for one in RUNS if one['seed'] == seed} for seed in (0, 1))
    assert first == four | {'lite_a', 'lite_d', 'lite_a_half'}
    assert second == {'lite_a_mimic', 'lite_d_mimic', 'lite_a'}
    assert len(NAMES) == len(set(NAMES)) == 10 and NAMES[0] == 'ablation_lite_a_mimic_0'


def test_what_differs_from_a_in_its_teaching(arguments):
    first = resolved(arguments, 'lite_a')
    mimic = resolved(arguments, 'lite_a_mimic')
    assert mimic == replace(first, losses=replace(first.losses, contrast=0))
    half = resolved(arguments, 'lite_a_half')
    paths = [share.path.replace('-train-half', '-train') for share in half.data.train]
    assert paths == [share.path for share in first.data.train] and len(set(paths)) == 6
    shares = tuple(replace(share, path=path) for share, path in zip(half.data.train, paths))
    assert replace(half, data=replace(half.data, train=shares)) == first


def test_the_first_hundred_batches_show_the_same_records(arguments, records):
    shares = (RecordShare('faces'), RecordShare('negatives', tile=0.5))

    def batches(config, seed=0):
        wanted = resolved(arguments, config, seed)
        canvases = open_canvases(
            shares, DataConfig(str(records)), wanted.augmentation, wanted.training.seed, 64
        )
        numbers = range(100 * wanted.training.batch_size)
        return [[photo.where for photo in canvases.photos(number)[1]] for number in numbers]

    expected = batches('lite_a')
    assert len(expected) == 1600 and all(expected)
    for config in ('lite_b', 'lite_c', 'lite_d', 'lite_a_mimic', 'lite_d_mimic'):
        assert batches(config) == expected
    assert batches('lite_a', 1) != expected


@pytest.fixture
def machine(arguments, monkeypatch):
    """Instead of running commands it notes them, and leaves the files that the next ones look for."""

    def call(command, **options):
        what = Path(command[1]).stem
        name = next((name for name in NAMES if name in [Path(word).name for word in command]), '')
        noted.called.append((name, what))
        run = Path(arguments.out) / name
        if what == 'train':
            assert '--resume' in command
            run.mkdir(exist_ok=True, parents=True)
            for file in ('metrics.jsonl', 'last.params'):
                open(str(run / file), 'a').close()
        elif what == 'export':
            (run / 'model').mkdir()
            (run / 'model' / (name + '.json')).touch()
        status = noted.status.pop((name, what), 0)
        if isinstance(status, type):
            raise status
        return status

    noted = SimpleNamespace(called=[], status={})
    monkeypatch.setattr(subprocess, 'call', call)
    return noted


def test_goes_on_where_it_stopped(arguments, machine, capsys):
    machine.status['ablation_lite_a_mimic_0', 'evaluate'] = 7
    assert ablation.run_series(arguments) == 7
    assert machine.called == [('ablation_lite_a_mimic_0', what) for what in ('train', 'export', 'evaluate')]
    assert (Path(arguments.results) / 'ablation_lite_a_mimic_0' / 'metrics.jsonl').is_file()
    assert 'ablation_lite_a_mimic_0: stopped with status 7; see ' in capsys.readouterr().err
    del machine.called[:]
    machine.status['ablation_lite_d_mimic_0', 'train'] = 3
    assert ablation.run_series(arguments) == 3
    assert machine.called[:2] == [
        ('ablation_lite_a_mimic_0', 'train'),
        ('ablation_lite_a_mimic_0', 'evaluate'),
    ]
    assert machine.called[2:] == [('ablation_lite_d_mimic_0', 'train')]


@pytest.mark.parametrize('parallel', [1, 2, 8])
def test_all_of_it(arguments, machine, parallel):
    arguments.parallel = parallel
    assert ablation.run_series(arguments) == 0
    for name in NAMES:
        mine = [what for whose, what in machine.called if whose == name]
        assert mine == ['train', 'export', 'evaluate', 'benchmark']
    # Speed is measured when nothing else runs, and once.
    assert machine.called[-len(NAMES) - 1 :] == [(name, 'benchmark') for name in NAMES] + [('', 'report')]


def test_an_interrupt_stops_the_runs_beside_it(arguments, machine):
    machine.status['ablation_lite_a_mimic_0', 'train'] = KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        ablation.run_series(arguments)
    assert not any(what == 'report' for _, what in machine.called)


def test_what_is_missing_is_told_before_any_training(arguments, machine, tmp_path, capsys):
    (tmp_path / 'ablation.yaml').unlink()
    with pytest.raises(UnifaceError, match='ablation.yaml: no such file'):
        ablation.run_series(arguments)
    assert machine.called == []
    with pytest.raises(SystemExit):
        ablation.main(['--records', 'records', '--parallel', '0'])
    assert '--parallel' in capsys.readouterr().err
