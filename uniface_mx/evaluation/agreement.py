"""How far one backend's faces are from another's: what int8 costs in accuracy."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Dict, List, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment
from tqdm import tqdm

from uniface_mx.cli.options import batches, read_photos
from uniface_mx.cli.program import at_least
from uniface_mx.deploy.predictor import Face, Predictor
from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation.memory import choose
from uniface_mx.evaluation.subject import hash_model, similarities
from uniface_mx.geometry import iou
from uniface_mx.provenance import machine, write_result

SAME_BOX = 0.9
# What overlaps less is another face.
SAME_FACE = 0.5


def compare(
    expected: Sequence[Sequence[Face]], found: Sequence[Sequence[Face]], centred: bool
) -> Dict[str, Any]:
    """Figures on the faces of some photos, as two backends see them.

    Faces of a photo are matched one to one by the overlap of their boxes.

    Parameters
    ----------
    expected, found : sequence of sequence of Face
        Of each photo, by the backend that counts and by the one that is compared with it.
    centred : bool
        Do embeddings of strangers lie around 0? Otherwise the mean of the expected is taken off first.

    Returns
    -------
    dict
        ``faces`` expected, ``found`` by the other, ``boxes``: the share of the expected that is met by a box
        of an IoU of 0.9 or more; ``cosine``: mean and ``cosine_least`` of the embeddings of faces that both
        see (from an IoU of 0.5); ``landmarks``: their points' mean distance over the box's side.
    """
    overlaps: List[float] = []
    pairs = []
    for ones, others in zip(expected, found):
        table = iou(*(np.array([face.box for face in faces]).reshape(-1, 4) for faces in (ones, others)))
        rows, columns = linear_sum_assignment(-table)
        overlaps += list(table[rows, columns])
        pairs += [(ones[i], others[j]) for i, j in zip(rows, columns) if table[i, j] >= SAME_FACE]
    faces = sum(map(len, expected))
    if not pairs:
        raise UnifaceError('no face that both see: nothing to compare')
    one, other = (np.array([face.embedding for face in part], np.float64) for part in zip(*pairs))
    mean = 0 if centred else one.mean(axis=0)
    cosines = similarities(one - mean, other - mean, 'cosine')
    distances = [
        np.linalg.norm(a.landmarks - b.landmarks, axis=1).mean() / np.sqrt(np.prod(a.box[2:] - a.box[:2]))
        for a, b in pairs
    ]
    return {
        'faces': faces,
        'found': sum(map(len, found)),
        'boxes': float(np.sum(np.array(overlaps) >= SAME_BOX) / faces),
        'cosine': float(cosines.mean()),
        'cosine_least': float(cosines.min()),
        'landmarks': float(np.mean(distances)),
        'compared': len(pairs),
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `tools/benchmark.py agreement`."""
    parser.add_argument('--model', required=True, metavar='PREFIX', help='an exported model')
    parser.add_argument('--backends', nargs=2, default=['mxnet', 'mxnet-int8'], metavar='NAME', help='(both)')
    parser.add_argument('--photos', nargs='+', required=True, metavar='DIR', help='taken from by turns')
    parser.add_argument('--count', type=at_least(1), default=200, help='photos in all (%(default)s)')
    parser.add_argument('--seed', type=at_least(0), default=0, help='of the choice (%(default)s)')
    parser.add_argument('--score', type=float, metavar='S', help='leave out faces of a lower score')
    parser.add_argument(
        '--results', metavar='DIR', help='write DIR/NAME/agreement.json; experiments/results by custom'
    )


def run(args: argparse.Namespace) -> dict:
    """Look at the photos twice, print the figures, write the result file, and return them."""
    one, other = (
        Predictor.load(args.model, backend, score_threshold=args.score) for backend in args.backends
    )
    photos, skipped = choose(args.photos, args.count, args.seed), {}
    expected: List[List[Face]] = []
    found: List[List[Face]] = []
    with tqdm(total=len(photos), unit='photo', disable=None) as bar:
        for group in batches(read_photos(photos, skipped), 8):
            images = [image for _, image in group]
            expected += one(images)
            found += other(images)
            bar.update(len(images))
    figures = compare(expected, found, one.manifest['embedding']['centred'])
    print(
        '{faces} faces by {0}, {found} by {1}\n{boxes:.2%} of the boxes are met with an IoU of {2} or more\n'
        'centred cosine of the embeddings of {compared} faces: {cosine:.4f} in the mean, {cosine_least:.4f} at '
        'least\n'
        'landmarks: {landmarks:.2%} of the box apart'.format(*args.backends, SAME_BOX, **figures)
    )
    if args.results:
        about = {key: one.manifest[key] for key in ('name', 'model', 'int8') if key in one.manifest}
        write_result(
            Path(args.results) / Path(args.model).name,
            'agreement',
            subject=dict(about, sha256=hash_model(args.model)),
            data={
                'name': ', '.join(Path(folder).name for folder in args.photos),
                'photos': len(expected),
                'skipped': len(skipped),
                'seed': args.seed,
                'score': args.score,
            },
            metrics=dict(figures, backends=args.backends),
        )
    return dict(figures, machine=machine())
