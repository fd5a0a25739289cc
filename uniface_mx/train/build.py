"""From a configuration to a trainer: the one place of training that reads the configuration."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import numpy as np
from mxnet.gluon import HybridBlock
from mxnet.gluon.nn import BatchNorm

from uniface_mx.config.augmentation import AugmentSettings, RecordShare
from uniface_mx.config.reader import Config, as_dict, to_yaml
from uniface_mx.data.loader import Canvases, Loader, read_photo
from uniface_mx.data.records import RecordError, mean_embedding, require_teachers
from uniface_mx.data.rows import EMBEDDING, EMBEDDING_DIM, HAS_EMBEDDING, IGNORE
from uniface_mx.files import written_aside
from uniface_mx.models import Uniface, get_model
from uniface_mx.models.files import load_weights, named_arrays
from uniface_mx.provenance import portable, provenance, write_json
from uniface_mx.train.average import Average
from uniface_mx.train.checkpoint import WEIGHTS, Checkpoint, Checkpoints
from uniface_mx.train.errors import TrainError
from uniface_mx.train.group import Group, parse_devices
from uniface_mx.train.log import Log
from uniface_mx.train.losses import Terms
from uniface_mx.train.optimizer import SGD, AdamW, Optimizer, choose
from uniface_mx.train.precision import lowered
from uniface_mx.train.schedule import Cooldown, Cosine, Milestones, Plateau, Schedule
from uniface_mx.train.start import initialize, load_backbone, load_start
from uniface_mx.train.step import Bank, Criteria, Graphs, LossScale, Rules, Step
from uniface_mx.train.trainer import Trainer
from uniface_mx.train.validation import Validation

# What feeds the embeddings alone: it rests when no embeddings are taught.
RECOGNITION = ('recognition_*', 'topdown_*', 'coarse_*')
STATIC = {'static_alloc': True, 'static_shape': True}


def build_trainer(config: Config, run, resume: bool = False) -> Trainer:
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
    run = Path(run)
    group = Group(parse_devices(config.training.devices), config.training.kvstore)
    _check(config, group)
    checkpoints = Checkpoints(run, config.training.keep_every)
    if checkpoints.numbers() and not resume:
        raise TrainError(f'{run}: holds a run already; go on with --resume, or choose another --out')
    checkpoint = checkpoints.load() if resume and checkpoints.numbers() else None

    net = get_model(config.model.name, **config.model.overrides())
    canvases = open_canvases(
        config.data.train,
        config.data.root,
        config.augmentation,
        config.training.seed,
        net.size,
        config.data.skip_bad,
    )
    facts = _facts(config, canvases)
    if checkpoint:
        if checkpoint.iteration > config.training.iterations:
            raise TrainError(
                f'training.iterations: is {config.training.iterations}, but {run} stands at iteration {checkpoint.iteration} already'
            )
        changed = _compare(checkpoint, facts, canvases)
        if changed and group.rank == 0:
            print('going on with other settings: ' + '; '.join(changed), file=sys.stderr)
        # The embeddings' origin must not move under a network that has learned it.
        facts['mean_embedding'] = checkpoint.state['mean_embedding'] or facts['mean_embedding']
    mean = np.array(facts['mean_embedding'], np.float32) if facts['mean_embedding'] else None
    rules = _rules(config, mean)
    initialize(net, group.devices, config.training.seed, mean)
    if checkpoint:
        load_weights(net, checkpoints.path(checkpoint.iteration) / WEIGHTS, group.devices)
    elif config.training.init:
        load_start(net, config.training.init, group.devices, facts['teachers'])
    elif config.training.backbone:
        load_backbone(net, config.training.backbone, group.devices)
    average = Average(net.collect_params(), config.training.average) if config.training.average else None
    optimizer = _optimizer(config, net, rules)
    graphs = training_graphs(net, config.training.precision, config.training.freeze_batch_norm)

    position = checkpoint.iteration if checkpoint else 0
    loader = Loader(
        canvases,
        config.training.batch_size,
        config.data.workers,
        config.data.max_faces,
        config.data.ahead,
        (group.rank, group.workers),
        position,
    )
    bank = None
    if rules.weights.contrast > 0:
        bank = Bank(teacher_bank(canvases, config.losses.contrast_bank, config.training.seed), mean)
    criteria = Criteria(rules, net.anchors, group.devices, bank)
    step = Step(
        graphs,
        criteria,
        optimizer,
        group,
        config.training.accumulate,
        config.optimizer.clip_gradient,
        LossScale(config.training.precision == 'float16'),
    )
    validate = _validation(config, net, graphs, criteria, group, facts['teachers'], mean)
    if checkpoint:
        optimizer.restore(checkpoint.slots, checkpoint.state['optimizer_steps'])
        if average:
            average.restore(checkpoint.average)
    chief = group.rank == 0
    if chief:
        _describe(run, config, facts, position)
    trainer = Trainer(
        step,
        build_schedule(config),
        loader,
        group,
        lambda: named_arrays(net),
        checkpoints,
        Log(run, position, config.training.iterations, config.training.tensorboard, chief),
        config.training.iterations,
        facts,
        seed=config.training.seed,
        validate=validate,
        best=config.validation.best,
        validate_every=config.validation.every,
        checkpoint_every=config.training.checkpoint_every,
        log_every=config.training.log_every,
        roi_warmup=config.losses.roi_warmup if config.losses.roi_source == 'predicted' else None,
        on_nan=config.training.on_nan,
        nan_limit=config.training.nan_limit,
        average=average,
    )
    if checkpoint:
        trainer.restore(checkpoint.state)
    return trainer


def _check(config: Config, group: Group) -> None:
    """Refuse settings that no run can have."""
    parts = len(group.devices) * config.training.accumulate
    if config.training.batch_size % parts:
        raise TrainError(
            f'training.batch_size: {config.training.batch_size} is not a multiple of {parts}, the devices times training.accumulate'
        )
    if not config.data.train:
        raise TrainError('data.train: names no record set')


def _rules(config: Config, mean: Optional[np.ndarray]) -> Rules:
    """The rules of the losses, of which one at least must count; what teaches embeddings needs records that have some."""
    weights = Terms(*(getattr(config.losses, term) for term in Terms._fields))
    if not any(weights):
        raise TrainError('losses: all weights are 0, nothing would be learned')
    rules = Rules(weights, *(getattr(config.losses, name) for name in Rules._fields[1:]))
    if rules.recognition and mean is None:
        raise TrainError(
            'data.train: no record set has embeddings; prepare them with a teacher, or set losses.mimic and '
            'losses.contrast to 0'
        )
    return rules


def open_canvases(
    shares: Sequence[RecordShare],
    root: str,
    settings: AugmentSettings,
    seed: Optional[int],
    size: int,
    skip_bad: bool = True,
) -> Canvases:
    """Canvases of record sets whose paths are relative to `root`."""
    shares = [replace(share, path=os.path.join(root, share.path)) for share in shares]
    return Canvases(shares, settings, seed, size, skip_bad)


def training_graphs(net: Uniface, precision: str = 'float32', freeze_batch_norm: bool = False) -> Graphs:
    """What the step runs, compiled; batch norms whose scale does not learn, or all of them, keep their
    statistics.
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
    """The schedule that the configuration names."""
    wanted, rate = config.schedule, config.optimizer.learning_rate
    return {
        'constant': lambda: Schedule(rate, wanted.warmup, wanted.minimum),
        'milestones': lambda: Milestones(
            rate, wanted.warmup, wanted.minimum, wanted.milestones, wanted.factor
        ),
        'cosine': lambda: Cosine(rate, wanted.warmup, wanted.minimum, config.training.iterations),
        'cooldown': lambda: Cooldown(
            rate, wanted.warmup, wanted.minimum, config.training.iterations, wanted.cooldown
        ),
        'plateau': lambda: Plateau(
            rate,
            wanted.warmup,
            wanted.minimum,
            wanted.window,
            wanted.patience,
            wanted.improvement,
            wanted.factor,
        ),
    }[wanted.name]()


