"""Curves as pictures: ROC of verification, FDDB's curves (Fig. 4), losses (Fig. 5), all that a training told."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Sequence, Tuple, Union

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from uniface_mx.files import written_aside

Curves = Dict[str, Tuple[Sequence[float], Sequence[float]]]


def draw(
    path: Union[str, Path], curves: Curves, x: str, y: str, steps: bool = False, **settings: Any
) -> None:
    """Draw curves, label -> (x values, y values), into a PNG.

    ``x`` and ``y`` name the axes, which have Matplotlib's ``settings``; curves in ``steps`` stay at a value until the
    next.
    """
    figure = Figure(figsize=(7, 4.6), dpi=120)
    axes = figure.add_subplot(1, 1, 1)
    plot(axes, curves, steps)
    axes.set(xlabel=x, ylabel=y, **settings)
    save(figure, path)


def draw_panels(path: Union[str, Path], panels: Dict[str, Curves], x: str) -> None:
    """Draw curves into a PNG of panels, title -> curves, two side by side, over a common x axis."""
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(5.5 * columns, 3.4 * rows), dpi=100)
    for number, (title, curves) in enumerate(panels.items(), 1):
        axes = figure.add_subplot(rows, columns, number)
        plot(axes, curves)
        axes.set(xlabel=x, title=title)
    save(figure, path)


def plot(axes: Axes, curves: Curves, steps: bool = False) -> None:
    """Lines with a legend."""
    for number, (label, (xs, ys)) in enumerate(curves.items()):
        # There are ten colours.
        style = dict(
            linestyle=('-', '--', ':')[number // 10 % 3], drawstyle='steps-post' if steps else 'default'
        )
        axes.plot(np.asarray(xs, float), np.asarray(ys, float), label=label, linewidth=1.4, **style)
    axes.grid(alpha=0.3)
    if curves:
        axes.legend(fontsize=8)


def save(figure: Figure, path: Union[str, Path]) -> None:
    """Write a PNG aside and move it into place."""
    FigureCanvasAgg(figure)
    figure.tight_layout()
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as aside:
        # No date and no version in the file: the same curves give the same bytes.
        figure.savefig(str(aside), format='png', metadata={'Software': None})


def draw_fddb(path: Union[str, Path], curves: Dict[str, np.ndarray], title: str, limit: int = 2000) -> None:
    """Fig. 4: true positive rate over false positives; ``curves`` is label -> (n, 2) from ``fddb_files.read_curve``."""
    lines = {label: (table[:, 1], np.maximum.accumulate(table[:, 0])) for label, table in curves.items()}
    names = 'false positives', 'true positive rate'
    draw(path, lines, *names, steps=True, title=title, xlim=(0, limit), ylim=(0, 1))


def draw_verification(path: Union[str, Path], curves: Curves) -> None:
    """True accepts over false accepts, false accepts on a logarithmic axis."""
    names = 'false accept rate', 'true accept rate'
    draw(path, curves, *names, xscale='log', xlim=(1e-3, 1), title='LFW')
