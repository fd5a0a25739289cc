"""All result files as one page: ``experiments/RESULTS.md`` and its figures.

It prints what result files hold, beside the numbers that the paper prints; what has not been run is an empty
cell. Which of the paper's models a folder is about follows from the model's name in its result files, or from
the folder's: ``uniface_a``, ``uniface_a_lite``, ``lite_a``, ``lite_a_seed1`` are Model A.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation.fddb import read_curve
from uniface_mx.evaluation.figures import draw, draw_fddb, draw_verification
from uniface_mx.files import written_aside
from uniface_mx.report import paper
from uniface_mx.report.ablation import ablation, losses
from uniface_mx.report.curves import trainings
from uniface_mx.report.tables import (
    Subject,
    accuracy,
    get,
    interval,
    metrics,
    number,
    percent,
    perturbed,
    read_subjects,
    table,
    training,
)


def table_one(subjects: Sequence[Subject]) -> List[str]:
    """Table I, and our LFW results."""
    lines = [
        '## Table I: LFW',
        '',
        'Ten folds, unrestricted, labeled outside data; percent, ± standard deviation of the folds. Photos '
        'go in as they are. A pair with a photo in which no face was found counts as an error. "Perturbed": '
        'each side cropped or padded by up to 60 pixels (section IV.B.1), the mean over so many seeds. '
        "CelebA's makers state that its people are not in LFW; of our other training sets nobody knows.",
        '',
    ]
    rows: List[Sequence[Any]] = [
        (f'{method} (paper)', aligned, networks, rate, None, None, None, None, None, images + ' images')
        for method, images, aligned, networks, rate in paper.LFW
    ]
    for subject in subjects:
        for name, addition in (
            ('lfw', ''),
            ('lfw_single', ', one vector a face'),
            ('lfw_mirror', ', mirror average'),
        ):
            figures = metrics(subject, name)
            if not figures:
                continue
            moved = perturbed(subject) if name == 'lfw' else {}
            rates = figures['true_accepts_at_false_accepts']
            aligned = 'by landmarks', '2'
            if get(subject.results[name], 'subject', 'identity', 'embeddings') is None:
                aligned = 'No', '1'
            rows.append(
                (subject.name + addition,)
                + aligned
                + (
                    accuracy(subject, name),
                    number(100 * figures['standard_error'], '{:.2f}'),
                    over_seeds(moved),
                    number(figures['area'], '{:.5f}'),
                    ' / '.join(percent(rates[rate]) for rate in ('0.01', '0.001')),
                    figures['photos_without_face'],
                    training(subject),
                )
            )
    head = (
        'method',
        'aligned',
        'networks',
        'accuracy',
        'standard error',
        'perturbed',
        'area under ROC',
        'true accepts at false accepts 1e-2 / 1e-3',
        'photos without face',
        'trained on',
    )
    return lines + table(head, rows)


def over_seeds(moved: Dict[str, Any]) -> Optional[str]:
    """Accuracy of the robustness test with the deviation of the folds, and over how many seeds it is."""
    if not moved:
        return None
    seeds = len(moved.get('seeds') or [None])
    return f'{percent(moved["accuracy"], moved.get("std"))} ({seeds} seed{"" if seeds == 1 else "s"})'


def detection(subjects: Sequence[Subject], root: Path, figures: Path) -> List[str]:
    """Fig. 4, FDDB-crops, and average precision on record sets."""
    lines = [
        '## Detection',
        '',
        'True positive rate in percent, discrete score, at so many false positives; the paper has '
        f'{paper.FDDB} on FDDB at 2000.',
        '',
    ]
    rows = []
    for subject in subjects:
        for name, title in (('fddb', 'FDDB'), ('fddb_crops', 'FDDB-crops (not FDDB)')):
            rates = metrics(subject, name).get('discrete')
            if rates:
                rows.append(
                    (subject.name, title)
                    + tuple(percent(rates.get(at)) for at in ('100', '500', '1000', '2000'))
                    + (get(metrics(subject, name), 'last', 'false_positives'),)
                )
    lines += table(('detector', 'on', '100', '500', '1000', '2000', 'curve ends at'), rows)
    return lines + agreement(subjects) + fddb_figures(subjects, root, figures) + precision(subjects)


def fddb_figures(subjects: Sequence[Subject], root: Path, figures: Path) -> List[str]:
    """Fig. 4, and the same on FDDB-crops."""
    lines: List[str] = []
    for prefix, title, file in (
        ('', 'FDDB, discrete score', 'fig4_fddb.png'),
        ('fddb_crops-', 'FDDB-crops (not FDDB), discrete score', 'fddb_crops.png'),
    ):
        curves = {
            subject.name: read_curve(root / subject.name / (prefix + 'DiscROC.txt'))
            for subject in subjects
            if (root / subject.name / (prefix + 'DiscROC.txt')).is_file()
        }
        if curves:
            draw_fddb(figures / file, curves, title, limit=2000 if not prefix else 500)
            lines += [f'![{title}]({figures.name}/{file})', '']
    return lines


def precision(subjects: Sequence[Subject]) -> List[str]:
    """Average precision on record sets."""
    rows = [
        (
            subject.name,
            result['data']['name'],
            result['metrics']['faces'],
            *(percent(result['metrics'][figure]) for figure in ('average_precision', 'recall', 'precision')),
            *(by_height(result['metrics'], figure) for figure in ('average_precision', 'recall')),
        )
        for subject in subjects
        for name, result in sorted(subject.results.items())
        if name.startswith('detection_')
    ]
    if not rows:
        return []
    head = 'detector', 'on', 'faces', 'average precision', 'recall', 'precision'
    return [
        'On record sets, in percent; by height of the face at the input of 300 pixels. A detection counts with '
        'the height of the face that it found, a false one with its own.',
        '',
    ] + table((*head, 'average precision by height', 'recall by height'), rows)


def by_height(part: Mapping[str, Any], figure: str) -> str:
    """A figure in percent for each range of heights that has faces."""
    return ', '.join(
        f'{row["from"]}–{row["below"]}: {percent(row[figure])}'
        for row in part.get('by_height', ())
        if row['faces']
    )


def agreement(subjects: Sequence[Subject]) -> List[str]:
    """Our FDDB curves beside those that FDDB's own program made of the same detections."""
    lines: List[str] = []
    for subject in subjects:
        found = metrics(subject, 'fddb').get('agreement')
        if not found:
            continue
        largest = found['largest']
        lines += [
            'FDDB of {}: what its own program made of the same detections, and what ours makes, at so many '
            'false positives. Largest difference from {} to {}: {:.4f} discrete, {:.4f} continuous.'.format(
                subject.name, largest['from'], largest['to'], largest['discrete'], largest['continuous']
            ),
            '',
        ]
        lines += table(
            ('false positives', 'discrete, official', 'ours', 'continuous, official', 'ours'),
            [
                (at, *map('{:.4f}'.format, (*rates['discrete'], *rates['continuous'])))
                for at, rates in found['rates'].items()
            ],
        )
    return lines


