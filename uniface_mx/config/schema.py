"""The keys of a configuration, with the paper's settings as defaults (section IV.A) where it gives them."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Any, Dict, Literal, Optional, Tuple

from uniface_mx.config.augmentation import AugmentSettings, RecordShare
from uniface_mx.config.ranges import MODEL_RANGES


def within(default: Any, low: float, high: float = inf) -> Any:
    """A field whose number, or each of whose numbers, lies in [low, high]."""
    return field(default=default, metadata={'low': low, 'high': high})


def argument(name: str) -> Any:
    """A field for an argument of the model; where it is None, the preset's value stands."""
    return within(None, *MODEL_RANGES[name][1:])


@dataclass(frozen=True)
class ModelConfig:
    """A preset, and the arguments of :func:`uniface_mx.models.build_uniface` that differ from it."""

    name: str = 'uniface_a'
    width: Optional[float] = argument('width')
    extra_channels: Optional[Tuple[int, ...]] = argument('extra_channels')
    fusion_channels: Optional[int] = argument('fusion_channels')
    deconv_channels: Optional[Tuple[int, ...]] = argument('deconv_channels')
    coarse_channels: Optional[int] = argument('coarse_channels')
    face_hidden: Optional[int] = argument('face_hidden')
    landmark_hidden: Optional[int] = argument('landmark_hidden')
    anchor_heights: Optional[Tuple[float, ...]] = argument('anchor_heights')
    aspect_ratios: Optional[Tuple[float, ...]] = argument('aspect_ratios')
    scales_per_level: Optional[int] = argument('scales_per_level')
    roi_op: Optional[Literal['pool', 'align']] = None
    normalization: Optional[Literal['channel', 'image']] = None
    count_include_pad: Optional[bool] = None
    max_faces: Optional[int] = argument('max_faces')
    score_threshold: Optional[float] = argument('score_threshold')
    iou_threshold: Optional[float] = argument('iou_threshold')

    def overrides(self) -> Dict[str, Any]:
        """What ``get_model(name, **overrides)`` is given."""
        return {key: value for key, value in vars(self).items() if key != 'name' and value is not None}


@dataclass(frozen=True)
class DataConfig:
    """Record sets, and how canvases are made of them."""

    root: str = 'records'  # folder that the sets' paths are relative to
    train: Tuple[RecordShare, ...] = ()
    validation: Tuple[RecordShare, ...] = ()
    workers: int = within(2, low=0)  # threads; 0 makes each batch when it is asked for
    ahead: int = within(4, low=1)  # batches made ahead
    max_faces: int = within(128, low=1)  # of one canvas
    skip_bad: bool = True  # leave damaged records out and report them


@dataclass(frozen=True)
class LossesConfig:
    """Weights of the terms, Eq. (2): l1, l2, l3, and 1 for the mimic loss; `contrast` is not in the paper."""

    classification: float = within(1.0, low=0)
    box: float = within(1.0, low=0)
    landmarks: float = within(1.0, low=0)
    mimic: float = within(1.0, low=0)
    contrast: float = within(0.0, low=0)
    match_threshold: float = within(0.5, low=0, high=1)  # an anchor with such an overlap is the face's
    ignore_threshold: float = within(0.3, low=0, high=1)  # ... such an overlap of an ignored face is left out
    negative_ratio: float = within(3.0, low=0)  # hardest negatives for each matched anchor
    faceless: int = within(4, low=0)  # matched anchors that a faceless image stands for
    roi_source: Literal['predicted', 'ground_truth'] = 'predicted'
    roi_threshold: float = within(0.5, low=0, high=1)  # a prediction with such an overlap is the face's
    roi_warmup: int = within(0, low=0)  # first iterations, with the ground truth instead
    roi_bucket: int = within(8, low=1)  # the number of ROIs is a multiple of it
    contrast_temperature: float = within(0.1, low=0.03)
    contrast_nearest: float = within(0.5, low=-1, high=1)
    contrast_bank: int = within(8192, low=1)


@dataclass(frozen=True)
class OptimizerConfig:
    """The rule by which weights change, and how far."""

    name: Literal['sgd', 'adamw'] = 'sgd'
    learning_rate: float = within(0.1, low=0)
    momentum: float = within(0.9, low=0, high=0.9999)
    beta2: float = within(0.999, low=0, high=0.9999)  # adamw only, whose beta1 is the momentum
    weight_decay: float = within(5e-4, low=0)  # of weights; biases and batch norms have none
    clip_gradient: Optional[float] = within(None, low=0)  # norm over all parameters
    trunk_rate: float = within(1.0, low=0)  # factor on the pretrained trunk's learning rate
    frozen: Tuple[str, ...] = ()  # patterns of parameter names that do not learn


@dataclass(frozen=True)
class ScheduleConfig:
    """Learning rate over iterations; `plateau` is the paper's "when the loss goes steady"."""

    name: Literal['plateau', 'milestones', 'cosine', 'cooldown', 'constant'] = 'plateau'
    warmup: int = within(0, low=0)
    factor: float = within(0.1, low=0, high=1)
    milestones: Tuple[int, ...] = within((60000, 90000, 110000), low=0)
    window: int = within(1000, low=1)  # plateau: iterations over which the loss is averaged
    patience: int = within(5, low=1)  # plateau: windows without an improvement
    improvement: float = within(0.01, low=0, high=1)  # plateau: fraction by which the loss must fall
    cooldown: float = within(0.2, low=0, high=1)  # cooldown: last part of the run, in which the rate falls
    minimum: float = within(1e-5, low=0)  # the rate never falls below


@dataclass(frozen=True)
class TrainingConfig:
    """Where a run begins and ends, and what runs it."""

    backbone: Optional[str] = None  # weights of the trunk, from tools/import_backbone.py
    init: Optional[str] = None  # all weights: a file, an exported prefix, a shipped name
    iterations: int = within(120000, low=1)
    batch_size: int = within(32, low=1)  # of one step over all devices of a worker
    accumulate: int = within(1, low=1)  # parts in which a batch is computed
    devices: Tuple[str, ...] = ('cpu',)  # cpu, gpu, cpu(1), gpu(0), ...
    kvstore: Literal['local', 'device', 'dist_sync'] = 'local'
    precision: Literal['float32', 'float16', 'bfloat16'] = 'float32'
    freeze_batch_norm: bool = False
    seed: int = within(0, low=0)
    average: float = within(0.0, low=0, high=0.99999)  # decay of the weights' moving average; 0: none
    on_nan: Literal['stop', 'skip'] = 'stop'
    nan_limit: int = within(20, low=0)  # skipped steps after which the run gives up
    log_every: int = within(20, low=1)
    checkpoint_every: int = within(1000, low=1)
    keep_every: Optional[int] = within(None, low=1)  # checkpoints at its multiples are kept for good
    tensorboard: bool = True


@dataclass(frozen=True)
class ValidationConfig:
    """How often and on how much a run is validated."""

    every: int = within(2000, low=1)
    batch_size: int = within(32, low=1)
    images: Optional[int] = within(None, low=1)  # so many, evenly spread; none means all
    max_faces: int = within(128, low=1)  # of one photo
    score_threshold: float = within(0.5, low=0, high=1)  # of the recall
    # What makes a checkpoint the best.
    best: Literal['loss', 'average_precision', 'recall', 'landmark_error', 'cosine'] = 'loss'


@dataclass(frozen=True)
class Config:
    """All settings of a run; a section of the file for each field."""

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    augmentation: AugmentSettings = field(default_factory=AugmentSettings)
    losses: LossesConfig = field(default_factory=LossesConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
