"""The loop around the step: data in, figures and checkpoints out."""

from __future__ import annotations

import math
import signal
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Tuple

import mxnet as mx

from uniface_mx.data.loader import Batch, Loader
from uniface_mx.provenance import write_json
from uniface_mx.train.average import Average
from uniface_mx.train.checkpoint import Checkpoint, Checkpoints
from uniface_mx.train.errors import TrainError
from uniface_mx.train.group import Group
from uniface_mx.train.log import Log, Meter
from uniface_mx.train.schedule import Schedule
from uniface_mx.train.step import Outcome, Step

# Figures of a validation that may choose the best checkpoint: whether more is better.
BEST = {'loss': False, 'average_precision': True, 'recall': True, 'landmark_error': False, 'cosine': True}


class Interrupt:
    """Within a `with` block, SIGINT and SIGTERM are noted in `name`; a second one raises
    KeyboardInterrupt.
    """

    def __init__(self):
        self.name: Optional[str] = None

    def __enter__(self) -> Interrupt:
        self._before = {
            number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number, _) -> None:
        if self.name:
            raise KeyboardInterrupt
        self.name = signal.Signals(number).name


class Trainer:
    """A run: iterations from where it stands to the last.

    Iteration i learns from batch i of the loader at the schedule's rate i, so the iteration is the data's
    position, too.

    Parameters
    ----------
    step : Step
    schedule : Schedule
    loader : Loader
        At the position of `iteration`.
    group : Group
    weights : callable
        Gives the network's arrays under stock names.
    checkpoints : Checkpoints
    log : Log
    iterations : int
        Where the run ends.
    facts : dict
        What a checkpoint says besides: teachers, mean embedding, configuration.
    seed : int
    validate : callable, optional
        Gives the figures of a validation.
    best : str
        The figure, of `BEST`, that chooses the best checkpoint.
    validate_every, checkpoint_every, log_every : int
    roi_warmup : int
        First iterations with the ground truth as ROIs; None for all.
    on_nan : {'stop', 'skip'}
    nan_limit : int
        Skipped steps after which the run gives up.
    average : Average, optional
        Of the weights: what is validated and exported in their place.
    """

    def __init__(
        self,
        step: Step,
        schedule: Schedule,
        loader: Loader,
        group: Group,
        weights: Callable[[], Dict[str, mx.nd.NDArray]],
        checkpoints: Checkpoints,
        log: Log,
        iterations: int,
        facts: Dict[str, Any],
        seed: int = 0,
        validate: Optional[Callable[[], Dict[str, float]]] = None,
        best: str = 'loss',
        validate_every: int = 2000,
        checkpoint_every: int = 1000,
        log_every: int = 20,
        roi_warmup: Optional[int] = 0,
        on_nan: str = 'stop',
        nan_limit: int = 20,
        average: Optional[Average] = None,
    ):
        self.step, self.schedule, self.loader, self.group = step, schedule, loader, group
        self.weights, self.checkpoints, self.log, self.validate = weights, checkpoints, log, validate
        self.iterations, self.facts, self.seed, self.best_figure = iterations, facts, seed, best
        self.validate_every, self.checkpoint_every, self.log_every = (
            validate_every,
            checkpoint_every,
            log_every,
        )
        self.roi_warmup, self.on_nan, self.nan_limit = roi_warmup, on_nan, nan_limit
        self.average = average
        self.iteration = self.saved = loader.position
        self.meter = Meter()
        self.not_finite = 0
        self.best: Dict[str, Any] = {'iteration': None, 'value': None}

    def restore(self, state: Dict[str, Any]) -> None:
        """Go on from a checkpoint's state, whose weights the network and whose slots the optimizer has already. Its
        best figure counts if it was measured as those to come will be.
        """
        self.schedule.restore(state['schedule'])
        self.meter.restore(state['meter'])
        self.step.scale.value, self.step.scale.good = state['loss_scale']
        self.not_finite = state['not_finite']
        if _measure(state['config']) == _measure(self.facts['config']):
            self.best = state['best']

    def run(self) -> bool:
        """Train; True at the last iteration, False when SIGINT or SIGTERM ended it before.

        Raises
        ------
        TrainError
            A loss was not finite, or a checkpoint cannot be written.
        """
        stream = iter(self.loader)
        with Interrupt() as interrupt:
            while self.iteration < self.iterations:
                began = time.perf_counter()
                batch = next(stream)
                self._learn(batch, time.perf_counter() - began)
                if self.group.total('stop', [interrupt.name is not None])[0]:
                    self._save()
                    if self.group.rank == 0:
                        self.log.say(
                            '{}: saved at iteration {} in {}; go on with --resume'.format(
                                interrupt.name or 'stopped by another worker',
                                self.iteration,
                                self.checkpoints.run,
                            )
                        )
                    break
        stream.close()
        return self.iteration == self.iterations

    def _learn(self, batch: Batch, waited: float) -> None:
        # The generators' states cannot be read, so every iteration has a state of its own.
        mx.random.seed((self.seed * 1000003 + self.iteration) % 2**31)
        rate = self.schedule.rate(self.iteration)
        warm = self.roi_warmup is None or self.iteration < self.roi_warmup
        outcome = self.step(batch, rate, predicted=not warm)
        self.iteration += 1
        if self.average and outcome.updated:
            self.average.update(self.iteration)
        bad = sum(batch.bad, [])
        left_out, overflow = self.group.total('left out', [len(bad), batch.overflow])
        self.meter.add(
            outcome,
            batch.count * self.group.workers,
            outcome.counts.mimic,
            int(left_out),
            int(overflow),
            waited,
        )
        if outcome.finite:
            self.schedule.update(outcome.loss)
        if not (outcome.updated or outcome.rescaled):
            self._not_finite(outcome, batch)
        if bad:
            self.log.say('left out: ' + '; '.join(bad[:3]))
        if self.group.rank == 0:
            self._report(rate)
        self.group.wait()

    def _report(self, rate: float) -> None:
        """Whatever is due after an iteration: a row, a validation, a checkpoint."""
        last = self.iteration == self.iterations
        self.log.step()
        if self.iteration % self.log_every == 0 or last:
            row = self.meter.row()
            self.log.row('train', self.iteration, dict(row, rate=rate))
            self.log.speed(_line(self.iteration, self.iterations, row, rate))
        better = False
        if self.validate and (self.iteration % self.validate_every == 0 or last):
            with self.average.in_place() if self.average else nullcontext():
                figures = self.validate()
            self.log.row('validation', self.iteration, figures)
            self.log.say(
                'validation at {}: {}'.format(
                    self.iteration, ', '.join(f'{name} {value:.4g}' for name, value in figures.items())
                )
            )
            better = self._is_best(figures)
        if self.iteration % self.checkpoint_every == 0 or better or last:
            self._save()

    def _is_best(self, figures: Dict[str, float]) -> bool:
        value = figures.get(self.best_figure)
        if value is None or not math.isfinite(value):
            return False
        old = self.best['value']
        better = old is None or (value > old if BEST[self.best_figure] else value < old)
        if better:
            self.best = {'iteration': self.iteration, 'value': value}
        return better

    def _save(self) -> None:
        if self.group.rank or self.saved == self.iteration:
            return
        scale = self.step.scale
        state = dict(
            self.facts,
            schedule=self.schedule.state(),
            meter=self.meter.state(),
            optimizer_steps=self.step.optimizer.steps,
            loss_scale=[scale.value, scale.good],
            not_finite=self.not_finite,
            best=self.best,
            seed=self.seed,
        )
        self.checkpoints.save(
            Checkpoint(
                self.iteration,
                self.weights(),
                self.step.optimizer.arrays(),
                state,
                self.average.arrays() if self.average else {},
            ),
            self.best['iteration'],
        )
        self.saved = self.iteration

    def _not_finite(self, outcome: Outcome, batch: Batch) -> None:
        """Tell and keep what made a loss or a gradient infinite, then stop or go on."""
        self.not_finite += 1
        terms = ', '.join(f'{name} {value:.6g}' for name, value in outcome.terms._asdict().items())
        what = 'the loss' if not outcome.finite else 'the gradient'
        path = Path(self.checkpoints.run) / 'not_finite' / f'{self.iteration:08d}.{self.group.rank}.json'
        write_json(
            path,
            {
                'iteration': self.iteration,
                'worker': self.group.rank,
                'what': what,
                'terms': {name: str(value) for name, value in outcome.terms._asdict().items()},
                'counts': outcome.counts._asdict(),
                'keys': batch.keys,
            },
        )
        text = '{} of iteration {} is not finite ({}); records: {}; all of it in {}'.format(
            what, self.iteration, terms, '; '.join(key for keys in batch.keys for key in keys), path
        )
        if self.on_nan == 'stop':
            raise TrainError(
                text + '. No weight was changed. A lower optimizer.learning_rate, optimizer.clip_gradient or '
                '--on-nan skip may help'
            )
        if self.not_finite > self.nan_limit:
            raise TrainError(
                f'{text}. This is step {self.not_finite} that was skipped, training.nan_limit is {self.nan_limit}'
            )
        self.log.say('skipped: ' + text)


def _measure(config: Dict[str, Any]) -> Tuple[Any, ...]:
    """What a configuration's best validation figure depends on, apart from the network."""
    settings = {
        key: value for key, value in config['validation'].items() if key not in ('every', 'batch_size')
    }
    losses = config['losses']
    return (
        config['data']['validation'],
        settings,
        losses if settings['best'] == 'loss' else losses['roi_source'],
    )


def _line(iteration: int, iterations: int, row: Dict[str, Any], rate: float) -> str:
    names = (
        ('cls', 'classification'),
        ('box', 'box'),
        ('lm', 'landmarks'),
        ('mimic', 'mimic'),
        ('contrast', 'contrast'),
    )
    terms = ' '.join(f'{short} {row[name]:.3f}' for short, name in names if row[name] is not None)
    return '{}/{} loss {} | {} | rate {:.3g} | {:.1f} canvases/s {:.0f} faces/s, waiting {:.0%}'.format(
        iteration,
        iterations,
        '-' if row['loss'] is None else '{:.3f}'.format(row['loss']),
        terms,
        rate,
        row['canvases_per_second'],
        row['faces_per_second'],
        row['waiting'],
    )
