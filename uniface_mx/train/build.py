"""From a configuration to a trainer: the one place of training that reads the whole of it."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Union

import mxnet as mx
import numpy as np
from mxnet.gluon import HybridBlock
from mxnet.gluon.nn import BatchNorm

from uniface_mx.config.augmentation import AugmentSettings, RecordShare
from uniface_mx.config.reader import Config, as_dict, to_yaml
from uniface_mx.config.schema import DataConfig
from uniface_mx.data.loader import Canvases, Loader, read_photo
from uniface_mx.data.records import RecordError, mean_embedding, require_teachers
from uniface_mx.data.rows import EMBEDDING, EMBEDDING_DIM, HAS_EMBEDDING, IGNORE
from uniface_mx.files import written_aside
from uniface_mx.models import Uniface, get_model
from uniface_mx.models.files import load_weights, named_arrays
from uniface_mx.provenance import portable, provenance, write_json
from uniface_mx.train import TrainError
from uniface_mx.train.average import Average
from uniface_mx.train.checkpoint import WEIGHTS, Checkpoint, Checkpoints
from uniface_mx.train.criteria import Criteria, Graphs
from uniface_mx.train.group import Group, parse_devices
from uniface_mx.train.log import Log
from uniface_mx.train.optimizer import SGD, AdamW, Optimizer, choose
from uniface_mx.train.precision import LossScale, lowered
from uniface_mx.train.schedule import SCHEDULES, Schedule
from uniface_mx.train.start import initialize, load_backbone, load_start
from uniface_mx.train.step import Step
from uniface_mx.train.trainer import Trainer
from uniface_mx.train.validation import Validation

# What feeds the embeddings alone: it rests when no embeddings are taught.
RECOGNITION = ('recognition_', 'topdown_', 'coarse_')
STATIC = {'static_alloc': True, 'static_shape': True}


def build_trainer(config: Config, run: Union[str, os.PathLike], resume: bool = False) -> Trainer:
    """Everything that a run needs.

    Parameters
    ----------
    config : Config
    run : path
        The run's folder: `config.yaml`, `run.json`, `metrics.jsonl`, `tensorboard/`, `checkpoints/`,
        `last.params`, `best.params`.
    resume : bool
        Go on from the folder's last checkpoint, or begin where there is none.

    Raises
    ------
    UnifaceError
        The settings contradict each other, the folder holds another run, or records or weights cannot be
        used.
    """
    run, training = Path(run), config.training
    group = _group(config)
    checkpoints = Checkpoints(run, training.keep_every)
    checkpoint = _last(checkpoints, config, resume)

    net = get_model(config.model.name, **config.model.overrides())
    canvases = open_canvases(config.data.train, config.data, config.augmentation, training.seed, net.size)
    facts = _facts(config, canvases)
    if checkpoint:
        _compare(checkpoint, facts, canvases, group)
    mean = np.array(facts['mean_embedding'], np.float32) if facts['mean_embedding'] else None
    criteria = _criteria(config, net, canvases, group.devices, mean)
    initialize(net, group.devices, training.seed, mean)
    if checkpoint:
        load_weights(net, checkpoints.path(checkpoint.iteration) / WEIGHTS, group.devices)
    elif training.init:
        load_start(net, training.init, group.devices, facts['teachers'])
    elif training.backbone:
        load_backbone(net, training.backbone, group.devices)

    # First, because frozen batch norms keep their statistics.
    optimizer = _optimizer(config, net, criteria.recognition)
    graphs = training_graphs(net, training.precision, training.freeze_batch_norm)
    scale = LossScale(training.precision == 'float16')
    step = Step(
        graphs, criteria, optimizer, group, scale, training.accumulate, config.optimizer.clip_gradient
    )
    validate = None
    if config.data.validation and group.rank == 0:
        held_out, workers = _held_out(config, net.size, facts['teachers']), config.data.workers
        network = (graphs, net.decoder, criteria, mean, group.devices[0])
        validate = Validation(held_out, config.validation, *network, workers)
    average = Average(net.collect_params(), training.average) if training.average else None
    if checkpoint:
        optimizer.restore(checkpoint.slots, checkpoint.state['optimizer_steps'])
        if average:
            average.restore(checkpoint.average)
    position = checkpoint.iteration if checkpoint else 0
    if group.rank == 0:
        _describe(run, config, facts, position)
    trainer = Trainer(
        step,
        build_schedule(config),
        _loader(config, canvases, group, position),
        lambda: named_arrays(net),
        checkpoints,
        Log(run, position, training.iterations, training.tensorboard, group.rank == 0),
        training,
        config.validation,
        facts,
        validate,
        average,
    )
    if checkpoint:
        trainer.restore(checkpoint.state)
    return trainer


def _group(config: Config) -> Group:
    """Who takes part; refuses a batch that they cannot share, and a run without records."""
    training = config.training
    group = Group(parse_devices(training.devices), training.kvstore)
    shares = len(group.devices) * training.accumulate
    if training.batch_size % shares:
        raise TrainError(
            f'training.batch_size: {training.batch_size} is not a multiple of {shares}, the devices times '
            'training.accumulate'
        )
    if not config.data.train:
        raise TrainError('data.train: names no record set')
    return group


def _last(checkpoints: Checkpoints, config: Config, resume: bool) -> Optional[Checkpoint]:
    """The checkpoint to go on from, if there is one."""
    if not checkpoints.numbers():
        return None
    if not resume:
        raise TrainError(
            f'{checkpoints.run}: holds a run already; go on with --resume, or choose another --out'
        )
    checkpoint = checkpoints.load()
    if checkpoint.iteration > config.training.iterations:
        raise TrainError(
            f'training.iterations: is {config.training.iterations}, but {checkpoints.run} stands at '
            f'iteration {checkpoint.iteration} already'
        )
    return checkpoint


def open_canvases(
    shares: Sequence[RecordShare], data: DataConfig, settings: AugmentSettings, seed: Optional[int], size: int
) -> Canvases:
    """Canvases of record sets whose paths are relative to the folder of the data."""
    shares = [replace(share, path=os.path.join(data.root, share.path)) for share in shares]
    return Canvases(shares, settings, seed, size, data.skip_bad)


def _held_out(config: Config, size: int, teachers: Dict[str, Any]) -> Canvases:
    """The validation's photos, one after the other, labelled by the training's teachers."""
    canvases = open_canvases(config.data.validation, config.data, AugmentSettings.none(), None, size)
    for reader in canvases.readers if teachers else ():
        require_teachers(reader.meta, teachers, reader.name)
    return canvases


def _loader(config: Config, canvases: Canvases, group: Group, position: int) -> Loader:
    data, share = config.data, (group.rank, group.workers)
    return Loader(
        canvases, config.training.batch_size, data.workers, data.max_faces, data.ahead, share, position
    )


def training_graphs(net: Uniface, precision: str = 'float32', freeze_batch_norm: bool = False) -> Graphs:
    """What the step runs, compiled.

    Batch norms whose scale does not learn, or all of them, keep their statistics.
    """

    def freeze(block: HybridBlock) -> None:
        if isinstance(block, BatchNorm) and (freeze_batch_norm or block.gamma.grad_req == 'null'):
            block._kwargs['use_global_stats'] = True

    net.apply(freeze)
    graphs = Graphs(
        lowered(net.network, ['data'], precision), lowered(net.recognition, ['features', 'faces'], precision)
    )
    for graph in graphs:
        graph.hybridize(**STATIC)
    return graphs


def build_schedule(config: Config) -> Schedule:
    """The schedule that the configuration names, of the settings that it has a field for."""
    kind = SCHEDULES[config.schedule.name]
    given = dict(
        vars(config.schedule),
        learning_rate=config.optimizer.learning_rate,
        iterations=config.training.iterations,
    )
    return kind(**{one.name: given[one.name] for one in fields(kind) if one.init})


def _criteria(
    config: Config,
    net: Uniface,
    canvases: Canvases,
    devices: Sequence[mx.Context],
    mean: Optional[np.ndarray],
) -> Criteria:
    """The losses, of which one at least must count; what teaches embeddings needs records that have some."""
    bank = ()
    if config.losses.contrast > 0 and mean is not None:
        bank = (teacher_bank(canvases, config.losses.contrast_bank, config.training.seed), mean)
    criteria = Criteria(config.losses, net.anchors, devices, bank)
    if not any(criteria.weights):
        raise TrainError('losses: all weights are 0, nothing would be learned')
    if criteria.recognition and mean is None:
        raise TrainError(
            'data.train: no record set has embeddings; prepare them with a teacher, or set losses.mimic and '
            'losses.contrast to 0'
        )
    return criteria


def teacher_bank(canvases: Canvases, size: int, seed: int) -> np.ndarray:
    """Teacher embeddings (B, 128) of up to `size` faces, drawn from the records that a seed chooses.

    Raises
    ------
    RecordError
        A record is damaged, and the canvases do not leave those out.
    """
    readers = [reader for reader in canvases.readers if reader.meta.embeddings]
    places = [(reader, index) for reader in readers for index in range(len(reader))]
    rows: List[np.ndarray] = []
    for place in np.random.default_rng((seed, 5)).permutation(len(places)):
        reader, index = places[place]
        try:
            objects = read_photo(reader, index).objects
        except RecordError:
            if not canvases.skip_bad:
                raise
            continue
        rows.extend(objects[(objects[:, HAS_EMBEDDING] > 0) & ~(objects[:, IGNORE] > 0), EMBEDDING])
        if len(rows) >= size:
            break
    return np.array(rows[:size], np.float32).reshape(-1, EMBEDDING_DIM)


def _optimizer(config: Config, net: Uniface, recognition: bool) -> Optimizer:
    settings, parameters = config.optimizer, net.collect_params()
    resting = () if recognition else RECOGNITION
    frozen = settings.frozen + tuple(
        f'{start}*' for start in resting if any(name.startswith(start) for name in parameters)
    )
    rule = SGD(settings.momentum) if settings.name == 'sgd' else AdamW(settings.momentum, settings.beta2)
    return Optimizer(choose(parameters, settings.weight_decay, settings.trunk_rate, frozen), rule)


def _facts(config: Config, canvases: Canvases) -> Dict[str, Any]:
    """What a checkpoint has to say about where it comes from."""
    metas = [reader.meta for reader in canvases.readers]
    taught = [meta for meta in metas if meta.embeddings]
    return {
        'model': config.model.name,
        'config': as_dict(config),
        'teachers': taught[0].teachers if taught else {},
        'mean_embedding': mean_embedding(metas).tolist() if taught else [],
        'records': {
            portable([share.path])[0]: {
                'sha256': meta.files['.rec']['sha256'],
                'records': meta.records,
                'faces': meta.faces,
                'embeddings': meta.embeddings,
            }
            for share, meta in zip(config.data.train, metas)
        },
    }


def _compare(checkpoint: Checkpoint, facts: Dict[str, Any], canvases: Canvases, group: Group) -> None:
    """Refuse to go on with another model or teacher; tell what else changed; keep the embeddings' mean."""
    state = checkpoint.state
    if state['model'] != facts['model']:
        raise TrainError(
            f'the checkpoint is of {state["model"]}, model.name is {facts["model"]}; begin a new run'
        )
    for reader in canvases.readers:
        require_teachers(reader.meta, state['teachers'] or facts['teachers'], reader.name)
    old, new = (_flat({'config': one['config'], 'records': one['records']}) for one in (state, facts))
    changed = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    if changed and group.rank == 0:
        told = '; '.join(f'{key}: {old.get(key)} -> {new.get(key)}' for key in changed)
        print(f'going on with other settings: {told}', file=sys.stderr)
    # The embeddings' origin must not move under a network that has learned it.
    facts['mean_embedding'] = state['mean_embedding'] or facts['mean_embedding']


