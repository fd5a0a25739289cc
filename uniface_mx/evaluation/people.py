"""Faces of people held out, as a network embeds them, and which rule of length serves their pairs best."""

from __future__ import annotations

import argparse
from itertools import islice, product
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Sequence, Tuple

import cv2
import mxnet as mx
import numpy as np
from tqdm import tqdm

from uniface_mx.data.loader import network_input
from uniface_mx.data.records import Record, RecordReader
from uniface_mx.data.rows import BOX, EMBEDDING, HAS_EMBEDDING, IGNORE, LANDMARKS, in_pixels
from uniface_mx.deploy.export import SCORE_THRESHOLD
from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation import options
from uniface_mx.evaluation.pairs import FALSE_ACCEPTS, all_pairs, summarise, threshold_at
from uniface_mx.evaluation.results import shown
from uniface_mx.evaluation.subject import hash_model
from uniface_mx.geometry import (
    INPUT_SIZE,
    SAME_FACE,
    area,
    flip_boxes,
    flip_landmarks,
    iou,
    letterbox,
    unit_vectors,
)
from uniface_mx.models.files import ModelFiles
from uniface_mx.models.uniface import Uniface
from uniface_mx.nn.embedding import LengthRule, scaled
from uniface_mx.train.result import load_exported, load_run

HELP = 'all pairs of people held out: which power of the length serves them best, and how well'
BATCH = 16
REGIONS = ('detected', 'labelled')
# Sides of faces, in the network's pixels: those that count as good, and those that small photos are reduced to.
GOOD_SIDE, SMALL_SIDES = 100.0, (24.0, 40.0)
POWERS = tuple(np.linspace(1, 0, 21).round(2).tolist())
FLOORS = (25, 50, 75, 90)
SHOWN_POWERS = (1.0, 0.75, 0.5, 0.25, 0.0)
# What the choice weighs: the rate of false accepts, how much more often than at unit length strangers on small
# photos may pass, and what share of true accepts is not worth a smaller power.
RATE, MORE_SMALL, WORTH = 1e-3, 1.5, 0.005


class Shot(NamedTuple):
    """A named person's face as the network sees it.

    A canvas (S, S, 3), box and landmarks (14,) on it, the teacher's raw embedding (128,), and who it is.
    """

    canvas: np.ndarray
    face: np.ndarray
    teacher: np.ndarray
    person: str

    @property
    def side(self) -> float:
        """Root of the box's area, in pixels of the canvas."""
        return float(np.sqrt(area(self.face[:4])))


class Faces(NamedTuple):
    """Embedded faces.

    The network's vectors (n, 128) around the mean, the teacher's raw ones (n, 128), people as numbers (n,), and how
    many faces were not found.
    """

    vectors: np.ndarray
    teacher: np.ndarray
    people: np.ndarray
    missed: int


def shots(records: Iterable[Record], size: int = INPUT_SIZE, least: float = GOOD_SIDE) -> Iterator[Shot]:
    """The largest taught face of each record whose person is named, letterboxed, if its side is `least` or more."""
    for record in records:
        objects = in_pixels(record.objects, record.width, record.height)
        taught = objects[(objects[:, HAS_EMBEDDING] > 0) & ~(objects[:, IGNORE] > 0)]
        if not record.person or not len(taught):
            continue
        row = taught[np.argmax(area(taught[:, BOX]))]
        canvas, scale = letterbox(record.decode(), size)
        face = np.concatenate([row[BOX], row[LANDMARKS]]) * scale
        shot = Shot(canvas, face.astype(np.float32), row[EMBEDDING], record.person)
        if shot.side >= least:
            yield shot


def of_people(readers: Sequence[RecordReader], limit: int) -> Iterator[Record]:
    """All photos of at most so many people of record sets, evenly spread over their names, and always the same."""
    names = sorted({name for reader in readers for name in reader.meta.persons})
    chosen = {names[int(place)] for place in np.linspace(0, len(names) - 1, min(limit, len(names))).round()}
    yield from (record for reader in readers for record in reader if record.person in chosen)


