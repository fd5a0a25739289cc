"""Cost of training steps: time, memory, waiting, and where the time goes, operator by operator.

Precisions are measured in processes of their own: run it once for each. Under `tools/launch.py`
with `training.kvstore=dist_sync` the workers are measured together, and the first of them prints.
"""

from __future__ import annotations

import json
import os
import resource
import tempfile
import time
from typing import Any, Callable, Dict, List, Sequence

import mxnet as mx

from uniface_mx.config.reader import load_config
from uniface_mx.models import Uniface, get_model
from uniface_mx.train.build import build_trainer, training_graphs

WARM = 2


def planned_memory(net: Uniface, precision: str, batch: int, faces: int) -> float:
    """MB of the arrays that MXNet's executor plans for a step of a model.

    Those are outputs, gradients and work space, no weights.

    Parameters
    ----------
    net : Uniface
        It need not be initialized.
    precision : {'float32', 'float16', 'bfloat16'}
    batch, faces : int
        Images, and faces an image.
    """
    graphs = training_graphs(net, precision)
    data, rois = mx.sym.var('data'), mx.sym.var('faces')
    outputs = graphs.network(data)
    outputs = list(outputs[:3]) + [graphs.recognition(outputs[3], rois)]
    symbol = mx.sym.MakeLoss(sum(output.square().mean() for output in outputs))
    learned = {
        argument: 'null' if argument in ('data', 'faces') else 'write' for argument in symbol.list_arguments()
    }
    executor = symbol.simple_bind(
        mx.cpu(), grad_req=learned, data=(batch, 3, net.size, net.size), faces=(batch * faces, 15)
    )
    line = next(line for line in executor.debug_str().splitlines() if 'MB allocated' in line)
    return float(line.split()[1])


def operators(action: Callable[[], None], count: int) -> List[Dict[str, Any]]:
    """Milliseconds and share of each operator in an action, most first.

    It is meaningful without bulking (`MXNET_EXEC_BULK_EXEC_TRAIN=0`).
    """
    with tempfile.TemporaryDirectory() as folder:
        mx.profiler.set_config(
            profile_all=True, aggregate_stats=True, filename=os.path.join(folder, 'profile.json')
        )
        mx.profiler.set_state('run')
        action()
        mx.nd.waitall()
        mx.profiler.set_state('stop')
        times = json.loads(mx.profiler.dumps(reset=True, format='json'))['Time']['operator']
    whole = sum(entry['Total'] for entry in times.values())
    ranked = sorted(times.items(), key=lambda item: -item[1]['Total'])
    return [
        {'operator': name, 'calls': entry['Count'], 'ms': entry['Total'], 'share': entry['Total'] / whole}
        for name, entry in ranked[:count]
    ]


def _kinds_of_canvas(cells: int) -> List[str]:
    """Settings for the configuration's own mix (0), whole photos (1), or mosaics of so many cells."""
    if not cells:
        return []
    if cells == 1:
        return ['augmentation.letterbox=1', 'augmentation.crop=0', 'augmentation.mosaic=0']
    return [
        'augmentation.letterbox=0',
        'augmentation.crop=0',
        'augmentation.mosaic=1',
        f'augmentation.mosaic_cells=[{cells}]',
        'augmentation.mosaic_weights=[1.0]',
    ]


def benchmark(
    config: str = 'lite_a', settings: Sequence[str] = (), steps: int = 10, cells: int = 0, ranked: int = 0
) -> Dict[str, Any]:
    """Measure, print, and return it.

    Parameters
    ----------
    config, settings
        A configuration, and changes of its values.
    steps : int
        To measure.
    cells : int
        Mosaics of so many photos only; 1 for whole photos, 0 for the configuration's own mix.
    ranked : int
        Show so many operators of a profiled step.
    """
    still = ['data.validation=[]', 'training.tensorboard=false', 'losses.roi_warmup=0']
    wanted = load_config(config, [*still, *_kinds_of_canvas(cells), *settings])
    with tempfile.TemporaryDirectory() as folder:
        trainer = build_trainer(wanted, folder)
        trainer.log.close()
        stream = iter(trainer.loader)
        outcomes, waited = [], 0.0

        def step() -> None:
            nonlocal waited
            began = time.perf_counter()
            batch = next(stream)
            waited += time.perf_counter() - began
            outcomes.append(trainer.step(batch, 1e-6, predicted=wanted.losses.roi_source == 'predicted'))

        for _ in range(WARM):
            step()
        del outcomes[:]
        waited, wall, cpu = 0.0, time.perf_counter(), time.process_time()
        for _ in range(steps):
            step()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        group, batch = trainer.step.group, wanted.training.batch_size
        found = {
            'config': config,
            'precision': wanted.training.precision,
            'batch': batch,
            'workers': group.workers,
            'threads': os.environ.get('OMP_NUM_THREADS'),
            'seconds_a_step': wall / steps,
            'canvases_per_second': group.workers * batch * steps / wall,
            'faces_per_second': sum(outcome.counts.mimic for outcome in outcomes) / wall,
            'cpu_seconds_a_canvas': cpu / steps / batch,
            'waiting': waited / wall,
            'peak_mb': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            'planned_mb': planned_memory(
                get_model(wanted.model.name, **wanted.model.overrides()),
                wanted.training.precision,
                batch // (len(group.devices) * wanted.training.accumulate),
                max(1, cells),
            ),
        }
        if ranked:
            found['operators'] = operators(step, ranked)
        stream.close()
    if not group.rank:
        _print(found)
    return found


def _print(found: Dict[str, Any]) -> None:
    print(
        f'{found["config"]}, {found["precision"]}, {found["workers"]} x batch {found["batch"]}: '
        f'{found["canvases_per_second"]:.2f} canvases/s, {found["faces_per_second"]:.1f} faces/s, '
        f'{found["cpu_seconds_a_canvas"]:.3f} s of CPU a canvas, waiting {found["waiting"]:.1%}, '
        f'process peak {found["peak_mb"]:.0f} MB, executor plan {found["planned_mb"]:.0f} MB'
    )
    for row in found.get('operators', ()):
        print(f'{row["operator"]:<40.40} {row["calls"]:>6} {row["ms"]:>10.1f} ms {row["share"]:>6.1%}')
