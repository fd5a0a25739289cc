"""The loop around the step: data in, figures and checkpoints out."""

from __future__ import annotations

import math
import signal
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from types import FrameType
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import mxnet as mx

from uniface_mx.config.schema import TrainingConfig, ValidationConfig
from uniface_mx.data.loader import Batch, Loader
from uniface_mx.provenance import write_json
from uniface_mx.train import TrainError
from uniface_mx.train.average import Average
from uniface_mx.train.checkpoint import Checkpoint, Checkpoints
from uniface_mx.train.log import Log, Meter
from uniface_mx.train.schedule import Schedule
from uniface_mx.train.step import Step, StepResult

# Figures of a validation of which less is better.
ERRORS = ('loss', 'landmark_error')
# The line on the console has short names for some of the terms.
SHORT = {'classification': 'cls', 'box': 'box', 'landmarks': 'lm', 'mimic': 'mimic', 'contrast': 'contrast'}


@contextmanager
def interruptions() -> Iterator[List[str]]:
    """Within the `with` block, SIGINT and SIGTERM are noted by name; a second one raises KeyboardInterrupt."""
    noted: List[str] = []

    def note(number: int, _: Optional[FrameType]) -> None:
        if noted:
            raise KeyboardInterrupt
        noted.append(signal.Signals(number).name)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass
