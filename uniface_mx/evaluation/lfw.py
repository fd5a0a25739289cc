"""Labeled Faces in the Wild: unrestricted protocol with labeled outside data (section IV.B, Table I).

Photos go into the network as they are, with no crop or alignment outside it. Where several faces are found,
the photo's subject is the one whose box centre is nearest to the middle of the photo (``centre``), which is
how LFW was made, or the one with the largest box (``largest``). In a perturbed photo, ``centre`` means where
the middle of the original photo has gone: that says whom the photo is about, and nothing about where the face
lies.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
from tqdm import tqdm

from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation import verification
from uniface_mx.evaluation.photos import batches
from uniface_mx.evaluation.subject import FoundFace, Subject, similarities
from uniface_mx.files import file_hash, written_aside
from uniface_mx.image import read_image
from uniface_mx.paths import PACKAGE
from uniface_mx.provenance import versions

BATCH = 32
SHARD = 512
CHOICES = ('centre', 'largest')
STRICT_RATE = 0.01


class LfwError(UnifaceError):
    """Pairs that cannot be read, or photos that they name and that are not there."""


class Pairs(NamedTuple):
    """``first`` and ``second`` (n,) name photos as PERSON/PERSON_0001.jpg; ``same`` (n,) bool; ``fold`` (n,)
    int.
    """

    first: List[str]
    second: List[str]
    same: np.ndarray
    fold: np.ndarray


def _photo(person: str, number: str) -> str:
    return f'{person}/{person}_{int(number):04d}.jpg'


def read_pairs(path: Union[str, Path]) -> Pairs:
    """Read the official ``pairs.txt``.

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
    first, second, same, fold = [], [], [], []
    for index, (number, row) in enumerate(rows[1:]):
        genuine = index % (2 * each) < each
        try:
            if genuine:
                person, a, b = row
                names = _photo(person, a), _photo(person, b)
            else:
                person, a, other, b = row
                names = _photo(person, a), _photo(other, b)
        except ValueError as error:
            raise LfwError(
                '{}:{}: expected {}'.format(
                    path, number, 'a name and two numbers' if genuine else 'two names, each with a number'
                )
            ) from error
        first.append(names[0])
        second.append(names[1])
        same.append(genuine)
        fold.append(index // (2 * each))
    return Pairs(first, second, np.array(same), np.array(fold))


def find_photos(root: Union[str, Path], names: Iterable[str]) -> Dict[str, Path]:
    """Paths of the photos, in the official layout (a folder a person) or all in one folder.

    Raises
    ------
    LfwError
        If any is missing; the message counts them and names the first.
    """
    root = Path(root)
    found, missing = {}, []
    for name in names:
        path = next((path for path in (root / name, root / Path(name).name) if path.is_file()), None)
        if path is None:
            missing.append(name)
        else:
            found[name] = path
    if missing:
        raise LfwError(
            f'{root}: {len(missing)} of the photos that the pairs name are missing, {missing[0]} first'
        )
    return found


def perturb(image: np.ndarray, limit: int, seed: int, name: str) -> Tuple[np.ndarray, Tuple[int, int]]:
    """Crop or pad each side by up to ``limit`` pixels (section IV.B.1).

    Parameters
    ----------
    image : (H, W, 3) uint8 array
    limit : int
        Each side's share is drawn on its own from -limit (cropped) to limit (padded with 0).
    seed : int
    name : str
        With the seed it decides the draw, so that a photo's perturbation depends on no other photo.

    Returns
    -------
    (array, (int, int))
        The photo, and the (x, y) by which its content has moved.
    """
    height, width = image.shape[:2]
    generator = np.random.default_rng([seed, zlib.crc32(name.encode('utf-8'))])
    left, top, right, bottom = (int(value) for value in generator.integers(-limit, limit + 1, 4))
    if left + right <= -width or top + bottom <= -height:
        raise LfwError(f'{name}: a photo of {width}x{height} cannot lose {limit} pixels a side')
    inside = image[max(0, -top) : height - max(0, -bottom), max(0, -left) : width - max(0, -right)]
    sides = ((max(0, top), max(0, bottom)), (max(0, left), max(0, right)), (0, 0))
    return np.pad(inside, sides), (left, top)


def choose_face(faces: Sequence[FoundFace], centre: Tuple[float, float], rule: str) -> Optional[FoundFace]:
    """The face that a photo is about, by one of ``CHOICES``; None if there is no face. ``centre`` is (x,
    y).
    """
    if rule not in CHOICES:
        raise ValueError(f'choose by {" or ".join(CHOICES)}, not {rule!r}')

    def distance(face: FoundFace) -> float:
        x1, y1, x2, y2 = (float(value) for value in face.box)
        if rule == 'largest':
            return -(x2 - x1) * (y2 - y1)
        return ((x1 + x2) / 2 - centre[0]) ** 2 + ((y1 + y2) / 2 - centre[1]) ** 2

    return min(faces, key=distance, default=None)


class Embedded(NamedTuple):
    """``names`` (n,), ``found`` (n,) bool, ``vectors`` (n, d) float32 with zeros where no face was found, and
    ``several`` (n,) bool, whether there was a choice.
    """

    names: List[str]
    found: np.ndarray
    vectors: np.ndarray
    several: np.ndarray


def embed_photos(
    subject: Subject,
    photos: Dict[str, Path],
    rule: str = 'centre',
    limit: int = 0,
    seed: int = 0,
    done: Callable[[int], Any] = lambda count: None,
) -> Embedded:
    """Embeddings of the photos' subjects, perturbed if ``limit`` is above 0; ``done`` hears of so many more.

    Raises
    ------
    ImageError
        If a photo cannot be read: the protocol knows no skips.
    """
    names = sorted(photos)
    chosen: List[Optional[FoundFace]] = []
    several = []
    for batch in batches(names, BATCH):
        images, centres = [], []
        for name in batch:
            image = read_image(photos[name])
            centre = np.array([image.shape[1], image.shape[0]]) / 2
            if limit:
                image, shift = perturb(image, limit, seed, name)
                centre = centre + shift
            images.append(image)
            centres.append(tuple(centre))
        for faces, centre in zip(subject(images), centres):
            chosen.append(choose_face(faces, centre, rule))
            several.append(len(faces) > 1)
        done(len(batch))
    width = next((len(face.embedding) for face in chosen if face is not None), 0)
    vectors = np.zeros((len(names), width), np.float32)
    for row, face in zip(vectors, chosen):
        if face is not None:
            row[:] = face.embedding
    found = np.array([face is not None for face in chosen], bool) & np.isfinite(vectors).all(axis=1)
    vectors[~found] = 0
    return Embedded(names, found, vectors, np.array(several, bool))


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
    names = sorted(photos)
    code = {'code': file_hash(*sorted(PACKAGE.rglob('*.py'))), 'versions': versions()}
    shards = []
    with tqdm(total=len(names), unit='photo', disable=not progress) as bar:
        for part in batches(names, SHARD):
            key = {
                **code,
                'subject': subject.identity,
                'rule': rule,
                'limit': limit,
                'seed': seed if limit else 0,
                'photos': [(name, file_hash(photos[name])) for name in part],
            }
            digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode('utf-8')).hexdigest()
            path = Path(directory) / f'lfw-{digest[:24]}.npz'
            if path.is_file():
                shards.append(_load_shard(path))
                bar.update(len(part))
                continue
            wanted = {name: photos[name] for name in part}
            shards.append(embed_photos(subject, wanted, rule, limit, seed, bar.update))
            _save_shard(path, shards[-1])
    return _joined(shards)


