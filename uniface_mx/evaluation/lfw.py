"""Labeled Faces in the Wild: unrestricted protocol with labeled outside data (section IV.B, Table I).

Photos go into the network as they are, with no crop or alignment outside it. Where several faces are found,
the photo's subject is the one whose box centre is nearest to the middle of the photo (``centre``), which is
how LFW was made, or the one with the largest box (``largest``). In a perturbed photo, ``centre`` means where
the middle of the original photo has gone: that says whom the photo is about, and nothing about where the face
lies.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
from tqdm import tqdm

from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation import options, verification
from uniface_mx.evaluation.figures import draw_verification
from uniface_mx.evaluation.options import WHOLE
from uniface_mx.evaluation.results import shown
from uniface_mx.evaluation.subject import CHOICES, Subject, choose_face, look, similarities
from uniface_mx.files import file_hash, written_aside
from uniface_mx.image import read_image
from uniface_mx.paths import PACKAGE
from uniface_mx.photos import batches
from uniface_mx.provenance import versions

HELP = 'LFW: ten folds, and the robustness test'
SHARD = 512
STRICT_RATE = 0.01


class LfwError(UnifaceError):
    """Pairs that cannot be read, or photos that they name and that are not there."""


class Pairs(NamedTuple):
    """``first`` and ``second`` (n,) name photos as PERSON/PERSON_0001.jpg; ``same`` (n,) bool, ``fold`` (n,) int."""

    first: List[str]
    second: List[str]
    same: np.ndarray
    fold: np.ndarray


def read_pairs(path: Union[str, Path]) -> Pairs:
    """Read the official ``pairs.txt``; `LfwError` if it is not in its form.

    The first line has the number of folds and of pairs of each kind in a fold; a fold is that many rows of a
    name and two numbers (one person), then that many of two names, each with a number (two people).
    """
    try:
        lines = Path(path).read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LfwError(f'{path}: cannot be read ({error})') from error
    rows = [(number, line.split()) for number, line in enumerate(lines, 1) if line.strip()]
    try:
        folds, each = (int(value) for value in rows[0][1])
    except (IndexError, ValueError) as error:
        raise LfwError(f'{path}:1: expected the number of folds and of pairs of each kind') from error
    if folds < 2 or each < 1 or len(rows) != 1 + 2 * folds * each:
        raise LfwError(f'{path}: {folds} folds of 2 x {each} pairs announced, {len(rows) - 1} rows follow')
    fold, kind = np.divmod(np.arange(len(rows) - 1), 2 * each)
    same = kind < each
    pairs = []
    for (number, row), genuine in zip(rows[1:], same):
        try:
            person, a, other, b = (*row[:2], row[0], *row[2:]) if genuine else row
            photos = ((person, int(a)), (other, int(b)))
            pairs.append([f'{name}/{name}_{photo:04d}.jpg' for name, photo in photos])
        except ValueError as error:
            expected = 'a name and two numbers' if genuine else 'two names, each with a number'
            raise LfwError(f'{path}:{number}: expected {expected}') from error
    return Pairs(*map(list, zip(*pairs)), same, fold)


def photo_paths(root: Union[str, Path], names: Iterable[str]) -> Dict[str, Path]:
    """Paths of the photos, in the official layout (a folder a person) or all in one; `LfwError` if any is missing."""
    places = {name: (Path(root) / name, Path(root) / Path(name).name) for name in names}
    found = {name: path for name, paths in places.items() for path in paths[::-1] if path.is_file()}
    missing = [name for name in places if name not in found]
    if missing:
        raise LfwError(
            f'{root}: {len(missing)} of the photos that the pairs name are missing, {missing[0]} first'
        )
    return found


def perturb(image: np.ndarray, limit: int, seed: int, name: str) -> Tuple[np.ndarray, Tuple[int, int]]:
    """Crop or pad each side by up to ``limit`` pixels (section IV.B.1).

    Each side's share is drawn on its own from -limit (cropped) to limit (padded with 0). Seed and name decide the
    draw, so that a photo's perturbation depends on no other photo. Gives the photo (H, W, 3), and the (x, y) by which
    its content has moved.
    """
    height, width = image.shape[:2]
    generator = np.random.default_rng([seed, zlib.crc32(name.encode('utf-8'))])
    left, top, right, bottom = (int(value) for value in generator.integers(-limit, limit + 1, 4))
    if left + right <= -width or top + bottom <= -height:
        raise LfwError(f'{name}: a photo of {width}x{height} cannot lose {limit} pixels a side')
    inside = image[max(0, -top) : height - max(0, -bottom), max(0, -left) : width - max(0, -right)]
    sides = ((max(0, top), max(0, bottom)), (max(0, left), max(0, right)), (0, 0))
    return np.pad(inside, sides), (left, top)


class Embedded(NamedTuple):
    """What is known of photos, an entry a photo.

    ``names``; ``found`` bool; ``vectors`` (n, d) float32 with zeros where no face was found; ``several`` bool,
    whether there was a choice.
    """

    names: np.ndarray
    found: np.ndarray
    vectors: np.ndarray
    several: np.ndarray


def embed_photos(
    subject: Subject,
    photos: Dict[str, Path],
    rule: str = 'centre',
    limit: int = 0,
    seed: int = 0,
    bar: Optional[tqdm] = None,
) -> Embedded:
    """Embeddings of the photos' subjects, perturbed if ``limit`` is above 0; `ImageError` if one cannot be read."""
    names = sorted(photos)
    chosen, several = [], []

    def images() -> Iterator[Tuple[np.ndarray, np.ndarray]]:
        for name in names:
            image, shift = read_image(photos[name]), (0, 0)
            centre = np.array(image.shape[1::-1]) / 2
            if limit:
                image, shift = perturb(image, limit, seed, name)
            yield centre + shift, image

    for centre, _, faces in look(subject, images(), progress=False):
        face = choose_face(faces, centre, rule)
        chosen.append(None if face is None or not np.isfinite(face.embedding).all() else face.embedding)
        several.append(len(faces) > 1)
        if bar is not None:
            bar.update()
    found = np.array([vector is not None for vector in chosen])
    none = np.zeros(next((len(vector) for vector in chosen if vector is not None), 0))
    vectors = np.array([none if vector is None else vector for vector in chosen], np.float32)
    return Embedded(np.array(names), found, vectors, np.array(several))


