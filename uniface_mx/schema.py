"""The keys of a configuration, with the paper's settings as defaults (section IV.A) where it gives them."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Literal, Optional, Tuple


def within(default, low=None, high=None):
    """A field whose number, or each of whose numbers, lies in [low, high]."""
    return field(default=default, metadata={"low": low, "high": high})


@dataclass(frozen=True)
class Anchors:
    """Anchor boxes: heights in input pixels, finest level first; ratios are width over height."""

    heights: Tuple[float, ...] = within((24.0, 48.0, 90.0, 144.0, 198.0, 246.0, 288.0), low=1)
    ratios: Tuple[float, ...] = within((0.95, 0.8, 0.65), low=0.1, high=10)
    scales_per_level: int = within(1, low=1, high=2)


@dataclass(frozen=True)
class Model:
    """Which network, and where its weights come from before the first iteration."""

    name: str = "uniface_a"
    normalization: Literal["fixed", "image"] = "fixed"
    roi_op: Literal["pool", "align"] = "pool"
    anchors: Anchors = field(default_factory=Anchors)
    arguments: Dict[str, Any] = field(default_factory=dict)  # further keyword arguments of get_model
    backbone: Optional[str] = None  # trunk weights that tools/import_backbone.py wrote
    init: Optional[str] = None      # weights of the whole network: a file, an exported prefix, or a name that ships


@dataclass(frozen=True)
class RecordSet:
    """One record file; a weight of 2 shows its images twice as often as they are there."""

    path: str = ""
    weight: float = within(1.0, low=0)


@dataclass(frozen=True)
class Data:
    train: Tuple[RecordSet, ...] = ()
    validation: Tuple[RecordSet, ...] = ()
    workers: int = within(2, low=0)
    prefetch: int = within(4, low=1)  # batches that each worker keeps ready


@dataclass(frozen=True)
class Flip:
    probability: float = within(0.5, low=0, high=1)


@dataclass(frozen=True)
class Crop:
    """SSD's random crop: at least one face keeps one of the overlaps with the crop."""

    probability: float = within(0.5, low=0, high=1)
    overlaps: Tuple[float, ...] = within((0.1, 0.3, 0.5, 0.7, 0.9), low=0, high=1)
    scale: Tuple[float, float] = within((0.3, 1.0), low=0.05, high=1)
    aspect: Tuple[float, float] = within((0.5, 2.0), low=0.1, high=10)


@dataclass(frozen=True)
class Expand:
    """SSD's zoom out: the photo in a canvas up to `ratio` times as wide and high."""

    probability: float = within(0.5, low=0, high=1)
    ratio: float = within(3.0, low=1)


@dataclass(frozen=True)
class Color:
    """Largest change of each, as a fraction; hue as a fraction of the circle."""

    probability: float = within(0.5, low=0, high=1)
    brightness: float = within(0.2, low=0, high=1)
    contrast: float = within(0.3, low=0, high=1)
    saturation: float = within(0.3, low=0, high=1)
    hue: float = within(0.02, low=0, high=0.5)


@dataclass(frozen=True)
class Blur:
    probability: float = within(0.1, low=0, high=1)
    sigma: Tuple[float, float] = within((0.3, 1.5), low=0)


@dataclass(frozen=True)
class Jpeg:
    probability: float = within(0.1, low=0, high=1)
    quality: Tuple[int, int] = within((30, 90), low=1, high=100)


@dataclass(frozen=True)
class Downscale:
    """Small resolution: shrunk by a factor of at least `scale` and enlarged again."""

    probability: float = within(0.1, low=0, high=1)
    scale: float = within(0.4, low=0.05, high=1)


@dataclass(frozen=True)
class Rotate:
    probability: float = within(0.3, low=0, high=1)
    degrees: float = within(10.0, low=0, high=45)


@dataclass(frozen=True)
class Mosaic:
    """Several photos or face crops in one canvas, over a background."""

    probability: float = within(0.0, low=0, high=1)
    tiles: Tuple[int, int] = within((4, 9), low=1)
    face_height: Tuple[float, float] = within((24.0, 130.0), low=4, high=300)  # input pixels
    backgrounds: Tuple[RecordSet, ...] = ()