def _load_shard(path: Path) -> Embedded:
    try:
        with np.load(str(path), allow_pickle=False) as content:
            return Embedded(
                content['names'].tolist(), content['found'], content['vectors'], content['several']
            )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise LfwError(f'{path}: damaged cache ({error}); remove the file') from error


def _save_shard(path: Path, shard: Embedded) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as aside, open(str(aside), 'wb') as file:
        np.savez(
            file, names=np.array(shard.names), found=shard.found, vectors=shard.vectors, several=shard.several
        )


def _joined(shards: Sequence[Embedded]) -> Embedded:
    """Shards one after the other; vectors of one in which no face was found have no width of their own."""
    width = max(shard.vectors.shape[1] for shard in shards)
    vectors = [
        shard.vectors if shard.found.any() else np.zeros((len(shard.names), width), np.float32)
        for shard in shards
    ]
    return Embedded(
        [name for shard in shards for name in shard.names],
        np.concatenate([shard.found for shard in shards]),
        np.concatenate(vectors),
        np.concatenate([shard.several for shard in shards]),
    )


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
        without_face=[name for name, there in zip(embedded.names, embedded.found) if not there],
        photos_with_several_faces=int(embedded.several.sum()),
        metric=metric,
    )
    return figures, curve


def average(runs: Sequence[Dict[str, Any]]) -> Dict[str, Any]:
    """Means over several seeds' figures: accuracy, std within a run, and ``std_over_seeds`` of the
    accuracy.
    """
    accuracy = [run['accuracy'] for run in runs]
    mean: Callable[[str], float] = lambda key: float(np.mean([run[key] for run in runs]))  # noqa: E731
    return {
        'accuracy': mean('accuracy'),
        'std': mean('std'),
        'standard_error': mean('standard_error'),
        'area': mean('area'),
        'photos_without_face': mean('photos_without_face'),
        'std_over_seeds': float(np.std(accuracy, ddof=1)) if len(runs) > 1 else None,
    }
