"""How far one backend's faces are from another's: what int8 costs in accuracy."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment
from tqdm import tqdm

from uniface_mx.deploy.predictor import Face, Predictor
from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation.faces import boxes_of
from uniface_mx.evaluation.memory import choose
from uniface_mx.evaluation.results import write_result
from uniface_mx.evaluation.subject import about_model, hash_model, similarities
from uniface_mx.geometry import SAME_FACE, iou
from uniface_mx.image import MAX_PIXELS
from uniface_mx.photos import batches, read_photos
from uniface_mx.provenance import machine

SAME_BOX = 0.9


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
        table = iou(boxes_of(ones), boxes_of(others))
        rows, columns = linear_sum_assignment(-table)
        overlaps += list(table[rows, columns])
        pairs += [(ones[i], others[j]) for i, j in zip(rows, columns) if table[i, j] >= SAME_FACE]
    total = sum(map(len, expected))
    if not pairs:
        raise UnifaceError('no face that both see: nothing to compare')
    one, other = (np.array([face.embedding for face in faces], np.float64) for faces in zip(*pairs))
    mean = 0 if centred else one.mean(axis=0)
    cosines = similarities(one - mean, other - mean, 'cosine')
    distances = [
        np.linalg.norm(a.landmarks - b.landmarks, axis=1).mean() / np.sqrt(np.prod(a.box[2:] - a.box[:2]))
        for a, b in pairs
    ]
    return {
        'faces': total,
        'found': sum(map(len, found)),
        'boxes': float(np.sum(np.array(overlaps) >= SAME_BOX) / total),
        'cosine': float(cosines.mean()),
        'cosine_least': float(cosines.min()),
        'landmarks': float(np.mean(distances)),
        'compared': len(pairs),
    }


def benchmark(
    model: str,
    photos: Sequence[str],
    backends: Sequence[str] = ('mxnet', 'mxnet-int8'),
    count: int = 200,
    seed: int = 0,
    score: Optional[float] = None,
    results: Optional[str] = None,
) -> Dict[str, Any]:
    """Look at photos by two backends, print the figures, write the result file, and return them.

    Parameters
    ----------
    model, photos, count, seed
        As for `memory.benchmark`.
    backends : (str, str)
        The one that counts, and the one that is compared with it.
    score : float, optional
        Leave out faces of a lower score; the model's own by default.
    results : str, optional
        Write ``RESULTS/NAME/agreement.json``.
    """
    one, other = (Predictor.load(model, backend, score_threshold=score) for backend in backends)
    chosen, skipped = choose(photos, count, seed), {}
    expected: List[List[Face]] = []
    found: List[List[Face]] = []
    with tqdm(total=len(chosen), unit='photo', disable=None) as bar:
        for group in batches(read_photos(chosen, skipped), 8, MAX_PIXELS):
            images = [image for _, image in group]
            expected += one(images)
            found += other(images)
            bar.update(len(images))
    figures = compare(expected, found, one.manifest['embedding']['centred'])
    print(
        f'{figures["faces"]} faces by {backends[0]}, {figures["found"]} by {backends[1]}\n'
        f'{figures["boxes"]:.2%} of the boxes are met with an IoU of {SAME_BOX} or more\n'
        f'centred cosine of the embeddings of {figures["compared"]} faces: {figures["cosine"]:.4f} in the mean, '
        f'{figures["cosine_least"]:.4f} at least\nlandmarks: {figures["landmarks"]:.2%} of the box apart'
    )
    if results:
        about = dict(about_model(model, 'name', 'model', 'int8'), sha256=hash_model(model))
        data = {'name': ', '.join(Path(folder).name for folder in photos), 'photos': len(expected)}
        data.update(skipped=len(skipped), seed=seed, score=score)
        metrics = dict(figures, backends=backends)
        write_result(Path(results) / Path(model).name, 'agreement', subject=about, data=data, metrics=metrics)
    return dict(figures, machine=machine())
