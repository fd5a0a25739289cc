"""What is in record sets, in numbers and in one picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterable, List, Optional, Sequence, Union

import numpy as np

from uniface_mx.data.records import BOX, IGNORE, RecordReader
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
        taught = record.objects[record.objects[:, IGNORE] == 0, BOX]
        counts.append(len(taught))
        pixels = taught * np.array([record.width, record.height] * 2, np.float32)
        boxes.append(pixels * np.float32(INPUT_SIZE / max(record.width, record.height)))
        whole = ((taught > 0.002) & (taught < 0.998)).all(axis=1)
        aspects.append((pixels[whole, 2] - pixels[whole, 0]) / (pixels[whole, 3] - pixels[whole, 1]))
    metas = [reader.meta for reader in readers]
    return Stats(
        len(counts),
        sum(m.ignored for m in metas),
        sum(m.landmarks for m in metas),
        sum(m.embeddings for m in metas),
        len({person for m in metas for person in m.persons}),
        np.array(counts, int),
        np.concatenate(boxes),
        np.concatenate(aspects),
    )


def best_overlaps(boxes: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """The best overlap that each of some evenly spread boxes has with an anchor.

    Parameters
    ----------
    boxes : (G, 4)
        xyxy in input pixels.
    anchors : (M, 4)
        xyxy in input pixels.
    """
    chosen = boxes[:: max(1, -(-len(boxes) // FACES_MATCHED))]
    if not len(chosen):
        return np.zeros(0)
    return np.concatenate(
        [iou(part, anchors).max(axis=1) for part in np.array_split(chosen, -(-len(chosen) // 50))]
    )


def describe(stats: Stats, overlaps: Optional[np.ndarray] = None) -> List[str]:
    """The numbers as lines of text."""
    lines = [
        'photos %d, faces to learn %d, ignored %d, landmarks %d, embeddings %d, persons named %d'
        % (stats.photos, len(stats.boxes), stats.ignored, stats.landmarks, stats.embeddings, stats.persons)
    ]
    rows = [
        ('faces per photo', stats.faces_per_photo),
        ('face height at %d px' % INPUT_SIZE, stats.heights),
        ('width / height', stats.aspects),
    ]
    if overlaps is not None:
        rows.append(('best anchor overlap', overlaps))
    lines.append('%-24s %s' % ('percentile', ' '.join('%7d' % p for p in PERCENTILES)))
    for title, values in rows:
        if len(values):
            lines.append(f'{title:24} {" ".join(f"{v:7.2f}" for v in np.percentile(values, PERCENTILES))}')
    if overlaps is not None and len(overlaps):
        lines.append(
            f'faces whose best anchor overlaps by 0.5 or more: {100 * (overlaps >= 0.5).mean():.1f} %'
        )
    return lines


def picture(stats: Stats, path: Union[str, Path], overlaps: np.ndarray, ratios: Sequence[float]) -> None:
    """Draw the distributions into a file: faces, their best overlaps with anchors, and the anchors' ratios."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 8), constrained_layout=True)
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 2)
    panels[0, 0].hist(np.minimum(stats.faces_per_photo, 20), bins=np.arange(22) - 0.5, log=True)
    panels[0, 0].set_title('faces per photo (20: 20 or more)')
    panels[0, 1].hist(stats.heights, bins=60, range=(0, INPUT_SIZE))
    panels[0, 1].set_title('face height, pixels of the %dx%d input' % (INPUT_SIZE, INPUT_SIZE))
    panels[1, 0].hist(stats.aspects, bins=60, range=(0.4, 1.4))
    for ratio in ratios:
        panels[1, 0].axvline(ratio, color='black', linestyle=':')
    panels[1, 0].set_title('width / height (dotted: the anchors)')
    panels[1, 1].hist(overlaps, bins=50, range=(0, 1))
    panels[1, 1].set_title('best overlap with an anchor')
    figure.savefig(str(path))
