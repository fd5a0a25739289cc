"""Fig. 5: the identification loss, Eq. (3), of each run in training."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import numpy as np
import yaml

from uniface_mx.evaluation.figures import Curves, draw_panels
from uniface_mx.report.tables import get, letter_of, markdown
from uniface_mx.train.log import METRICS, read_rows


def losses(root: Path, figures: Path) -> List[str]:
    """Fig. 5: Eq. (3) of each run in training, from its ``metrics.jsonl``.

    Drawn are the runs of the paper's models that are equally long; of several such lengths the one that most of
    these models have. Those trained by Eq. (3) alone, as in the paper, have a panel of their own.
    """
    lines = ['## Fig. 5: identification loss', '']
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
    equal = {name: curve for name, curve in curves.items() if lengths[name] == chosen}
    drawn = {name: curve for name, curve in equal.items() if letter_of(name)} or equal
    panels: Dict[str, Curves] = {}
    for name, curve in drawn.items():
        contrast = any(row.get('contrast') for row in rows[name])
        title = f'Eq. (3), trained {"with the contrast" if contrast else "by it alone"}'
        panels.setdefault(title, {})[name] = curve
    draw_panels(figures / 'fig5_identification_loss.png', panels, 'iteration')
    lines += [f'![Identification loss]({figures.name}/fig5_identification_loss.png)', '']
    ends = [(name, lengths[name], f'{y[0]:.4f}', f'{y[-1]:.4f}') for name, (_, y) in curves.items()]
    return lines + markdown(('run', 'iterations', 'Eq. (3), first', 'last'), ends)


def mimic_weight(folder: Path) -> float:
    """The weight of Eq. (3) in a run's ``config.yaml``; the paper's 1 where there is none."""
    path = folder / 'config.yaml'
    if not path.is_file():
        return 1.0
    return float(get(yaml.safe_load(path.read_text(encoding='utf-8')), 'losses/mimic') or 1.0)


def identification(
    rows: Sequence[Mapping[str, Any]], weight: float = 1.0, points: int = 200
) -> Tuple[np.ndarray, np.ndarray]:
    """Iterations and values of Eq. (3) in a run's rows, averaged over at most ``points`` stretches.

    The rows tell it as it enters Eq. (2), times ``weight``. Rows without a mimic loss are passed over; of an
    iteration that stands there twice the later row counts.
    """
    values = {int(row['iteration']): float(row['mimic']) for row in rows if row.get('mimic') is not None}
    iterations = np.array(sorted(values), float)
    ordered = np.array([values[int(iteration)] for iteration in iterations], float) / weight
    if not len(iterations):
        return iterations, ordered
    stretches = np.array_split(np.arange(len(iterations)), min(points, len(iterations)))
    return (
        np.array([iterations[stretch].mean() for stretch in stretches]),
        np.array([ordered[stretch].mean() for stretch in stretches]),
    )
