"""Cost of training steps: time, memory, waiting, and where the time goes, operator by operator.

Precisions are measured in processes of their own: run it once for each. Under `python -m uniface_mx.train.launch`
with `training.kvstore=dist_sync` the workers are measured together, and the first of them prints.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from typing import Any, Dict, List

import mxnet as mx

from uniface_mx.cli.program import at_least
from uniface_mx.config.reader import load_config
from uniface_mx.models import Uniface, get_model
from uniface_mx.train.build import build_trainer, training_graphs

WARM = 2


def planned_memory(net: Uniface, precision: str, batch: int, faces: int) -> float:
    """MB of the arrays that MXNet's executor plans for a step of a model: outputs, gradients and work space,
    no weights.

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


def operators(action, count: int) -> List[Dict[str, Any]]:
    """Milliseconds and share of each operator in an action, most first; meaningful without bulking
    (`MXNET_EXEC_BULK_EXEC_TRAIN=0`).
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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `tools/benchmark.py training`."""
    parser.add_argument('--config', default='lite_a', help='whose settings (%(default)s)')
    parser.add_argument(
        '--set', action='append', default=[], metavar='KEY=VALUE', help='change a value of it'
    )
    parser.add_argument('--steps', type=at_least(1), default=10, help='steps to measure (%(default)s)')
    parser.add_argument(
        '--cells', type=at_least(0), default=0, help='mosaics of so many photos only; 1 for whole photos'
    )
    parser.add_argument(
        '--operators', type=at_least(0), default=0, help='show so many operators of a profiled step'
    )


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


def run(args: argparse.Namespace) -> dict:
    """Measure, print, and return it."""
    config = load_config(
        args.config,
        ['data.validation=[]', 'training.tensorboard=false', 'losses.roi_warmup=0']
        + _kinds_of_canvas(args.cells)
        + args.set,
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = build_trainer(config, folder)
        trainer.log.close()
        stream = iter(trainer.loader)
        outcomes, waited = [], 0.0

        def step():
            nonlocal waited
            began = time.perf_counter()
            batch = next(stream)
            waited += time.perf_counter() - began
            outcomes.append(trainer.step(batch, 1e-6, predicted=config.losses.roi_source == 'predicted'))

        for _ in range(WARM):
            step()
        del outcomes[:]
        waited, wall, cpu = 0.0, time.perf_counter(), time.process_time()
        for _ in range(args.steps):
            step()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        group, batch = trainer.step.group, config.training.batch_size
        found = {
            'config': args.config,
            'precision': config.training.precision,
            'batch': batch,
            'workers': group.workers,
            'threads': os.environ.get('OMP_NUM_THREADS'),
            'seconds_a_step': wall / args.steps,
            'canvases_per_second': group.workers * batch * args.steps / wall,
            'faces_per_second': sum(outcome.counts.mimic for outcome in outcomes) / wall,
            'cpu_seconds_a_canvas': cpu / args.steps / batch,
            'waiting': waited / wall,
            'peak_mb': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            'planned_mb': planned_memory(
                get_model(config.model.name, **config.model.overrides()),
                config.training.precision,
                batch // (len(group.devices) * config.training.accumulate),
                max(1, args.cells),
            ),
        }
        if args.operators:
            found['operators'] = operators(step, args.operators)
        stream.close()
    if not group.rank:
        _print(found)
    return found


def _print(found: dict) -> None:
    print(
        '{config}, {precision}, {workers} x batch {batch}: {canvases_per_second:.2f} canvases/s, '
        '{faces_per_second:.1f} faces/s, {cpu_seconds_a_canvas:.3f} s of CPU a canvas, waiting {waiting:.1%}, '
        'process peak {peak_mb:.0f} MB, executor plan {planned_mb:.0f} MB'.format(**found)
    )
    for row in found.get('operators', ()):
        print('{operator:<40.40} {calls:>6} {ms:>10.1f} ms {share:>6.1%}'.format(**row))
