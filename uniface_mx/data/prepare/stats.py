"""What is in record sets, in numbers and in one picture."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Callable, Iterable, List, Optional, Sequence, Union

import numpy as np

from uniface_mx.data.records import RecordReader
from uniface_mx.data.rows import BOX, IGNORE, in_pixels
from uniface_mx.geometry import INPUT_SIZE, iou

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
# Best anchors are sought for so many faces, evenly spread.
FACES_MATCHED = 4000


@dataclass
class Stats:
    """Measures of the faces to learn, in one row a face.

    Parameters
    ----------
    photos, ignored, landmarks, embeddings, persons : int
    faces_per_photo : (photos,) int
    boxes : (G, 4) float32
        Pixels of the 300x300 letterbox.
    aspects : (G,) float32
        Width over height, of boxes that do not touch the photo's border.
    """

    photos: int
    ignored: int
    landmarks: int
    embeddings: int
    persons: int
    faces_per_photo: np.ndarray
    boxes: np.ndarray
    aspects: np.ndarray

    @property
    def heights(self) -> np.ndarray:
        """(G,) heights of the boxes."""
        return self.boxes[:, 3] - self.boxes[:, 1]


def measure(names: Sequence[str], progress: Callable[[Iterable], Iterable] = iter) -> Stats:
    """Read the labels of record sets."""
    readers = [RecordReader(name) for name in names]
    counts, boxes, aspects = [], [np.zeros((0, 4), np.float32)], [np.zeros(0, np.float32)]
    for record in progress(record for reader in readers for record in reader):
        taught = record.objects[record.objects[:, IGNORE] == 0]
        counts.append(len(taught))
        pixels = in_pixels(taught, record.width, record.height)[:, BOX]
        boxes.append(pixels * np.float32(INPUT_SIZE / max(record.width, record.height)))
        whole = ((taught[:, BOX] > 0.002) & (taught[:, BOX] < 0.998)).all(axis=1)
        aspects.append((pixels[whole, 2] - pixels[whole, 0]) / (pixels[whole, 3] - pixels[whole, 1]))
    metas = [reader.meta for reader in readers]
    totals = [sum(getattr(meta, name) for meta in metas) for name in ('ignored', 'landmarks', 'embeddings')]
    persons = {person for meta in metas for person in meta.persons}
    rows = np.array(counts, int), np.concatenate(boxes), np.concatenate(aspects)
    return Stats(len(counts), *totals, len(persons), *rows)


def best_overlaps(boxes: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """The best overlap that each of some evenly spread boxes (G, 4) has with an anchor (M, 4).

    All are xyxy in input pixels.
    """
    chosen = boxes[:: max(1, -(-len(boxes) // FACES_MATCHED))]
    found = [iou(chosen[i : i + 50], anchors).max(axis=1) for i in range(0, len(chosen), 50)]
    return np.concatenate([np.zeros(0), *found])


def describe(stats: Stats, overlaps: Optional[np.ndarray] = None) -> List[str]:
    """The numbers as lines of text."""
    lines = [
        f'photos {stats.photos}, faces to learn {len(stats.boxes)}, ignored {stats.ignored}, '
        f'landmarks {stats.landmarks}, embeddings {stats.embeddings}, persons named {stats.persons}',
        f'{"percentile":24} {" ".join(f"{p:7}" for p in PERCENTILES)}',
    ]
    overlaps = np.zeros(0) if overlaps is None else overlaps
    rows = {
        'faces per photo': stats.faces_per_photo,
        f'face height at {INPUT_SIZE} px': stats.heights,
        'width / height': stats.aspects,
        'best anchor overlap': overlaps,
    }
    for title, values in rows.items():
        if len(values):
            lines.append(f'{title:24} {" ".join(f"{v:7.2f}" for v in np.percentile(values, PERCENTILES))}')
    if len(overlaps):
        share = 100 * (overlaps >= 0.5).mean()
        lines.append(f'faces whose best anchor overlaps by 0.5 or more: {share:.1f} %')
    return lines


def picture(
    stats: Stats, path: Union[str, os.PathLike], overlaps: np.ndarray, ratios: Sequence[float]
) -> None:
    """Draw the distributions into a file: faces, their best overlaps with anchors, and the anchors' ratios."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 8), constrained_layout=True)
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 2).ravel()
    panels[0].hist(np.minimum(stats.faces_per_photo, 20), bins=np.arange(22) - 0.5, log=True)
    panels[1].hist(stats.heights, bins=60, range=(0, INPUT_SIZE))
    panels[2].hist(stats.aspects, bins=60, range=(0.4, 1.4))
    for ratio in ratios:
        panels[2].axvline(ratio, color='black', linestyle=':')
    panels[3].hist(overlaps, bins=50, range=(0, 1))
    titles = (
        'faces per photo (20: 20 or more)',
        f'face height, pixels of the {INPUT_SIZE}x{INPUT_SIZE} input',
        'width / height (dotted: the anchors)',
        'best overlap with an anchor',
    )
    for panel, title in zip(panels, titles):
        panel.set_title(title)
    figure.savefig(str(path))
