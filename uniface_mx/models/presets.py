"""The paper's four models at its size, and the same four for CPUs."""

from __future__ import annotations

from math import inf
from numbers import Integral, Real
from typing import Any, Mapping, Sequence

from uniface_mx.errors import UnifaceError
from uniface_mx.geometry import INPUT_SIZE
from uniface_mx.models.separate import SeparateNetworks
from uniface_mx.models.uniface import SharedNetwork, Uniface
from uniface_mx.nn.anchors import ANCHOR_HEIGHTS, ASPECT_RATIOS, anchor_grid, map_frame
from uniface_mx.nn.attention import ROI_OPS, Recognition
from uniface_mx.nn.bottom_up import BottomUp
from uniface_mx.nn.detection import CANDIDATES, DetectionHeads
from uniface_mx.nn.inception import InceptionTrunk
from uniface_mx.nn.normalize import NORMALIZATIONS
from uniface_mx.nn.top_down import CoarseMap, TopDown

COARSE_LEVEL = 2
TRUNK_LEVELS = 3
# What numbers an argument takes, alone or in a sequence: their kind, the least, the greatest.
RANGES = {
    'width': (Real, 0.05, 2),
    'extra_channels': (Integral, 2, inf),
    'fusion_channels': (Integral, 1, inf),
    'deconv_channels': (Integral, 1, inf),
    'coarse_channels': (Integral, 1, inf),
    'face_hidden': (Integral, 1, inf),
    'landmark_hidden': (Integral, 1, inf),
    'anchor_heights': (Real, 1, inf),
    'aspect_ratios': (Real, 0.1, 10),
    'scales_per_level': (Integral, 1, 2),
    'max_faces': (Integral, 1, CANDIDATES),
    'score_threshold': (Real, 0, 1),
    'iou_threshold': (Real, 0, 1),
}


def _check_ranges(arguments: Mapping[str, Any]) -> None:
    for name, (kind, least, greatest) in RANGES.items():
        value = arguments[name]
        numbers = list(value) if isinstance(value, (list, tuple)) else [value]
        if not numbers or any(
            not isinstance(number, kind) or isinstance(number, bool) or not least <= number <= greatest
            for number in numbers
        ):
            raise UnifaceError(
                '{} is {!r}; choose {}numbers {}'.format(
                    name,
                    value,
                    'whole ' if kind is Integral else '',
                    f'from {least}' + (f' to {greatest}' if greatest < inf else ' on'),
                )
            )


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
    _check_ranges(locals())
    for argument, value, choices in (
        ('roi_op', roi_op, ROI_OPS),
        ('normalization', normalization, NORMALIZATIONS),
    ):
        if value not in choices:
            raise UnifaceError(f'{argument} is {value!r}; choose one of {", ".join(sorted(choices))}')
    num_levels = TRUNK_LEVELS + len(extra_channels)
    if len(anchor_heights) != num_levels:
        raise UnifaceError(
            f'anchor_heights has {len(anchor_heights)} heights; give one for each of the {num_levels} levels'
        )

    def bottom_up(name):
        trunk = InceptionTrunk(width, count_include_pad=count_include_pad, prefix=name + 'trunk_')
        return BottomUp(trunk, extra_channels, prefix=name)

    normalize = NORMALIZATIONS[normalization](prefix='normalize_')
    heads = DetectionHeads(num_levels, len(aspect_ratios) * scales_per_level, prefix='heads_')
    if fused:
        recognition_map = TopDown(num_levels, fusion_channels, deconv_channels, prefix='topdown_')
        frame = map_frame(upsampling=2 ** len(deconv_channels))
    else:
        recognition_map = CoarseMap(COARSE_LEVEL, coarse_channels, prefix='coarse_')
        frame = map_frame(COARSE_LEVEL)
    if separate:
        network = SeparateNetworks(
            normalize,
            bottom_up('detection_'),
            heads,
            bottom_up('recognition_'),
            recognition_map,
            prefix='network_',
        )
    else:
        network = SharedNetwork(normalize, bottom_up(''), heads, recognition_map, prefix='network_')
    recognition = Recognition(
        frame, INPUT_SIZE, roi_op, face_hidden, landmark_hidden if landmarks else 0, prefix='recognition_'
    )
    anchors = anchor_grid(anchor_heights, aspect_ratios, scales_per_level)
    return Uniface(
        network,
        recognition,
        anchors,
        INPUT_SIZE,
        max_faces,
        score_threshold,
        iou_threshold,
        prefix='uniface_',
    )


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