def landmarks(subjects: Sequence[Subject]) -> List[str]:
    """Landmark errors."""
    rows: List[Sequence[Any]] = [('MTCNN (published)', 'AFLW', None, None, paper.MTCNN_AFLW, None, None)]
    rows += [
        (
            subject.name,
            result['data']['name'],
            part['faces'],
            part['found'],
            percent(part['error']),
            percent(part['failure_rate']),
            ', '.join(
                f'{point.replace("_", " ")} {percent(error)}'
                for point, error in (part['error_by_point'] or {}).items()
            ),
        )
        for subject in subjects
        for name, result in sorted(subject.results.items())
        if name.startswith('landmarks_')
        for part in [result['metrics']]
    ]
    return [
        '## Landmarks',
        '',
        'Mean error in percent of the distance of the eyes, over the faces that were found; a failure is '
        'an error above 10 % or a face not found. aflw_test holds AFLW faces as crops of 80x80, put on a '
        'black canvas; how the photos of the published figure were cut is not told.',
        '',
    ] + table(('model', 'on', 'faces', 'found', 'error', 'failures', 'by point'), rows)


def cosines(subjects: Sequence[Subject]) -> List[str]:
    """Embeddings beside the teacher's, of people held out and of people trained on."""
    rows = [
        (
            subject.name,
            get(part, kind, 'faces'),
            interval(get(part, kind), number),
            percent(get(part, kind, 'recall')),
            {'held_out': 'held out', 'training': 'trained on'}[kind],
            get(subject.results['cosine'], 'data', kind, 'name'),
        )
        for subject in subjects
        for part in [metrics(subject, 'cosine')]
        for kind in ('held_out', 'training')
        if get(part, kind)
    ]
    if not rows:
        return []
    return [
        '## Embeddings',
        '',
        "Mean cosine of the model's and the teacher's embeddings of faces that were found, both around the "
        'mean embedding, with 95 % intervals.',
        '',
    ] + table(('model', 'faces', 'cosine', 'recall, %', 'people', 'on'), rows)