def _flat(values: Dict[str, Any], prefix: str = '') -> Dict[str, Any]:
    flat: Dict[str, Any] = {}
    for key, value in values.items():
        flat.update(_flat(value, f'{prefix}{key}.') if isinstance(value, dict) else {prefix + key: value})
    return flat


def _describe(run: Path, config: Config, facts: Dict[str, Any], position: int) -> None:
    """Write `config.yaml`, add this sitting to `run.json`, and say how much there is to learn from."""
    records, faces, embeddings = (
        sum(one[key] for one in facts['records'].values()) for key in ('records', 'faces', 'embeddings')
    )
    print(
        f'training on {records:,} photos with {faces:,} faces, {embeddings:,} of them with an embedding',
        file=sys.stderr,
    )
    run.mkdir(parents=True, exist_ok=True)
    with written_aside(run / 'config.yaml') as aside:
        aside.write_text(to_yaml(config), encoding='utf-8')
    path = run / 'run.json'
    try:
        sittings = json.loads(path.read_text(encoding='utf-8'))['sittings']
    except (OSError, ValueError, KeyError):
        sittings = []
    sitting = {'from_iteration': position, 'seed': config.training.seed, 'records': facts['records']}
    write_json(path, {'sittings': [*sittings, {**sitting, **provenance()}]})
