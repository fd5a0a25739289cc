"""The paper's four models at its size, and the same four for CPUs, by name."""

from __future__ import annotations

import inspect
from math import inf
from numbers import Integral
from typing import Any, Mapping, Sequence, Tuple

from mxnet.gluon import HybridBlock

from uniface_mx.config.ranges import MODEL_RANGES
from uniface_mx.errors import UnifaceError, lookup, suggestion
from uniface_mx.geometry import INPUT_SIZE
from uniface_mx.models.files import ModelFiles, load_weights
from uniface_mx.models.uniface import SeparateNetworks, SharedNetwork, Uniface
from uniface_mx.nn.anchors import ANCHOR_HEIGHTS, ASPECT_RATIOS, MapFrame, anchor_grid, map_frame
from uniface_mx.nn.attention import ROI_OPS, Recognition
from uniface_mx.nn.detection import DetectionHeads
from uniface_mx.nn.inception import InceptionTrunk
from uniface_mx.nn.normalize import NORMALIZATIONS
from uniface_mx.nn.pathways import BottomUp, CoarseMap, TopDown
from uniface_mx.paths import resource

COARSE_LEVEL = 2
TRUNK_LEVELS = 3
# Arguments that change what a model gives, and that no weight's shape tells of.
WEIGHTLESS = ('normalization', 'count_include_pad')


def _check(arguments: Mapping[str, Any]) -> None:
    for name, (kind, least, greatest) in MODEL_RANGES.items():
        value = arguments[name]
        numbers = list(value) if isinstance(value, (list, tuple)) else [value]
        if not numbers or any(
            not isinstance(number, kind) or isinstance(number, bool) or not least <= number <= greatest
            for number in numbers
        ):
            whole = 'whole ' if kind is Integral else ''
            wanted = f'from {least} ' + (f'to {greatest}' if greatest < inf else 'on')
            raise UnifaceError(f'{name} is {value!r}; choose {whole}numbers {wanted}')
    for name, choices in (('roi_op', ROI_OPS), ('normalization', NORMALIZATIONS)):
        if arguments[name] not in choices:
            raise UnifaceError(f'{name} is {arguments[name]!r}; choose one of {", ".join(sorted(choices))}')
    heights, levels = len(arguments['anchor_heights']), TRUNK_LEVELS + len(arguments['extra_channels'])
    if heights != levels:
        raise UnifaceError(f'anchor_heights has {heights} heights; give one for each of the {levels} levels')


def _network(arguments: Mapping[str, Any]) -> Tuple[HybridBlock, MapFrame]:
    """What an image costs, and the frame of its F_r."""

    def bottom_up(name: str) -> BottomUp:
        rule = arguments['count_include_pad']
        trunk = InceptionTrunk(arguments['width'], count_include_pad=rule, prefix=name + 'trunk_')
        return BottomUp(trunk, arguments['extra_channels'], prefix=name)

    levels, deconv_channels = len(arguments['anchor_heights']), arguments['deconv_channels']
    per_cell = len(arguments['aspect_ratios']) * arguments['scales_per_level']
    normalize = NORMALIZATIONS[arguments['normalization']](prefix='normalize_')
    heads = DetectionHeads(levels, per_cell, prefix='heads_')
    if arguments['fused']:
        frame = map_frame(upsampling=2 ** len(deconv_channels))
        recognition_map = TopDown(levels, arguments['fusion_channels'], deconv_channels, prefix='topdown_')
    else:
        frame = map_frame(COARSE_LEVEL)
        recognition_map = CoarseMap(COARSE_LEVEL, arguments['coarse_channels'], prefix='coarse_')
    if arguments['separate']:
        pathways = bottom_up('detection_'), heads, bottom_up('recognition_'), recognition_map
        return SeparateNetworks(normalize, *pathways, prefix='network_'), frame
    return SharedNetwork(normalize, bottom_up(''), heads, recognition_map, prefix='network_'), frame


