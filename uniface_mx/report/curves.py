"""What trainings told of themselves, as curves: Fig. 5, and of each its losses and its validations."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import numpy as np
import yaml

from uniface_mx.evaluation.figures import Curves, draw_panels
from uniface_mx.report.tables import get, letter_of, markdown, picture, section
from uniface_mx.train.log import METRICS, read_rows

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
    points = {
        name: [(row['iteration'], row[name]) for row in rows if row.get(name) is not None] for name in names
    }
    return {name: tuple(zip(*own)) for name, own in points.items() if own}


def trainings(root: Path, page: Path) -> List[str]:
    """Draw each run's ``metrics.jsonl`` into ``curves.png`` beside it; the lines of ``page`` that show them."""
    lines = []
    for path in sorted(root.glob(f'*/{METRICS}')):
        panels = {title: read_curves(path, kind, names) for title, kind, names in PANELS}
        panels = {title: curves for title, curves in panels.items() if curves}
        if panels:
            name, drawn = path.parent.name, path.with_name(CURVES)
            draw_panels(drawn, panels, 'iteration')
            link = os.path.relpath(str(drawn.parent), str(page.parent)).replace(os.sep, '/')
            lines += [f'{name}:', '', *picture(f'Training of {name}', link, CURVES)]
    return section('Trainings') + lines if lines else []


def losses(root: Path, figures: Path) -> List[str]:
    """Fig. 5: Eq. (3) of each run in training, from its ``metrics.jsonl``.

    Drawn are the runs of the paper's models that are equally long; of several such lengths the one that most of
    these models have. Those trained by Eq. (3) alone, as in the paper, have a panel of their own.
    """
    lines = section('Fig. 5: identification loss')
    rows = {path.parent.name: read_rows(path) for path in sorted(root.glob(f'*/{METRICS}'))}
    curves = {name: identification(own, mimic_weight(root / name)) for name, own in rows.items()}
    curves = {name: curve for name, curve in curves.items() if len(curve[0])}
    if not curves:
        return lines
    lengths = {name: max(int(row['iteration']) for row in rows[name]) for name in curves}

    def worth(length: int) -> Tuple[int, int, int]:
        names = [name for name in curves if lengths[name] == length]
        return len({letter_of(name) for name in names} - {None}), len(names), length

    chosen = max(set(lengths.values()), key=worth)
    equal = [name for name in curves if lengths[name] == chosen]
    panels: Dict[str, Curves] = {}
    for name in list(filter(letter_of, equal)) or equal:
        contrast = any(row.get('contrast') for row in rows[name])
        title = f'Eq. (3), trained {"with the contrast" if contrast else "by it alone"}'
        panels.setdefault(title, {})[name] = curves[name]
    file = 'fig5_identification_loss.png'
    draw_panels(figures / file, panels, 'iteration')
    ends = [(name, lengths[name], f'{y[0]:.4f}', f'{y[-1]:.4f}') for name, (_, y) in curves.items()]
    table = markdown(('run', 'iterations', 'Eq. (3), first', 'last'), ends)
    return lines + picture('Identification loss', figures.name, file) + table


def mimic_weight(folder: Path) -> float:
    """The weight of Eq. (3) in a run's ``config.yaml``; the paper's 1 where there is none."""
    path = folder / 'config.yaml'
    told = yaml.safe_load(path.read_text(encoding='utf-8')) if path.is_file() else None
    return float(get(told, 'losses/mimic') or 1.0)


def identification(
    rows: Sequence[Mapping[str, Any]], weight: float = 1.0, points: int = 200
) -> Tuple[np.ndarray, np.ndarray]:
    """Iterations and values of Eq. (3) in a run's rows, averaged over at most ``points`` stretches.

    The rows tell it as it enters Eq. (2), times ``weight``. Rows without a mimic loss are passed over; of an
    iteration that stands there twice the later row counts.
    """
    values = {int(row['iteration']): float(row['mimic']) for row in rows if row.get('mimic') is not None}
    table = np.array(sorted(values.items()), float).reshape(-1, 2) / (1, weight)
    stretches = np.array_split(table, min(points, len(table)) or 1)
    means = [stretch.mean(axis=0) for stretch in stretches if len(stretch)]
    return tuple(np.reshape(means, (-1, 2)).T)
