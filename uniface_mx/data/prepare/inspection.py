"""What is in finished record sets: whether they are sound, their numbers, and pictures of them."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Callable, Dict, Iterable, List, Optional, Sequence, Union

import cv2
import numpy as np

from uniface_mx.data.prepare import PrepareError
from uniface_mx.data.prepare.sets import DUPLICATE, GUARDED, Duplicates, Guard, record_name
from uniface_mx.data.records import Record, RecordError, RecordReader
from uniface_mx.data.rows import (
    BOX,
    CLASS,
    EMBEDDING,
    HAS_EMBEDDING,
    HAS_LANDMARKS,
    IGNORE,
    LANDMARKS,
    count_faces,
    embeddings,
    in_pixels,
)
from uniface_mx.geometry import INPUT_SIZE, iou
from uniface_mx.image import GREEN, mark_face

NORM_FACTOR = 1.5
PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
# Best anchors are sought for so many faces, evenly spread.
FACES_MATCHED = 4000
# RGB: a face without an embedding, an ignored face.
BLUE, RED = (40, 90, 255), (230, 0, 0)
CAPTION = 16


def check(
    name: str, guards: Sequence[str] = (), progress: Callable[[Iterable], Iterable] = iter
) -> Dict[str, List[str]]:
    """Look for everything that can be wrong with a record set.

    Schema, sizes and sha256 of the files; decodability, geometry and flags of each record; embeddings that
    are not about as long as the others (`NORM_FACTOR` times the median, or less than its inverse); counts;
    pictures that occur twice; photos of evaluation sets.

    Parameters
    ----------
    name : str
        Record set.
    guards : sequence of str
        Record sets of evaluation sets.

    Returns
    -------
    dict
        Kind of problem to what was found; empty for a sound set.

    Raises
    ------
    RecordError
        The set as a whole cannot be read.
    """
    reader = RecordReader(name, verify=True)
    guard = Guard(guards, reader.meta.teachers) if guards else None
    seen = Duplicates()
    problems: Dict[str, List[str]] = defaultdict(list)
    counts: Counter = Counter()
    norms: List[float] = []
    owners: List[str] = []
    for i in progress(range(len(reader))):
        try:
            record = reader[i]
        except RecordError as error:
            problems['unreadable'].append(str(error))
            continue
        title = f'record {i}, {record_name(record)}'
        problems['damaged'] += [f'{title}: {text}' for text in record_problems(record)]
        for kind, found in ((DUPLICATE, seen.find(record)), (GUARDED, guard and guard.find(record))):
            if found is not None:
                problems[kind].append(f'{title}: {found}')
        counts.update(count_faces(record.objects))
        norms += np.linalg.norm(embeddings(record.objects), axis=1).tolist()
        owners += [title] * (len(norms) - len(owners))
    problems['embedding of unlikely length'] += _unlikely(np.array(norms), owners)
    for name in ('faces', 'ignored', 'landmarks', 'embeddings'):
        stated = getattr(reader.meta, name)
        if counts[name] != stated:
            problems['count'].append(f'{name}: {counts[name]} where the .json says {stated}')
    return {kind: texts for kind, texts in problems.items() if texts}


def _unlikely(norms: np.ndarray, owners: Sequence[str]) -> List[str]:
    if not len(norms):
        return []
    median = np.median(norms)
    odd = np.flatnonzero(~((norms < NORM_FACTOR * median) & (norms * NORM_FACTOR > median)))
    return [f'{owners[i]}: {norms[i]:.3f}, median {median:.3f}' for i in odd]


def record_problems(record: Record) -> List[str]:
    """What is wrong with a record's image, geometry, flags and embeddings; empty if nothing is."""
    problems = []
    try:
        record.decode()
    except RecordError as error:
        problems.append(str(error))
    for i, row in enumerate(record.objects):
        problems += [f'face {i}: {text}' for text in _face_problems(row)]
    return problems


def _face_problems(row: np.ndarray) -> List[str]:
    if not np.isfinite(row).all():
        return ['a value is not finite']
    x1, y1, x2, y2 = row[BOX]
    has_embedding = row[HAS_EMBEDDING] == 1
    checks = (
        (row[CLASS] == 0, 'class is not 0'),
        (0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1, 'box outside the image or without area'),
        (np.isin(row[[HAS_LANDMARKS, HAS_EMBEDDING, IGNORE]], (0, 1)).all(), 'a flag is neither 0 nor 1'),
        (
            row[HAS_LANDMARKS] == 0 or ((row[LANDMARKS] >= 0) & (row[LANDMARKS] <= 1)).all(),
            'landmarks outside the image',
        ),
        (has_embedding == bool(np.any(row[EMBEDDING])), 'embedding and its flag disagree'),
        (row[IGNORE] == 0 or not (row[HAS_LANDMARKS] or has_embedding), 'an ignored face has labels'),
    )
    return [text for good, text in checks if not good]


@dataclass
class Stats:
    """Measures of the faces to learn, in one row a face.

    Parameters
    ----------
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


def drawing(record: Record, side: int) -> np.ndarray:
    """A record's photo in a square of `side` pixels, with boxes, points and key.

    Boxes are green with an embedding, blue without, red if ignored.
    """
    image = record.decode()
    scale = side / max(image.shape[:2])
    width, height = (max(1, round(n * scale)) for n in (record.width, record.height))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    image = cv2.resize(image, (width, height), interpolation=method)
    for row in in_pixels(record.objects, width, height):
        color = RED if row[IGNORE] else GREEN if row[HAS_EMBEDDING] else BLUE
        mark_face(image, row[BOX], row[LANDMARKS].reshape(5, 2) if row[HAS_LANDMARKS] else None, color)
    canvas = np.zeros((side + CAPTION, side, 3), np.uint8)
    canvas[:height, :width] = image
    text, at = (record.person or record_name(record))[-side // 6 :], (2, side + CAPTION - 5)
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.35, (255, 255, 255))
    return canvas


def sheet(name: str, numbers: Sequence[int], side: int = 180, columns: int = 8) -> np.ndarray:
    """Drawings of records side by side.

    Parameters
    ----------
    name : str
        Record set.
    numbers : sequence of int
        Which records.
    side : int
        Pixels of a square.

    Raises
    ------
    PrepareError
        There is no such record.
    """
    reader = RecordReader(name)
    wrong = [n for n in numbers if not 0 <= n < len(reader)]
    if wrong or not len(numbers):
        raise PrepareError(f'{reader.path} has {len(reader)} records: nothing to show of {wrong or "none"}')
    tiles = [drawing(reader[n], side) for n in numbers]
    columns = min(columns, len(tiles))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    rows = [np.concatenate(tiles[i : i + columns], axis=1) for i in range(0, len(tiles), columns)]
    return np.concatenate(rows)