def cached_embeddings(
    directory: Union[str, Path],
    subject: Subject,
    photos: Dict[str, Path],
    rule: str = 'centre',
    limit: int = 0,
    seed: int = 0,
    progress: bool = True,
) -> Embedded:
    """:func:`embed_photos`, kept in ``directory``, shard by shard, so that a run that was stopped goes on.

    A shard's key is everything that its vectors follow from, this package's code and the versions of others
    included.
    """
    key = {'code': file_hash(*sorted(PACKAGE.rglob('*.py'))), 'versions': versions()}
    key.update(subject=subject.identity, rule=rule, limit=limit, seed=seed if limit else 0)
    shards = []
    with tqdm(total=len(photos), unit='photo', disable=not progress) as bar:
        for names in batches(sorted(photos), SHARD):
            key['photos'] = [(name, file_hash(photos[name])) for name in names]
            digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode('utf-8')).hexdigest()
            path = Path(directory) / f'lfw-{digest[:24]}.npz'
            if not path.is_file():
                shard = embed_photos(subject, {name: photos[name] for name in names}, rule, limit, seed, bar)
                path.parent.mkdir(parents=True, exist_ok=True)
                with written_aside(path) as aside, open(aside, 'wb') as file:
                    np.savez(file, **shard._asdict())
            try:
                with np.load(str(path), allow_pickle=False) as content:
                    shards.append(Embedded(*(content[name] for name in Embedded._fields)))
            except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
                raise LfwError(f'{path}: damaged cache ({error}); remove the file') from error
            bar.update(sum(len(shard.names) for shard in shards) - bar.n)
    # Vectors of a shard in which no face was found have no width of their own, and become zeros of that of others.
    width = max(shard.vectors.shape[1] for shard in shards)
    shards = [shard._replace(vectors=np.resize(shard.vectors, (len(shard.names), width))) for shard in shards]
    return Embedded(*map(np.concatenate, zip(*shards)))


