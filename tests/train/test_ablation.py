"""The ablation's runs differ in nothing but the model, and what is done is not done again."""

import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tools import ablation
from uniface_mx.config import load_config
from uniface_mx.data.transforms import RecordShare
from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation.tables import letter_of
from uniface_mx.train.build import open_canvases


@pytest.fixture
def arguments(tmp_path):
    for name in ('ablation.yaml', 'speed.yaml'):
        (tmp_path / name).touch()
    return SimpleNamespace(
        records='records',
        out=str(tmp_path / 'runs'),
        results=str(tmp_path / 'results'),
        report=str(tmp_path / 'RESULTS.md'),
        settings=str(tmp_path / 'ablation.yaml'),
        speed=str(tmp_path / 'speed.yaml'),
        iterations=(300, 900),
        parallel=1,
        set=[],
    )


def resolved(arguments, config, seed=0, iterations=300):
    return load_config(config, ablation.settings(arguments, iterations, seed))


@pytest.mark.parametrize('part, iterations', [('', 300), ('_end', 900)])
def test_configurations_differ_in_the_model_alone(arguments, part, iterations):
    first = resolved(arguments, 'lite_a' + part, iterations=iterations)
    assert first.training.iterations == iterations
    for letter in 'abcd':
        other = resolved(arguments, 'lite_{}{}'.format(letter, part), iterations=iterations)
        assert other.model.overrides() == {} and other.model.name == 'uniface_{}_lite'.format(letter)
        assert replace(other, model=first.model) == first
    assert resolved(arguments, 'lite_a', 1).training == replace(resolved(arguments, 'lite_a').training, seed=1)


def test_what_runs():
    both = {('lite_' + letter, 'lite_{}_end'.format(letter)) for letter in 'abcd'}
    assert {run.configs for run in ablation.RUNS} == both | {('lite_a_mimic',), ('lite_a_half',)}
    assert sorted(run.seed for run in ablation.RUNS) == [0] * 6 + [1] * 2
    assert {run.configs[0] for run in ablation.RUNS if run.seed} == {'lite_a', 'lite_d'}
    names = [name for run in ablation.RUNS for name in run.names]
    assert len(set(names)) == 14 and ablation.RUNS[0].names == ['ablation_lite_a_0', 'ablation_lite_a_end_0']
    assert letter_of('ablation_lite_a_end_0') == letter_of('ablation_lite_a_1') == 'A'
    assert letter_of('ablation_lite_a_half_0') is None


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
        canvases = open_canvases(shares, str(records), wanted.augmentation, wanted.training.seed, 64)
        numbers = range(100 * wanted.training.batch_size)
        return [[photo.where for photo in canvases.photos(number)[1]] for number in numbers]

    expected = batches('lite_a')
    assert len(expected) == 1600 and all(expected)
    for letter in 'bcd':
        assert batches('lite_' + letter) == expected
    assert batches('lite_a', 1) != expected


@pytest.fixture
def machine(arguments, monkeypatch):
    """Instead of running commands it notes them, and leaves the files that the next ones look for."""

    def call(command, **options):
        what, words = Path(command[1]).stem, [Path(word).name for word in command]
        if what == 'train':
            assert '--resume' in command
            name = 'ablation_{}_{}'.format(words[words.index('--config') + 1], words[-1].split('=')[1])
            folder = Path(arguments.out) / words[words.index('--out') + 1]
            folder.mkdir(exist_ok=True, parents=True)
            (folder / 'metrics.jsonl').write_text(name)
        else:
            key = {'export': '--name', 'evaluate': '--model'}.get(what)
            name = words[words.index(key) + 1] if key else ''
        noted.called.append((name, what))
        status = noted.status.pop((name, what), 0)
        if isinstance(status, type):
            raise status
        if what == 'export' and not status:
            model = Path(command[command.index('--out') + 1])
            model.mkdir(exist_ok=True)
            (model / (name + '.json')).touch()
        return status

    noted = SimpleNamespace(called=[], status={})
    monkeypatch.setattr(subprocess, 'call', call)
    return noted


ALL = ('train', 'export', 'evaluate')


def test_goes_on_where_it_stopped(arguments, machine, capsys):
    machine.status['ablation_lite_a_end_0', 'evaluate'] = 7
    assert ablation.run_series(arguments) == 7
    assert machine.called == [(name, what) for name in ('ablation_lite_a_0', 'ablation_lite_a_end_0') for what in ALL]
    results = Path(arguments.results)
    for name in ('ablation_lite_a_0', 'ablation_lite_a_end_0'):
        assert (results / name / 'metrics.jsonl').read_text() == name
    assert 'ablation_lite_a_0: stopped with status 7; see ' in capsys.readouterr().err
    del machine.called[:]
    machine.status['ablation_lite_d_0', 'export'] = 3
    assert ablation.run_series(arguments) == 3
    assert machine.called[:2] == [('ablation_lite_a_0', 'evaluate'), ('ablation_lite_a_end_0', 'evaluate')]
    assert machine.called[2:] == [('ablation_lite_d_0', 'train'), ('ablation_lite_d_0', 'export')]
    del machine.called[:]
    machine.status['ablation_lite_d_end_0', 'train'] = 3
    assert ablation.run_series(arguments) == 3
    assert machine.called[2:] == [('ablation_lite_d_0', what) for what in ALL] + [('ablation_lite_d_end_0', 'train')]


@pytest.mark.parametrize('parallel', [1, 2, 8])
def test_all_of_it(arguments, machine, parallel):
    arguments.parallel = parallel
    assert ablation.run_series(arguments) == 0
    last = [run.names[-1] for run in ablation.RUNS]
    for run in ablation.RUNS:
        for name in run.names:
            mine = [what for whose, what in machine.called if whose == name]
            assert mine == list(ALL) + ['evaluate'] * (name in last)
    # Speed is measured when nothing else runs.
    assert machine.called[-9:] == [(name, 'evaluate') for name in last] + [('', 'report')]


def test_an_interrupt_stops_the_runs_beside_it(arguments, machine):
    machine.status['ablation_lite_a_0', 'train'] = KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        ablation.run_series(arguments)
    assert not any(what == 'report' for _, what in machine.called)


def test_what_is_missing_is_told_before_any_training(arguments, machine, tmp_path, capsys):
    (tmp_path / 'speed.yaml').unlink()
    with pytest.raises(UnifaceError, match='speed.yaml: no such file'):
        ablation.run_series(arguments)
    assert machine.called == []
    with pytest.raises(SystemExit):
        ablation.main(['--records', 'records', '--parallel', '0'])
    assert '--parallel' in capsys.readouterr().err