@dataclass(frozen=True)
class Augmentation:
    """Random changes of a training image; a probability of 0 switches one off."""

    flip: Flip = field(default_factory=Flip)
    crop: Crop = field(default_factory=Crop)
    expand: Expand = field(default_factory=Expand)
    color: Color = field(default_factory=Color)
    blur: Blur = field(default_factory=Blur)
    jpeg: Jpeg = field(default_factory=Jpeg)
    downscale: Downscale = field(default_factory=Downscale)
    rotate: Rotate = field(default_factory=Rotate)
    mosaic: Mosaic = field(default_factory=Mosaic)


@dataclass(frozen=True)
class LossWeights:
    """Eq. (3): l1, l2, l3, and a weight for the mimic loss."""

    classification: float = within(1.0, low=0)
    boxes: float = within(1.0, low=0)
    landmarks: float = within(1.0, low=0)
    identity: float = within(1.0, low=0)


@dataclass(frozen=True)
class Losses:
    weights: LossWeights = field(default_factory=LossWeights)
    match_iou: float = within(0.5, low=0, high=1)    # an anchor that overlaps a face so much is the face's
    ignore_iou: float = within(0.3, low=0, high=1)   # one that overlaps an ignored face so much is not background
    negative_ratio: float = within(3.0, low=0)       # hardest negatives for each positive
    roi_source: Literal["predicted", "ground_truth"] = "predicted"
    roi_iou: float = within(0.5, low=0, high=1)      # a prediction that overlaps a face so much stands for it
    roi_warmup: int = within(0, low=0)               # first iterations, with the ground truth as ROI


@dataclass(frozen=True)
class Optimizer:
    name: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = within(0.1, low=0)
    momentum: float = within(0.9, low=0, high=1)
    beta2: float = within(0.999, low=0, high=1)      # adamw only, whose beta1 is the momentum
    weight_decay: float = within(5e-4, low=0)        # of weights; biases and batch norms have none
    clip_gradient: Optional[float] = within(None, low=0)  # norm over all parameters
    trunk_rate: float = within(1.0, low=0)           # factor on the pretrained trunk's learning rate
    frozen: Tuple[str, ...] = ()                     # patterns of parameter names that do not learn


@dataclass(frozen=True)
class Schedule:
    """Learning rate over iterations; `plateau` is the paper's "when the loss goes steady"."""

    name: Literal["plateau", "milestones", "cosine", "constant"] = "plateau"
    warmup: int = within(0, low=0)
    factor: float = within(0.1, low=0, high=1)
    milestones: Tuple[int, ...] = within((60000, 90000, 110000), low=0)
    window: int = within(1000, low=1)                # plateau: iterations over which the loss is averaged
    patience: int = within(5, low=1)                 # plateau: windows without an improvement
    improvement: float = within(0.01, low=0, high=1)  # plateau: fraction by which the loss must fall
    minimum: float = within(1e-5, low=0)             # the rate never falls below


@dataclass(frozen=True)
class Training:
    iterations: int = within(120000, low=1)
    batch_size: int = within(32, low=1)              # of one step over all devices of a worker
    accumulate: int = within(1, low=1)               # parts in which a batch is computed
    devices: Tuple[str, ...] = ("cpu",)              # cpu, gpu, cpu(1), gpu(0), ...
    kvstore: Literal["local", "device", "dist_sync"] = "local"
    precision: Literal["float32", "float16", "bfloat16"] = "float32"
    freeze_batch_norm: bool = False
    seed: int = within(0, low=0)
    on_nan: Literal["stop", "skip"] = "stop"
    nan_limit: int = within(20, low=0)               # skipped steps after which the run gives up
    log_every: int = within(20, low=1)
    checkpoint_every: int = within(1000, low=1)
    keep_every: Optional[int] = within(None, low=1)  # checkpoints at its multiples are kept for good
    tensorboard: bool = True


@dataclass(frozen=True)
class Validation:
    every: int = within(2000, low=1)
    batch_size: int = within(32, low=1)
    images: Optional[int] = within(None, low=1)      # the first so many; none means all
    score_threshold: float = within(0.05, low=0, high=1)


@dataclass(frozen=True)
class Config:
    model: Model = field(default_factory=Model)
    data: Data = field(default_factory=Data)
    augmentation: Augmentation = field(default_factory=Augmentation)
    losses: Losses = field(default_factory=Losses)
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    training: Training = field(default_factory=Training)
    validation: Validation = field(default_factory=Validation)