def teacher_bank(canvases: Canvases, size: int, seed: int) -> np.ndarray:
    """Teacher embeddings (B, 128) of up to `size` faces, drawn from the records that a seed chooses; raises
    `RecordError` at a damaged record, if the canvases do not leave those out.
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


def _optimizer(config: Config, net: Uniface, rules: Rules) -> Optimizer:
    settings, parameters = config.optimizer, net.collect_params()
    frozen = settings.frozen
    if not rules.recognition:
        frozen += tuple(
            pattern for pattern in RECOGNITION if any(name.startswith(pattern[:-1]) for name in parameters)
        )
    rule = SGD(settings.momentum) if settings.name == 'sgd' else AdamW(settings.momentum, settings.beta2)
    return Optimizer(choose(parameters, settings.weight_decay, settings.trunk_rate, frozen), rule)


def _validation(
    config: Config, net: Uniface, graphs: Graphs, criteria: Criteria, group: Group, teachers, mean
):
    """A function that validates, or None without records for it."""
    if not config.data.validation or group.rank:
        return None
    settings = config.validation
    canvases = open_canvases(
        config.data.validation, config.data.root, AugmentSettings.none(), None, net.size, config.data.skip_bad
    )
    for reader in canvases.readers if teachers else ():
        require_teachers(reader.meta, teachers, reader.name)
    validation = Validation(
        canvases,
        settings.batch_size,
        settings.images,
        settings.score_threshold,
        settings.max_faces,
        config.data.workers,
    )
    predicted = config.losses.roi_source == 'predicted'
    return lambda: validation(graphs, net.decoder, criteria, mean, group.devices[0], predicted)


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
                'sha256': reader.meta.files['.rec']['sha256'],
                'records': reader.meta.records,
                'faces': reader.meta.faces,
                'embeddings': reader.meta.embeddings,
            }
            for share, reader in zip(config.data.train, canvases.readers)
        },
    }


def _compare(checkpoint: Checkpoint, facts: Dict[str, Any], canvases: Canvases) -> List[str]:
    """Refuse to go on with another model or teacher; what else has changed, as ``KEY: OLD -> NEW``."""
    state = checkpoint.state
    if state['model'] != facts['model']:
        raise TrainError(
            f'the checkpoint is of {state["model"]}, model.name is {facts["model"]}; begin a new run'
        )
    for reader in canvases.readers:
        require_teachers(reader.meta, state['teachers'] or facts['teachers'], reader.name)
    old, new = (_flat({'config': one['config'], 'records': one['records']}) for one in (state, facts))
    return [
        f'{key}: {old.get(key)} -> {new.get(key)}'
        for key in sorted(set(old) | set(new))
        if old.get(key) != new.get(key)
    ]


def _flat(values: Dict[str, Any], prefix: str = '') -> Dict[str, Any]:
    flat: Dict[str, Any] = {}
    for key, value in values.items():
        flat.update(_flat(value, prefix + key + '.') if isinstance(value, dict) else {prefix + key: value})
    return flat


def _describe(run: Path, config: Config, facts: Dict[str, Any], position: int) -> None:
    """Write `config.yaml`, add this sitting to `run.json`, and say how much there is to learn from."""
    totals = {
        key: sum(one[key] for one in facts['records'].values()) for key in ('records', 'faces', 'embeddings')
    }
    print(
        'training on {records:,} photos with {faces:,} faces, {embeddings:,} of them with an embedding'.format(
            **totals
        ),
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
    sittings.append(
        {
            'from_iteration': position,
            'seed': config.training.seed,
            'records': facts['records'],
            **provenance(),
        }
    )
    write_json(path, {'sittings': sittings})
