"""What a training told of itself, as curves: its losses, and its validations."""

from __future__ import annotations

import os
from pathlib import Path
from typing import List, Sequence

from uniface_mx.evaluation.figures import Curves, draw_panels
from uniface_mx.train.log import read_rows

# Title, kind of rows, and what is drawn of them.
PANELS = (
    ('losses as they enter Eq. (2)', 'train', ('classification', 'box', 'landmarks', 'mimic', 'contrast')),
    ('centred cosine to the teacher, people held out', 'validation', ('cosine',)),
    ('detection, people held out', 'validation', ('average_precision', 'recall')),
    ('landmark error over the distance of the eyes, people held out', 'validation', ('landmark_error',)),
)
CURVES = 'curves.png'


def read_curves(path: Path, kind: str, names: Sequence[str]) -> Curves:
    """Figures of a ``metrics.jsonl`` over the iterations; those that it never gives are left out."""
    rows = read_rows(path, kind)
    curves = {}
    for name in names:
        points = [(row['iteration'], row[name]) for row in rows if row.get(name) is not None]
        if points:
            curves[name] = tuple(zip(*points))
    return curves


def trainings(root: Path, page: Path) -> List[str]:
    """Draw each run's ``metrics.jsonl`` into ``curves.png`` beside it; the lines of ``page`` that show them."""
    lines = []
    for path in sorted(root.glob('*/metrics.jsonl')):
        panels = {title: read_curves(path, kind, names) for title, kind, names in PANELS}
        panels = {title: curves for title, curves in panels.items() if curves}
        if panels:
            picture = path.with_name(CURVES)
            draw_panels(picture, panels, 'iteration')
            link = os.path.relpath(str(picture), str(page.parent)).replace(os.sep, '/')
            lines += [f'{path.parent.name}:', '', f'![Training of {path.parent.name}]({link})', '']
    return ['## Trainings', ''] + lines if lines else []
