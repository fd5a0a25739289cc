"""What a run writes down while it runs: metrics.jsonl, TensorBoard curves, lines on the console."""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path
from typing import Any, Dict, List

from tqdm import tqdm

from uniface_mx.files import written_aside
from uniface_mx.train import TrainError
from uniface_mx.train.losses import Terms
from uniface_mx.train.step import StepResult

METRICS = 'metrics.jsonl'


def read_rows(path: Path, kind: str = 'train') -> List[Dict[str, Any]]:
    """Rows of a run's ``metrics.jsonl``, those of training or of ``validation``.

    Raises
    ------
    TrainError
        A line is not JSON.
    """
    rows = []
    for count, line in enumerate(path.read_text(encoding='utf-8').splitlines(), 1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise TrainError(f'{path}:{count}: not JSON ({error})') from error
        if isinstance(row, dict) and row.get('kind') == kind and row.get('iteration') is not None:
            rows.append(row)
    return rows


class Meter:
    """Means since the last row, and totals since the first iteration.

    `state` is plain JSON. The clock is not in it: after `restore` the next row's speeds are those since then.
    """

    def __init__(self) -> None:
        self.totals = {'canvases': 0, 'faces': 0, 'skipped': 0, 'bad_records': 0, 'overflow': 0}
        self._reset()

    def _reset(self) -> None:
        self._steps, self._sums = 0, {name: 0.0 for name in ('loss', *Terms._fields, 'gradient_norm')}
        self._since = dict(self.totals)
        self._start, self._waited = time.perf_counter(), 0.0

    def add(self, result: StepResult, waited: float, **amounts: float) -> None:
        """Take note of a step, of the seconds that it waited for its batch, and of amounts for the totals."""
        for name, amount in dict(amounts, skipped=not result.updated).items():
            self.totals[name] += int(amount)
        self._waited += waited
        if not result.updated:
            return
        self._steps += 1
        values = {'loss': result.loss, 'gradient_norm': result.norm, **result.terms._asdict()}
        for name, value in values.items():
            self._sums[name] += value

    def row(self) -> Dict[str, Any]:
        """Means of the learned steps since the last row (None without any), totals and speed; begins anew."""
        seconds = time.perf_counter() - self._start
        row: Dict[str, Any] = {
            name: value / self._steps if self._steps else None for name, value in self._sums.items()
        }
        row.update(self.totals)
        for name in ('canvases', 'faces'):
            row[name + '_per_second'] = round((self.totals[name] - self._since[name]) / max(seconds, 1e-9), 2)
        row['waiting'] = round(self._waited / max(seconds, 1e-9), 4)
        self._reset()
        return row

    def state(self) -> Dict[str, Any]:
        """What `restore` needs."""
        return {'totals': dict(self.totals), 'steps': self._steps, 'sums': dict(self._sums)}

    def restore(self, state: Dict[str, Any]) -> None:
        """Go on from a state."""
        self.totals.update(state['totals'])
        self._reset()
        self._steps, self._sums = state['steps'], dict(state['sums'])


class Log:
    """Files and console of a run.

    Parameters
    ----------
    run : path
        The run's folder.
    iteration : int
        Where the run begins; rows of `metrics.jsonl` behind it, which a killed run left, are removed.
    iterations : int
        Where it ends.
    tensorboard : bool
    active : bool
        Whether to write files and show progress: only one worker does.
    """

    def __init__(
        self, run: Path, iteration: int, iterations: int, tensorboard: bool = True, active: bool = True
    ) -> None:
        self.path = run / METRICS
        self._file = self._board = None
        self._terminal = active and sys.stderr.isatty()
        if active:
            self._rewind(iteration)
            self._file = open(self.path, 'a', encoding='utf-8')
        if active and tensorboard:
            from tensorboardX import SummaryWriter

            self._board = SummaryWriter(str(run / 'tensorboard'), purge_step=iteration or None)
        self._bar = tqdm(
            total=iterations, initial=iteration, unit='it', dynamic_ncols=True, disable=not self._terminal
        )

    def _rewind(self, iteration: int) -> None:
        if not self.path.exists():
            return
        kept = []
        for line in self.path.read_text(encoding='utf-8').splitlines():
            try:
                if json.loads(line)['iteration'] <= iteration:
                    kept.append(line + '\n')
            except (ValueError, KeyError):
                # A line that a kill cut short.
                break
        with written_aside(self.path) as aside:
            aside.write_text(''.join(kept), encoding='utf-8')

    def row(self, kind: str, iteration: int, values: Dict[str, Any]) -> None:
        """Write a row of figures of `kind` (``train``, ``validation``, ...)."""
        numbers = {
            name: value for name, value in values.items() if value is not None and math.isfinite(value)
        }
        # What is not finite has no place in JSON.
        row = {'kind': kind, 'iteration': iteration, **dict.fromkeys(values), **numbers}
        try:
            self._file.write(json.dumps(row, allow_nan=False) + '\n')
            self._file.flush()
        except OSError as error:
            raise TrainError(
                f'{self.path}: cannot be written ({error.strerror}); make room and go on with --resume'
            ) from None
        if self._board:
            for name, value in numbers.items():
                self._board.add_scalar(f'{kind}/{name}', value, iteration)

    def step(self) -> None:
        """Move the bar."""
        self._bar.update()

    def speed(self, text: str) -> None:
        """Show the latest figures: beside the bar, or as a line where there is no terminal."""
        if self._terminal:
            self._bar.set_postfix_str(text)
        else:
            self.say(text)

    def say(self, text: str) -> None:
        """A line on the console, from every worker that has something to say."""
        tqdm.write(text, file=sys.stderr)

    def close(self) -> None:
        """Close the files."""
        for part in (self._bar, self._file, self._board):
            if part is not None:
                part.close()
