"""Checkpoints that a kill or a full disk at any moment cannot spoil, and that hold no pickle.

A checkpoint is a folder, ``checkpoints/00012000``: ``weights.params`` (stock ``arg:``/``aux:`` names, as
MXNet's own loaders read it), ``optimizer.params`` (``momentum:NAME``, ...), ``average.params`` where weights
are averaged, and ``state.json``, which also holds the sha256 of the others. It is written under another name
and renamed when it is complete and on the disk.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Union

import mxnet as mx

from uniface_mx.errors import UnifaceError
from uniface_mx.files import file_hash
from uniface_mx.models.files import load_arrays, save_arrays
from uniface_mx.train import TrainError

FORMAT = 1
WEIGHTS, SLOTS, AVERAGE, STATE = 'weights.params', 'optimizer.params', 'average.params', 'state.json'
KEPT = 2
PathLike = Union[str, 'os.PathLike[str]']


class Checkpoint(NamedTuple):
    """What a run goes on from."""

    iteration: int
    weights: Dict[str, mx.nd.NDArray]
    slots: Dict[str, mx.nd.NDArray]
    state: Dict[str, Any]
    average: Dict[str, mx.nd.NDArray] = {}


class Checkpoints:
    """The checkpoints of a run.

    The last two are kept, the best, and those at multiples of `keep_every`. Beside the folder,
    ``last.params`` and ``best.params`` are the weights of the last and the best.

    Parameters
    ----------
    run : path
        The run's folder.
    keep_every : int, optional
    """

    def __init__(self, run: PathLike, keep_every: Optional[int] = None) -> None:
        self.run, self.folder, self.keep_every = Path(run), Path(run) / 'checkpoints', keep_every

    def numbers(self) -> List[int]:
        """Iterations with a complete checkpoint, in rising order."""
        if not self.folder.is_dir():
            return []
        return sorted(int(path.name) for path in self.folder.iterdir() if path.name.isdigit())

    def path(self, iteration: int) -> Path:
        """A checkpoint's folder."""
        return self.folder / f'{iteration:08d}'

    def result(self, iteration: int) -> Path:
        """The file of what a checkpoint has trained: its average where there is one, else its weights."""
        average = self.path(iteration) / AVERAGE
        return average if average.is_file() else self.path(iteration) / WEIGHTS

    def save(self, checkpoint: Checkpoint, best: Optional[int] = None) -> None:
        """Write a checkpoint, then remove those that are no longer needed.

        Parameters
        ----------
        checkpoint : Checkpoint
        best : int, optional
            Iteration of the best checkpoint, which may be this one.

        Raises
        ------
        TrainError
            It cannot be written; all earlier ones are as they were.
        """
        aside = self.folder / f'.{checkpoint.iteration:08d}.part'
        try:
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(parents=True)
            files = {WEIGHTS: checkpoint.weights, SLOTS: checkpoint.slots}
            if checkpoint.average:
                files[AVERAGE] = checkpoint.average
            hashes = {}
            for name, arrays in files.items():
                save_arrays(aside / name, arrays)
                with open(aside / name, 'rb') as file:
                    os.fsync(file.fileno())
                hashes[name] = file_hash(aside / name)
            content = dict(
                format=FORMAT, iteration=checkpoint.iteration, files=hashes, state=checkpoint.state
            )
            with open(aside / STATE, 'w', encoding='utf-8') as file:
                json.dump(content, file, indent=1, allow_nan=False)
                file.flush()
                os.fsync(file.fileno())
            target = self.path(checkpoint.iteration)
            shutil.rmtree(target, ignore_errors=True)
            os.rename(aside, target)
            self._link(checkpoint.iteration, 'last.params')
            if best is not None and self.path(best).is_dir():
                self._link(best, 'best.params')
        except (OSError, mx.MXNetError, UnifaceError, ValueError) as error:
            shutil.rmtree(aside, ignore_errors=True)
            reason = str(error).strip().split('\n')[0]
            earlier = (
                'the earlier ones are intact, make room and go on with --resume'
                if self.numbers()
                else 'there is none yet'
            )
            raise TrainError(f'{self.folder}: cannot write a checkpoint ({reason}); {earlier}') from None
        self._prune(checkpoint.iteration, best)

    def load(self, iteration: Optional[int] = None, report: Callable[[str], Any] = print) -> Checkpoint:
        """Read a checkpoint, by default the last that is undamaged.

        Raises
        ------
        TrainError
            There is none.
        """
        numbers = self.numbers()[::-1] if iteration is None else [iteration]
        for number in numbers:
            try:
                return self._read(number)
            except TrainError as error:
                report(f'{error}; trying an earlier one' if number != numbers[-1] else str(error))
        raise TrainError(f'{self.folder}: no checkpoint to go on from')

    def _read(self, iteration: int) -> Checkpoint:
        path = self.path(iteration)
        try:
            content = json.loads((path / STATE).read_text(encoding='utf-8'))
            if content['format'] != FORMAT:
                raise TrainError(
                    f'{path}: checkpoint format {content["format"]}, this version reads {FORMAT}'
                )
            names = (WEIGHTS, SLOTS) + ((AVERAGE,) if AVERAGE in content['files'] else ())
            for name in names:
                if file_hash(path / name) != content['files'][name]:
                    raise TrainError(f'{path / name}: damaged, its sha256 is not the one in {STATE}')
            weights, slots, *average = (load_arrays(path / name) for name in names)
            return Checkpoint(content['iteration'], weights, slots, content['state'], *average)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TrainError(f'{path}: not a checkpoint ({error})') from None

    def _link(self, iteration: int, name: str) -> None:
        aside, target = self.run / (name + '.part'), self.run / name
        if aside.exists():
            aside.unlink()
        try:
            os.link(self.result(iteration), aside)
        except OSError:
            shutil.copyfile(self.result(iteration), aside)
        os.replace(aside, target)

    def _prune(self, last: int, best: Optional[int]) -> None:
        for number in [number for number in self.numbers() if number <= last][:-KEPT]:
            if number != best and not (self.keep_every and number % self.keep_every == 0):
                shutil.rmtree(self.path(number), ignore_errors=True)
        for leftover in self.folder.glob('.*.part'):
            shutil.rmtree(leftover, ignore_errors=True)
