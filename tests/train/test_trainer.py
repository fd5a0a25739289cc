"""The loop around the step: what it remembers, chooses, asks for and refuses."""

import signal

import pytest
from processes import rows

from uniface_mx.train import TrainError
from uniface_mx.train.log import Log
from uniface_mx.train.result import load_run
from uniface_mx.train.step import Step
from uniface_mx.train.trainer import interruptions

VALIDATION = 'data.validation=[{path: faces}]'


@pytest.mark.parametrize(
    'figure, values, chosen', [('cosine', (0.3, 0.5, 0.4), 2), ('loss', (3.0, 5.0, 2.0), 3)]
)
def test_the_best_checkpoint(build, tmp_path, figure, values, chosen):
    def train(iterations, figure, *told):
        often = ('validation.every=1', 'training.checkpoint_every=100', 'training.batch_size=1')
        given = (f'validation.best={figure}', f'training.iterations={iterations}')
        trainer = build(VALIDATION, *often, *given, resume=True)
        told = iter(told)
        trainer.validate = lambda: {figure: next(told)}
        assert trainer.run()
        return trainer.best

    assert train(3, figure, *values) == {'iteration': chosen, 'value': values[chosen - 1]}
    assert load_run(tmp_path / 'run', 'best').details['training']['iteration'] == chosen
    # Worse than the best so far, and better than nothing by another measure.
    assert train(4, figure, {'cosine': 0.2, 'loss': 9.0}[figure])['iteration'] == chosen
    assert train(5, 'recall', 0.1) == {'iteration': 5, 'value': 0.1}


@pytest.mark.parametrize(
    'best, setting, counts',
    [
        ('loss', 'losses.box=0.5', False),
        ('cosine', 'losses.box=0.5', True),
        ('cosine', 'losses.roi_source=ground_truth', False),
    ],
)
def test_a_best_figure_counts_as_long_as_it_means_the_same(build, best, setting, counts):
    trainer = build(VALIDATION, f'validation.best={best}', 'training.iterations=1')
    trainer.validate = lambda: {best: 0.5}
    trainer.run()
    trainer = build(VALIDATION, f'validation.best={best}', 'training.iterations=2', setting, resume=True)
    assert trainer.best == ({'iteration': 1, 'value': 0.5} if counts else {'iteration': None, 'value': None})


@pytest.mark.parametrize(
    'settings, expected',
    [
        ((), [True] * 3),
        (('losses.roi_warmup=2',), [False, False, True]),
        (('losses.roi_source=ground_truth', 'losses.roi_warmup=2'), [False] * 3),
    ],
)
def test_whose_regions_are_taught(build, monkeypatch, settings, expected):
    asked, call = [], Step.__call__

    def noted(self, batch, rate, predicted):
        asked.append(predicted)
        return call(self, batch, rate, predicted)

    monkeypatch.setattr(Step, '__call__', noted)
    build('training.iterations=3', 'training.batch_size=1', *settings).run()
    assert asked == expected


def test_equal_seeds_begin_equally_and_others_do_not(build):
    trainers = [build(f'training.seed={seed}', run=name) for name, seed in (('a', 1), ('b', 1), ('c', 2))]
    weights = [trainer.weights()['arg:heads_level0_weight'].asnumpy() for trainer in trainers]
    batches = [trainer.loader.make(0) for trainer in trainers]
    assert (weights[0] == weights[1]).all() and (weights[0] != weights[2]).any()
    assert batches[0].keys == batches[1].keys and (batches[0].data == batches[1].data).all()
    assert batches[0].keys != batches[2].keys


def test_figures_that_find_no_room(build):
    trainer = build('training.iterations=1')

    class Full:
        def write(self, text):
            raise OSError(28, 'No space left on device')

        def close(self):
            pass

    trainer.log._file.close()
    trainer.log._file = Full()
    message = r'metrics\.jsonl: cannot be written \(No space left on device\); make room'
    with pytest.raises(TrainError, match=message):
        trainer.log.row('train', 1, {'loss': 1.0})


def test_rows_behind_the_checkpoint_go_and_cut_lines_too(tmp_path):
    (tmp_path / 'metrics.jsonl').write_text(
        '{"kind": "train", "iteration": 1}\n{"kind": "train", "iteration": 2}\n'
        '{"kind": "train", "iteration": 3}\n{"kind": "tra'
    )
    log = Log(tmp_path, 2, 5, tensorboard=False)
    log.row('train', 3, {'loss': 0.5, 'nothing': None, 'infinite': float('inf')})
    log.close()
    assert rows(tmp_path) == [
        {'kind': 'train', 'iteration': 1},
        {'kind': 'train', 'iteration': 2},
        {'kind': 'train', 'iteration': 3, 'loss': 0.5, 'nothing': None, 'infinite': None},
    ]


def test_a_second_signal_does_not_wait():
    with interruptions() as noted:
        signal.raise_signal(signal.SIGTERM)
        assert noted == ['SIGTERM']
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