class Trainer:
    """A run: iterations from where it stands to the last.

    Iteration i learns from batch i of the loader at the schedule's rate i, so the iteration is the data's
    position, too.

    Parameters
    ----------
    loader : Loader
        At the position of the iteration to begin with.
    weights : callable
        Gives the network's arrays under stock names.
    validation : ValidationConfig
        How often to validate, and which figure chooses the best checkpoint.
    facts : dict
        What a checkpoint says besides: teachers, mean embedding, configuration.
    validate : callable, optional
        Gives the figures of a validation.
    average : Average, optional
        Of the weights: what is validated and exported in their place.
    """

    step: Step
    schedule: Schedule
    loader: Loader
    weights: Callable[[], Dict[str, mx.nd.NDArray]]
    checkpoints: Checkpoints
    log: Log
    settings: TrainingConfig
    validation: ValidationConfig
    facts: Dict[str, Any]
    validate: Optional[Callable[[], Dict[str, float]]] = None
    average: Optional[Average] = None

    def __post_init__(self) -> None:
        self.group = self.step.group
        self.iteration = self.saved = self.loader.position
        self.meter = Meter()
        self.not_finite = 0
        self.best: Dict[str, Any] = {'iteration': None, 'value': None}

    def restore(self, state: Dict[str, Any]) -> None:
        """Go on from a checkpoint's state; its arrays the network and the optimizer have already.

        Its best figure counts if it was measured as those to come will be.
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
        with interruptions() as noted:
            while self.iteration < self.settings.iterations:
                began = time.perf_counter()
                batch = next(stream)
                self._learn(batch, time.perf_counter() - began)
                if self.group.total('stop', [len(noted)])[0]:
                    self._save()
                    if self.group.rank == 0:
                        why = noted[0] if noted else 'stopped by another worker'
                        place = f'at iteration {self.iteration} in {self.checkpoints.run}'
                        self.log.say(f'{why}: saved {place}; go on with --resume')
                    break
        stream.close()
        return self.iteration == self.settings.iterations

    def _learn(self, batch: Batch, waited: float) -> None:
        # The generators' states cannot be read, so every iteration has a state of its own.
        mx.random.seed((self.settings.seed * 1000003 + self.iteration) % 2**31)
        rate = self.schedule.rate(self.iteration)
        result = self.step(batch, rate, self.step.criteria.predicted(self.iteration))
        self.iteration += 1
        if self.average and result.updated:
            self.average.update(self.iteration)
        bad = sum(batch.bad, [])
        left_out, overflow = self.group.total('left out', [len(bad), batch.overflow])
        self.meter.add(
            result,
            waited,
            canvases=batch.count * self.group.workers,
            faces=result.counts.mimic,
            bad_records=left_out,
            overflow=overflow,
        )
        if result.finite:
            self.schedule.update(result.loss)
        if not (result.updated or result.rescaled):
            self._not_finite(result, batch)
        if bad:
            self.log.say('left out: ' + '; '.join(bad[:3]))
        if self.group.rank == 0:
            self._report(rate)
        self.group.wait()

    def _report(self, rate: float) -> None:
        """Whatever is due after an iteration: a row, a validation, a checkpoint."""
        last = self.iteration == self.settings.iterations
        self.log.step()
        if self.iteration % self.settings.log_every == 0 or last:
            row = dict(self.meter.row(), rate=rate)
            self.log.row('train', self.iteration, row)
            self.log.speed(f'{self.iteration}/{self.settings.iterations} {_line(row)}')
        better = False
        if self.validate and (self.iteration % self.validation.every == 0 or last):
            with self.average.in_place() if self.average else nullcontext():
                figures = self.validate()
            self.log.row('validation', self.iteration, figures)
            shown = ', '.join(f'{name} {value:.4g}' for name, value in figures.items())
            self.log.say(f'validation at {self.iteration}: {shown}')
            better = self._is_best(figures)
        if self.iteration % self.settings.checkpoint_every == 0 or better or last:
            self._save()

    def _is_best(self, figures: Dict[str, float]) -> bool:
        name, old = self.validation.best, self.best['value']
        value = figures.get(name)
        if value is None or not math.isfinite(value):
            return False
        better = old is None or (value < old if name in ERRORS else value > old)
        if better:
            self.best = {'iteration': self.iteration, 'value': value}
        return better

    def _save(self) -> None:
        if self.group.rank or self.saved == self.iteration:
            return
        scale, optimizer = self.step.scale, self.step.optimizer
        state = dict(
            self.facts,
            schedule=self.schedule.state(),
            meter=self.meter.state(),
            optimizer_steps=optimizer.steps,
            loss_scale=[scale.value, scale.good],
            not_finite=self.not_finite,
            best=self.best,
            seed=self.settings.seed,
        )
        average = self.average.arrays() if self.average else {}
        checkpoint = Checkpoint(self.iteration, self.weights(), optimizer.arrays(), state, average)
        self.checkpoints.save(checkpoint, self.best['iteration'])
        self.saved = self.iteration

    def _not_finite(self, result: StepResult, batch: Batch) -> None:
        """Tell and keep what made a loss or a gradient infinite, then stop or go on."""
        self.not_finite += 1
        terms = result.terms._asdict()
        what = 'the gradient' if result.finite else 'the loss'
        path = self.checkpoints.run / 'not_finite' / f'{self.iteration:08d}.{self.group.rank}.json'
        write_json(
            path,
            {
                'iteration': self.iteration,
                'worker': self.group.rank,
                'what': what,
                'terms': {name: str(value) for name, value in terms.items()},
                'counts': result.counts._asdict(),
                'keys': batch.keys,
            },
        )
        shown = ', '.join(f'{name} {value:.6g}' for name, value in terms.items())
        text = (
            f'{what} of iteration {self.iteration} is not finite ({shown}); '
            f'records: {"; ".join(sum(batch.keys, []))}; all of it in {path}'
        )
        if self.settings.on_nan == 'stop':
            raise TrainError(
                f'{text}. No weight was changed. A lower optimizer.learning_rate, optimizer.clip_gradient or '
                '--on-nan skip may help'
            )
        if self.not_finite > self.settings.nan_limit:
            raise TrainError(
                f'{text}. This is step {self.not_finite} that was skipped, training.nan_limit is '
                f'{self.settings.nan_limit}'
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


def _line(row: Dict[str, Any]) -> str:
    loss = '-' if row['loss'] is None else f'{row["loss"]:.3f}'
    terms = ' '.join(f'{short} {row[name]:.3f}' for name, short in SHORT.items() if row[name] is not None)
    return (
        f'loss {loss} | {terms} | rate {row["rate"]:.3g} | {row["canvases_per_second"]:.1f} canvases/s '
        f'{row["faces_per_second"]:.0f} faces/s, waiting {row["waiting"]:.0%}'
    )