def reduced(shot: Shot, random: np.random.Generator, sides: Tuple[float, float] = SMALL_SIDES) -> Shot:
    """A shot made so small that its face has a side within `sides`, somewhere on a canvas of its mean colour."""
    size = len(shot.canvas)
    factor = random.uniform(*sides) / shot.side
    small = cv2.resize(shot.canvas, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    left, top = random.integers(0, size - len(small) + 1, 2)
    canvas = np.empty_like(shot.canvas)
    canvas[:] = shot.canvas.mean(axis=(0, 1))
    canvas[top : top + len(small), left : left + len(small)] = small
    face = shot.face * len(small) / size + np.tile(np.array([left, top], np.float32), 7)
    return shot._replace(canvas=canvas, face=face)


def embed(
    net: Uniface, taken: Iterable[Shot], origin: np.ndarray, regions: str = 'detected', mirror: bool = False
) -> Faces:
    """Embed shots with a network.

    Parameters
    ----------
    net : Uniface
    taken : iterable of Shot
    origin : (128,) array
        What is subtracted from the network's vectors: the teacher's mean, or 0 where an export has done so.
    regions : {'detected', 'labelled'}
        Where faces are: where the network finds them, as its users have it (those that it does not find are left
        out), or where the labels say, which shows recognition alone.
    mirror : bool
        Average each vector with that of the mirror image.

    Raises
    ------
    UnifaceError
        There is no such face.
    """
    vectors: List[np.ndarray] = []
    kept: List[Shot] = []
    total = 0
    shots_left = iter(taken)
    for batch in iter(lambda: list(islice(shots_left, BATCH)), []):
        total += len(batch)
        data = np.zeros((BATCH, *batch[0].canvas.shape), np.uint8)
        data[: len(batch)] = [shot.canvas for shot in batch]
        detections, features = net.detector(network_input(data, mx.cpu()))
        faces, there = np.array([shot.face for shot in batch]), np.ones(len(batch), bool)
        if regions == 'detected':
            faces, there = found_faces(detections.asnumpy()[: len(batch)], faces)
        raw = _recognise(net, features, faces)
        if mirror:
            turned = net.detector(network_input(np.ascontiguousarray(data[:, :, ::-1]), mx.cpu()))[1]
            raw = (raw + _recognise(net, turned, _mirrored(faces, net.size))) / 2
        vectors.append((raw - origin)[there])
        kept += [shot for shot, one in zip(batch, there) if one]
    if not kept:
        raise UnifaceError('no face of a named person was found in the records')
    people = np.unique([shot.person for shot in kept], return_inverse=True)[1]
    return Faces(
        np.concatenate(vectors), np.array([shot.teacher for shot in kept]), people, total - len(kept)
    )


def found_faces(detections: np.ndarray, faces: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """For labelled faces (N, 14), one a photo, the detection that overlaps each most, and whether that is enough, (N,).

    Detections are (N, K, 15), as the network gives them.
    """
    rows = []
    for found, face in zip(detections, faces):
        overlaps = np.where(found[:, 0] >= SCORE_THRESHOLD, iou(found[:, 1:5], face[None, :4])[:, 0], 0)
        rows.append((overlaps.max(), found[overlaps.argmax(), 1:]))
    overlap, boxes = zip(*rows)
    return np.array(boxes, np.float32), np.array(overlap) >= SAME_FACE


def _recognise(net: Uniface, features: mx.nd.NDArray, faces: np.ndarray) -> np.ndarray:
    """Raw embeddings of one face of each image, in batches of one size."""
    rows = np.zeros((BATCH, 15), np.float32)
    rows[: len(faces), 0], rows[: len(faces), 1:] = np.arange(len(faces)), faces
    return net.recognition(features, mx.nd.array(rows)).asnumpy()[: len(faces)]


def _mirrored(faces: np.ndarray, size: int) -> np.ndarray:
    points = flip_landmarks(faces[:, 4:].reshape(-1, 5, 2), size).reshape(-1, 10)
    return np.concatenate([flip_boxes(faces[:, :4], size), points], axis=1)


class Choice(NamedTuple):
    """A rule, the share of genuine pairs that it accepts at `RATE`, and how often small strangers pass there."""

    rule: LengthRule
    accepted: float
    small: float


def choose_rule(good: Faces, small: Faces) -> Choice:
    """The rule of length that serves good photos best without letting strangers on small ones pass.

    Of all powers and floors (percentiles `FLOORS` of good photos' lengths) those count with which small pairs of
    strangers reach the threshold of good ones at most `MORE_SMALL` times as often as at unit length; of those within
    `WORTH` of the most true accepts, the one of the largest power, then of the largest floor.
    """
    floors = np.percentile(np.linalg.norm(good.vectors, axis=1), FLOORS)
    choices: List[Choice] = []
    for power, floor in product(POWERS, floors):
        if power == 1 and choices:
            continue
        rule = scaled(good.vectors, power, float(floor) if power < 1 else 0.0)
        pairs = all_pairs(rule.embed(good.vectors), good.people)
        threshold = threshold_at(pairs.impostor, RATE)
        strangers = all_pairs(rule.embed(small.vectors), small.people).impostor
        choices.append(
            Choice(rule, float((pairs.genuine >= threshold).mean()), float((strangers >= threshold).mean()))
        )
    allowed = [one for one in choices if one.small <= MORE_SMALL * choices[0].small]
    best = max(one.accepted for one in allowed)
    worthy = [one for one in allowed if one.accepted >= best - WORTH]
    return max(worthy, key=lambda one: one.rule[:2])


def power_table(faces: Faces) -> List[Dict[str, Any]]:
    """Figures of all pairs at each of `SHOWN_POWERS`, without a floor."""
    return [
        dict(
            power=power,
            **summarise(all_pairs(scaled(faces.vectors, power).embed(faces.vectors), faces.people)),
        )
        for power in SHOWN_POWERS
    ]


def load_network(arguments: argparse.Namespace) -> Tuple[Uniface, np.ndarray, np.ndarray, Dict[str, Any]]:
    """The network that the options name, what to subtract from its vectors, the teacher's mean, and whom it is."""
    if arguments.run_folder:
        model = load_run(arguments.run_folder, arguments.checkpoint)
        mean = np.zeros(1, np.float32) if model.mean is None else model.mean
        about = {'name': Path(arguments.run_folder).name, 'iteration': model.details['training']['iteration']}
        return model.net, mean, mean, about
    net = load_exported(arguments.model).net
    files = ModelFiles.find(arguments.model)
    mean = files.manifest.get('mean_embedding')
    about = {'name': files.prefix.name, 'identity': {'sha256': hash_model(files.prefix)}}
    return net, np.zeros(1, np.float32), np.array(mean or [0.0], np.float32), about


def add_options(command: argparse.ArgumentParser) -> None:
    """Options of :func:`run`."""
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument('--model', metavar='PREFIX', help='of an exported model, as DIR/NAME')
    which.add_argument('--run', dest='run_folder', metavar='DIR', help='a folder of tools/train.py')
    command.add_argument(
        '--checkpoint', choices=('best', 'last'), default='best', help='of --run (%(default)s)'
    )
    text = 'record sets of people not trained on'
    command.add_argument('--people', required=True, nargs='+', metavar='NAME', help=text)
    text = 'where faces are: where the network finds them, or where the labels say (%(default)s)'
    command.add_argument('--regions', choices=REGIONS, default=REGIONS[0], help=text)
    command.add_argument('--mirror', action='store_true', help='average embeddings with the mirror image')
    text = 'people, evenly spread over their names (%(default)s)'
    command.add_argument('--limit', type=options.COUNT, default=1000, metavar='N', help=text)
    command.add_argument('--no-progress', dest='progress', action='store_false')


def run(arguments: argparse.Namespace) -> None:
    """Print and write the table of powers, and the choice of a rule."""
    net, origin, mean, about = load_network(arguments)
    net.hybridize(static_alloc=True, static_shape=True)
    readers = options.open_records(arguments, arguments.people)
    taken = list(shots(of_people(readers, arguments.limit), net.size))
    random = np.random.default_rng(0)
    kinds = {'good': taken, 'small': [reduced(shot, random) for shot in taken]}
    faces = {
        kind: embed(
            net,
            tqdm(own, unit='face', desc=kind, disable=None if arguments.progress else True),
            origin,
            arguments.regions,
            arguments.mirror,
        )
        for kind, own in kinds.items()
    }
    good = faces['good']
    cosine = float((unit_vectors(good.vectors) * unit_vectors(good.teacher - mean)).sum(axis=1).mean())
    rows, choice = power_table(good), choose_rule(good, faces['small'])
    people = len(np.unique(good.people))
    print(f'{len(good.people)} faces of {people} people ({good.missed} not found), cosine {cosine:.3f}')
    rates = [f'{rate:g}' for rate in FALSE_ACCEPTS]
    print('power   area  ' + '  '.join(f'at {rate}' for rate in rates))
    for row in rows:
        accepted = '  '.join(f'{row["true_accepts"][rate]:8.2%}' for rate in rates)
        print(f'{row["power"]:5.2f} {row["area"]:.4f}  {accepted}')
    power, floor, scale = choice.rule
    print(
        f'chosen: power {power:g}, floor {floor:.3f}, scale {scale:.3f}: {shown(choice.accepted)} at {RATE:g}, '
        f'strangers on small photos {choice.small:.2%}'
    )
    metrics = {
        'cosine': cosine,
        'faces': len(good.people),
        'people': people,
        'missed': {kind: own.missed for kind, own in faces.items()},
        'powers': rows,
        'choice': dict(choice.rule._asdict(), true_accepts=choice.accepted, small_false_accepts=choice.small),
    }
    data = dict(options.about_records(readers), limit=arguments.limit, regions=arguments.regions)
    options.write(arguments, 'people', about, data, metrics)