def evaluate(pairs: Pairs, embedded: Embedded, metric: str) -> Tuple[Dict[str, Any], verification.Roc]:
    """Figures of the protocol, and the ROC over all pairs.

    Two of the figures are for users of the model, not for the accuracy: ``threshold`` is the best over all pairs,
    ``strict_threshold`` the one at which a hundredth of the pairs of two people is accepted.
    """
    row = {name: number for number, name in enumerate(embedded.names)}
    first, second = ([row[name] for name in names] for names in (pairs.first, pairs.second))
    found = embedded.found[first] & embedded.found[second]
    if not found.any():
        raise LfwError('there is no pair with a face found in both of its photos')
    similarity = similarities(embedded.vectors[first], embedded.vectors[second], metric)
    curve = verification.roc(similarity, pairs.same, found)
    figures = verification.ten_folds(similarity, pairs.same, pairs.fold, found)
    figures.update(
        area=verification.area(curve),
        true_accepts_at_false_accepts=verification.true_accepts_at(curve),
        roc=verification.sample(curve),
        threshold=verification.best_threshold(similarity[found], pairs.same[found]),
        strict_threshold=verification.threshold_at(curve, STRICT_RATE),
        pairs=len(found),
        pairs_without_face=int((~found).sum()),
        photos=len(embedded.names),
        photos_without_face=int((~embedded.found).sum()),
        without_face=np.array(embedded.names)[~embedded.found].tolist(),
        photos_with_several_faces=int(embedded.several.sum()),
        metric=metric,
    )
    return figures, curve


def average(runs: Sequence[Dict[str, Any]]) -> Dict[str, Any]:
    """Means over several seeds' figures: accuracy, std within a run, and ``std_over_seeds`` of the accuracy."""
    means = ('accuracy', 'std', 'standard_error', 'area', 'photos_without_face')
    figures: Dict[str, Any] = {key: float(np.mean([run[key] for run in runs])) for key in means}
    deviation = np.std([run['accuracy'] for run in runs], ddof=1) if len(runs) > 1 else None
    return dict(figures, std_over_seeds=deviation)


def add_options(command: argparse.ArgumentParser) -> None:
    """Options of :func:`run`."""
    options.add_subject(command)
    add = command.add_argument
    add('--images', required=True, metavar='DIR')
    add('--pairs', required=True, metavar='FILE', help='the official pairs.txt')
    text = 'whom a photo with several faces is about (%(default)s)'
    add('--choose', choices=CHOICES, default='centre', help=text)
    text = 'crop or pad each side by up to so many pixels; the paper takes 60'
    add('--perturb', type=WHOLE, default=0, metavar='PIXELS', help=text)
    text = 'of the perturbation; several are averaged'
    add('--seed', type=WHOLE, nargs='+', default=[0], metavar='S', help=text)
    cache = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'uniface_mx'
    add('--cache', metavar='DIR', default=cache, help='of embeddings (%(default)s)')


def run(arguments: argparse.Namespace) -> None:
    """Ten folds, of photos as they are or perturbed."""
    pairs = read_pairs(arguments.pairs)
    photos = photo_paths(arguments.images, sorted({*pairs.first, *pairs.second}))
    chosen, perturbed = options.subject(arguments), arguments.perturb
    runs = []
    for seed in arguments.seed if perturbed else (0,):
        how = arguments.choose, perturbed, seed, arguments.progress
        embedded = cached_embeddings(arguments.cache, chosen, photos, *how)
        figures, curve = evaluate(pairs, embedded, chosen.metric)
        runs.append(dict(figures, seed=seed) if perturbed else figures)
        print(
            f'{f"seed {seed}: " if perturbed else ""}accuracy {shown(figures["accuracy"])} +- '
            f'{100 * figures["std"]:.2f} (std of the folds), standard error {100 * figures["standard_error"]:.2f}, '
            f'area {figures["area"]:.5f}, {figures["photos_without_face"]} photos without face'
        )
    unusual = {(True, False): '_single', (False, True): '_mirror'}
    name = 'lfw' + unusual.get((arguments.teacher, arguments.mirror), '')
    metrics = dict(runs[0], choose=arguments.choose)
    if perturbed:
        name += f'_perturb{perturbed}'
        metrics = dict(average(runs), choose=arguments.choose, perturb=perturbed, seeds=runs)
        print(f'over {len(runs)} seeds: {shown(metrics["accuracy"])}')
    rates = curve.false_accepts[1:], curve.true_accepts[1:]
    draw_verification(Path(arguments.out) / f'{name}_roc.png', {chosen.name: rates})
    data = {'name': 'LFW', 'photos': len(photos), 'pairs': len(pairs.same)}
    data['protocol'] = 'unrestricted, labeled outside data'
    options.write(arguments, name, chosen, data, metrics)