def speed(subjects: Sequence[Subject], figures: Path) -> List[str]:
    """Table II, and time an image against faces in it.

    A result ``speed`` has ``rows``: objects with ``system``, ``backend``, ``batch``, ``faces`` (an image),
    ``size`` (of the photos) and ``images_per_second``.
    """
    lines = [
        '## Table II: speed',
        '',
        "Images a second. The paper's systems ran on GPUs, its own at batch 32; it does not say with how "
        'many faces an image. Ours ran on the machine that stands in the row.',
        '',
    ]
    lines += table(
        ('system (paper)', 'images a second', 'GPU', 'task'),
        [(system, rate, gpu, task) for system, task, gpu, rate in paper.SPEED],
    )
    rates: Dict[Tuple, Dict[int, float]] = {}
    for subject in subjects:
        machine = get(subject.results, 'speed', 'machine') or {}
        where = f'{machine.get("processor")}, {machine.get("cores")} cores'
        for row in metrics(subject, 'speed').get('rows', ()):
            system = row.get('system', subject.name), row.get('backend'), row.get('batch'), row.get('size')
            if row.get('images_per_second'):
                rates.setdefault((*system, where), {})[row['faces']] = row['images_per_second']
    faces = sorted({count for cells in rates.values() for count in cells})
    if rates:
        lines += table(
            ('system', 'backend', 'batch', 'size', *map('{} faces'.format, faces), 'machine'),
            [
                (*key[:-1], *(number(cells.get(count), '{:.1f}') for count in faces), key[-1])
                for key, cells in rates.items()
            ],
        )
    for size in sorted({str(key[3]) for key, cells in rates.items() if len(cells) > 1}):
        file = f'speed_{size}.png'
        draw(
            figures / file,
            {
                ' '.join(str(word) for word in key[:3] if word is not None): (
                    sorted(cells),
                    [1000 / cells[count] for count in sorted(cells)],
                )
                for key, cells in rates.items()
                if str(key[3]) == size and len(cells) > 1
            },
            'faces in the image',
            'milliseconds an image',
            title='photos of 300 pixels' if size == '300' else 'photos of their own size',
        )
        lines += [f'![Time an image]({figures.name}/{file})', '']
    return lines


def backends(subjects: Sequence[Subject]) -> List[str]:
    """What int8 costs in accuracy, and what a long run holds in memory."""
    lines: List[str] = []
    rows = [
        (
            subject.name,
            ' beside '.join(reversed(part['backends'])),
            part['faces'],
            percent(part['boxes']),
            number(part['cosine'], '{:.4f}'),
            number(part['cosine_least'], '{:.4f}'),
            percent(part['landmarks']),
            subject.results['agreement']['data']['name'],
        )
        for subject in subjects
        for part in [metrics(subject, 'agreement')]
        if part
    ]
    if rows:
        head = 'model', 'backends', 'faces', 'boxes of an IoU of 0.9, %', 'centred cosine', 'least'
        head += ('landmarks apart, % of box', 'on')
        lines += ['## One backend beside another', ''] + table(head, rows)
    rows = []
    for subject in subjects:
        points = metrics(subject, 'memory').get('rows')
        if points:
            first, last = points[0], points[-1]
            least, median, most = (number(pixels / 1e6, '{:.2f}') for pixels in last['pixels'])
            rows.append(
                (
                    subject.name,
                    first['photos'],
                    number(first['bytes'] / 2**20, '{:.0f}'),
                    last['photos'],
                    number(last['bytes'] / 2**20, '{:.0f}'),
                    f'{100 * metrics(subject, "memory")["change"]:+.1f}',
                    f'{median} ({least} to {most})',
                )
            )
    if rows:
        head = 'model', 'photos', 'MiB', 'photos', 'MiB', 'change, %', 'megapixels, median and range'
        lines += ['## Memory of a long run', ''] + table(head, rows)
    return lines


