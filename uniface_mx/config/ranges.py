"""The ranges of the model's arguments, for the section of a configuration and for who builds models without one."""

from __future__ import annotations

from math import inf
from numbers import Integral, Real

# What numbers an argument takes, alone or in a sequence: their kind, the least, the greatest.
MODEL_RANGES = {
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
    'max_faces': (Integral, 1, 400),  # the candidates of suppression
    'score_threshold': (Real, 0, 1),
    'iou_threshold': (Real, 0, 1),
}