def build_uniface(
    separate: bool = False,
    fused: bool = True,
    landmarks: bool = True,
    width: float = 1.0,
    extra_channels: Sequence[int] = (512, 256, 256, 256),
    fusion_channels: int = 256,
    deconv_channels: Sequence[int] = (128, 64),
    coarse_channels: int = 1024,
    face_hidden: int = 128,
    landmark_hidden: int = 64,
    anchor_heights: Sequence[float] = ANCHOR_HEIGHTS,
    aspect_ratios: Sequence[float] = ASPECT_RATIOS,
    scales_per_level: int = 1,
    roi_op: str = 'pool',
    normalization: str = 'channel',
    count_include_pad: bool = True,
    max_faces: int = 16,
    score_threshold: float = 0.05,
    iou_threshold: float = 0.45,
) -> Uniface:
    """Build a model of the family; the defaults are the paper's Model A.

    Parameters
    ----------
    separate : bool
        Two networks that share nothing (Model B).
    fused : bool
        Top-down fusion into 144x144; otherwise a 9x9 map of ``coarse_channels`` (Model C).
    landmarks : bool
        Landmark attention; otherwise the face region alone (Model D).
    width : float
        Multiplier of the trunk's channels.
    extra_channels, fusion_channels, deconv_channels, face_hidden, landmark_hidden
        See `BottomUp`, `TopDown` and `Recognition`.
    anchor_heights, aspect_ratios, scales_per_level
        See `anchor_grid`.
    roi_op : {'pool', 'align'}
    normalization : {'channel', 'image'}
    count_include_pad : bool
        The trunk's pooling rule: False for weights from Keras.
    max_faces, score_threshold, iou_threshold
        See `Suppression`.

    Returns
    -------
    Uniface
        Not initialized.

    Raises
    ------
    UnifaceError
        ``roi_op`` or ``normalization`` is none of the choices, a number is out of its range, or
        ``anchor_heights`` has not one height for each level.
    """
    arguments = dict(locals())
    _check(arguments)
    network, frame = _network(arguments)
    hidden = landmark_hidden if landmarks else 0
    recognition = Recognition(frame, INPUT_SIZE, roi_op, face_hidden, hidden, prefix='recognition_')
    anchors = anchor_grid(anchor_heights, aspect_ratios, scales_per_level)
    limits = max_faces, score_threshold, iou_threshold
    return Uniface(network, recognition, anchors, INPUT_SIZE, *limits, prefix='uniface_')


LITE = dict(
    width=0.25,
    extra_channels=(128, 64, 64, 64),
    fusion_channels=64,
    deconv_channels=(32, 32),
    coarse_channels=256,
    face_hidden=32,
    landmark_hidden=32,
)
PRESETS = {
    'uniface_a': dict(),
    'uniface_b': dict(separate=True),
    'uniface_c': dict(fused=False),
    'uniface_d': dict(landmarks=False, face_hidden=288),
    'uniface_a_lite': LITE,
    'uniface_b_lite': dict(LITE, separate=True),
    'uniface_c_lite': dict(LITE, fused=False),
    'uniface_d_lite': dict(LITE, landmarks=False, face_hidden=112),
}


def get_model(name: str, pretrained: bool = False, **overrides: Any) -> Uniface:
    """Build a model by its preset's name.

    Parameters
    ----------
    name : str
        ``uniface_a`` to ``uniface_d`` at the paper's size, ``uniface_a_lite`` to ``uniface_d_lite`` for CPUs.
    pretrained : bool
        With the trained weights that ship in ``symbols/``, whose embeddings are centred; otherwise the model
        is not initialized.
    **overrides
        Arguments of `build_uniface` that differ from the preset.

    Raises
    ------
    UnifaceError
        There is no such model or argument, no weights of it ship, or the overrides do not fit them.
    """
    preset = lookup('model', name, PRESETS)
    arguments = inspect.signature(build_uniface).parameters
    for key in overrides:
        if key not in arguments:
            raise UnifaceError(f'a model has no argument {key!r}{suggestion(key, arguments)}')
    net = build_uniface(**dict(preset, **overrides))
    if pretrained:
        files = ModelFiles.find(resource('symbols') / name)
        trained = files.verify()['model']['overrides']
        for key in WEIGHTLESS:
            value = trained.get(key, preset.get(key, arguments[key].default))
            if overrides.get(key, value) != value:
                raise UnifaceError(f'{name}: its weights were trained with {key} {value!r}')
        load_weights(net, files.weights_path())
    return net