def groups(subjects: Sequence[Subject]) -> List[str]:
    """Figures by age and origin."""
    lines: List[str] = []
    for subject in subjects:
        for name, result in sorted(subject.results.items()):
            if not name.startswith('groups_'):
                continue
            rows = [
                (
                    group,
                    part['faces'],
                    interval(part['recall'], percent),
                    interval(part['teacher_recall'], percent),
                    interval(part['landmark_error'], percent),
                    interval(part['cosine_to_teacher'], number),
                )
                for kind in ('age', 'origin')
                for group, part in result['metrics'][kind].items()
            ]
            lines += [
                '### {} on {}{}'.format(
                    subject.name,
                    result['data']['name'],
                    '' if get(result, 'data', 'held_out') else ', photos trained on among them',
                ),
                '',
            ] + table(
                (
                    'group',
                    'faces',
                    'recall, %',
                    "teachers' recall, %",
                    'landmark error to the teachers, %',
                    'centred cosine to the teachers',
                ),
                rows,
            )
    return ['## By age and origin', '', 'With 95 % intervals.', ''] + lines if lines else []


def verification(subjects: Sequence[Subject], figures: Path) -> List[str]:
    """ROC of LFW, from the points that result files keep."""
    curves = {
        subject.name: (
            metrics(subject, 'lfw')['roc']['false_accepts'],
            metrics(subject, 'lfw')['roc']['true_accepts'],
        )
        for subject in subjects
        if metrics(subject, 'lfw').get('roc')
    }
    if not curves:
        return []
    draw_verification(figures / 'lfw_roc.png', curves)
    return [f'![LFW ROC]({figures.name}/lfw_roc.png)', '']


def sources(subjects: Sequence[Subject]) -> List[str]:
    """Which revision, machine and day each result is from."""
    rows = [
        (
            f'{subject.name}/{name}',
            str(get(result, 'revision', 'commit') or '')[:10]
            + (' (modified)' if get(result, 'revision', 'modified') else ''),
            result.get('date'),
            f'{get(result, "machine", "processor")}, {get(result, "machine", "cores")} cores',
            f'`{" ".join(map(str, result.get("command") or ()))}`',
        )
        for subject in subjects
        for name, result in sorted(subject.results.items())
    ]
    return ['## Where the figures are from', ''] + table(
        ('result', 'revision', 'date', 'machine', 'command'), rows
    )


def write_report(root: Union[str, Path], out: Union[str, Path]) -> Path:
    """Write the page ``out`` from the results below ``root``, with figures in ``figures`` beside it.

    Raises
    ------
    UnifaceError
        If ``root`` is not there or holds no results, or a result file is broken.
    """
    root, out = Path(root), Path(out)
    if not root.is_dir():
        raise UnifaceError(f'{root}: no such folder of results')
    pictures = out.parent / 'figures'
    subjects = read_subjects(root)
    if not subjects and not any(root.glob('*/metrics.jsonl')):
        raise UnifaceError(f'{root}: no folder in it holds results')
    lines = [
        '# Results',
        '',
        f'Written by `tools/report.py` from the result files in `{root.name}`; changes by hand are lost. An empty '
        'cell has not been run.',
        '',
    ]
    lines += table_one(subjects) + verification(subjects, pictures) + ablation(subjects)
    lines += losses(root, pictures) + trainings(root, out) + cosines(subjects)
    lines += detection(subjects, root, pictures) + landmarks(subjects)
    lines += speed(subjects, pictures) + backends(subjects) + groups(subjects) + sources(subjects)
    out.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(out) as aside:
        aside.write_text('\n'.join(lines).rstrip() + '\n', encoding='utf-8')
    return out
