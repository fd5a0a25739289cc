"""The devices of this process and the workers of a run, as one: whatever they add up."""

from __future__ import annotations

import os
import re
from typing import List, Sequence

import mxnet as mx
import numpy as np

from uniface_mx.train import TrainError


def parse_devices(names: Sequence[str]) -> List[mx.Context]:
    """``cpu``, ``gpu``, ``cpu(1)``, ``gpu(0)`` as contexts.

    Raises
    ------
    TrainError
        No such device, or one named twice.
    """
    devices = []
    for name in names:
        found = re.match(r'(cpu|gpu)(?:\((\d+)\))?$', name.strip())
        if not found:
            raise TrainError(f'training.devices: {name!r} is no device; write cpu, cpu(1), gpu or gpu(0)')
        kind, number = found.group(1), int(found.group(2) or 0)
        if kind == 'gpu' and number >= mx.context.num_gpus():
            raise TrainError(
                f'training.devices: there is no gpu({number}): MXNet sees {mx.context.num_gpus()} GPUs; '
                'python -m uniface_mx.doctor says why'
            )
        devices.append(mx.Context(kind, number))
    if not devices or len(set(devices)) < len(devices):
        raise TrainError('training.devices: name at least one device, and each once')
    return devices


class Group:
    """All that take part in a step.

    Parameters
    ----------
    devices : sequence of mxnet.Context
        Of this process.
    kvstore : {'local', 'device', 'dist_sync'}
        How values are added up: on the CPU, on the GPUs, or with the other workers through MXNet's parameter
        server.
    """

    def __init__(self, devices: Sequence[mx.Context], kvstore: str = 'local') -> None:
        self.devices = list(devices)
        self.distributed = kvstore.startswith('dist')
        if self.distributed and 'DMLC_ROLE' not in os.environ:
            raise TrainError(
                f'training.kvstore: {kvstore} needs a scheduler and servers; start the run with '
                'tools/launch.py'
            )
        self._store = mx.kv.create(kvstore) if self.distributed or len(self.devices) > 1 else None
        self.rank = self._store.rank if self.distributed else 0
        self.workers = self._store.num_workers if self.distributed else 1
        self._known = set()

    def sum(self, key: str, arrays: List[mx.nd.NDArray]) -> None:
        """Replace one array a device by the sum over all devices and workers."""
        if self._store is None:
            return
        if key not in self._known:
            self._store.init(key, mx.nd.zeros_like(arrays[0]))
            self._known.add(key)
        self._store.push(key, arrays)
        self._store.pull(key, arrays)

    def total(self, key: str, values: Sequence[float]) -> np.ndarray:
        """The sum (n,) float64 of a few numbers over the workers; of several, to float32's precision."""
        values = np.asarray(values, np.float64)
        if not self.distributed:
            return values
        array = mx.nd.array(values, dtype=np.float32)
        self.sum(key, [array])
        return array.asnumpy().astype(np.float64)

    def wait(self) -> None:
        """Wait for all workers."""
        if self.distributed:
            self._store._barrier()
