"""All result files as one page: ``experiments/RESULTS.md`` and its figures.

It prints what result files hold, beside the numbers that the paper prints; what has not been run is an empty
cell. Which of the paper's models a folder is about follows from the model's name in its result files, or from
the folder's: ``uniface_a``, ``uniface_a_lite``, ``lite_a``, ``lite_a_seed1`` are Model A.
"""
from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from ..errors import UnifaceError
from ..results import read_results
from .fddb import read_curve
from .figures import draw, draw_fddb, draw_verification

# Table I: method, images, alignment, networks, accuracy.
PAPER_LFW = (
    ('DeepFace', '4M', '3D', '4', '97.35'),
    ('DeepID', '203K', '2D', '60', '97.45'),
    ('DeepID2', '203K', '2D', '25', '99.15'),
    ('DeepID2+', '290K', '2D', '25', '99.47'),
    ('Facenet', '260M', 'No', '1', '98.87'),
    ('Facenet', '260M', 'Yes', '1', '99.63'),
    ('UniFace, Model A', '1M', 'No', '1', '98.98 ± 0.389'),
    ('UniFace, Model B', '1M', 'No', '1', '97.93 ± 0.58'),
    ('UniFace, Model C', '1M', 'No', '1', '97.50 ± 0.62'),
    ('UniFace, Model D', '1M', 'No', '1', '95.65 ± 0.85'),
)
PAPER_MODELS = {'A': '98.98 ± 0.389', 'B': '97.93 ± 0.58', 'C': '97.50 ± 0.62', 'D': '95.65 ± 0.85'}
WHAT_THEY_ARE = {
    'A': 'full',
    'B': 'two separate networks',
    'C': 'no feature fusion',
    'D': 'no landmark attention',
}
# Section IV.C: discrete rate at 2000 false positives.
PAPER_FDDB = '86.4'
# Table II: system, task, GPU, images a second.
PAPER_SPEED = (
    ('Faceness', 'detection', 'Titan Black', '20'),
    ('MTCNN', 'detection, landmarks', 'Titan Black', '99'),
    ('All-in-one', 'detection, attributes, recognition', 'Titan X', '0.286'),
    ('Faster-RCNN', 'object detection', 'Titan X', '7'),
    ('UniFace', 'detection, landmarks, recognition', 'Titan X', '120'),
)
LETTER = re.compile(r'^(?:uniface_|lite_|model_)*([abcd])(?:_lite)?(?:[_-]?seed_?\d+)?$')

Result = Dict[str, Any]


class Subject(NamedTuple):
    """A folder of results: its name, its results by name, and which of the paper's models it is (or None)."""

    name: str
    results: Dict[str, Result]
    letter: Optional[str]


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> List[str]:
    """Lines of a Markdown table; None is an empty cell."""
    lines = [list(map(str, head)), ['---'] * len(head)]
    lines += [['' if cell is None else str(cell).replace('|', '\\|') for cell in row] for row in rows]
    return ['| {} |'.format(' | '.join(line)) for line in lines] + ['']


def get(results: Mapping[str, Any], *keys: str) -> Any:
    """The value below nested keys, None where any is missing."""
    value: Any = results
    for key in keys:
        if not isinstance(value, Mapping) or value.get(key) is None:
            return None
        value = value[key]
    return value


def percent(value: Optional[float], spread: Optional[float] = None) -> Optional[str]:
    """``98.98 ± 0.39`` of shares; None stays None."""
    if value is None:
        return None
    return '{:.2f}'.format(100 * value) + ('' if spread is None else ' ± {:.2f}'.format(100 * spread))


def number(value: Optional[float], form: str = '{:.3f}') -> Optional[str]:
    """A number in a form; None stays None."""
    return None if value is None else form.format(value)


def interval(part: Optional[Mapping[str, Any]], form) -> Optional[str]:
    """``0.812 (0.800 to 0.823)`` of a mean or share with its interval."""
    value = None if part is None else part.get('mean', part.get('share'))
    if value is None:
        return None
    low, high = part['interval']
    return '{} ({} to {})'.format(form(value), form(low), form(high))


def read_subjects(root: Union[str, Path]) -> List[Subject]:
    """Results of every folder below ``root``, by folder."""
    folders: Dict[str, Dict[str, Result]] = {}
    for result in read_results(root):
        folders.setdefault(result['path'].parent.name, {})[result['path'].stem] = result
    subjects = []
    for name, results in folders.items():
        names = [get(result, 'subject', 'model', 'name') for result in results.values()] + [name]
        letters = [LETTER.match(str(one).lower()) for one in names if one]
        subjects.append(
            Subject(name, results, next((found.group(1).upper() for found in letters if found), None))
        )
    return subjects


def training(subject: Subject) -> Optional[str]:
    """What a model was trained on, as its manifest says in words or by record sets."""
    for result in subject.results.values():
        told = get(result, 'subject', 'training', 'data') or get(result, 'subject', 'training')
        if told:
            return (
                ', '.join(map(str, told))
                if isinstance(told, list)
                else told if isinstance(told, str) else json.dumps(told, sort_keys=True)
            )
    return None


def metrics(subject: Subject, name: str) -> Dict[str, Any]:
    """Figures of one result, empty if it was not run."""
    return subject.results[name]['metrics'] if name in subject.results else {}


def accuracy(subject: Subject, name: str = 'lfw') -> Optional[str]:
    """Accuracy in percent, with the standard deviation of the folds."""
    figures = metrics(subject, name)
    return percent(figures.get('accuracy'), figures.get('std'))


def perturbed(subject: Subject) -> Dict[str, Any]:
    """Figures of the robustness test with the paper's 60 pixels."""
    return metrics(subject, 'lfw_perturb60')


def table_one(subjects: Sequence[Subject]) -> List[str]:
    """Table I, and our LFW results."""
    lines = [
        '## Table I: LFW',
        '',
        'Ten folds, unrestricted, labeled outside data; percent, ± standard deviation of the folds. Photos go '
        'in as they are. A pair with a photo in which no face was found counts as an error. "Perturbed": each '
        'side cropped or padded by up to 60 pixels (section IV.B.1). Of our training sets CelebA\'s makers '
        'state that its people are not in LFW; of the other sets nobody knows.',
        '',
    ]
    rows: List[Sequence[Any]] = [
        (
            '{} (paper)'.format(method),
            aligned,
            networks,
            rate,
            None,
            None,
            None,
            None,
            None,
            images + ' images',
        )
        for method, images, aligned, networks, rate in PAPER_LFW
    ]
    for subject in subjects:
        for name, title in (('lfw', subject.name), ('lfw_single', subject.name + ', one vector a face')):
            figures = metrics(subject, name)
            if not figures:
                continue
            moved = perturbed(subject) if name == 'lfw' else {}
            rates = figures['true_accepts_at_false_accepts']
            aligned = 'by landmarks', '2'
            if get(subject.results[name], 'subject', 'identity', 'embeddings') is None:
                aligned = 'No', '1'
            rows.append(
                (title,)
                + aligned
                + (
                    accuracy(subject, name),
                    number(100 * figures['standard_error'], '{:.2f}'),
                    percent(moved.get('accuracy'), moved.get('std')),
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


def ablation(subjects: Sequence[Subject]) -> List[str]:
    """The four models side by side, and their differences fold by fold."""
    lines = [
        '## Ablation',
        '',
        'One row a trained model; FDDB-crops is easier than FDDB and no figure on it. '
        'Errors are shares of the distance of the eyes.',
        '',
    ]
    rows: List[Sequence[Any]] = []
    for letter, paper in PAPER_MODELS.items():
        ours = [subject for subject in subjects if subject.letter == letter]
        for subject in ours or [Subject('', {}, letter)]:
            held_out = [
                result['metrics']
                for name, result in sorted(subject.results.items())
                if name.startswith('detection_')
                and get(result, 'metrics', 'cosine_to_teacher', 'mean') is not None
            ]
            rows.append(
                (
                    '{} ({})'.format(letter, WHAT_THEY_ARE[letter]),
                    subject.name,
                    paper,
                    accuracy(subject),
                    percent(perturbed(subject).get('accuracy')),
                    number(get(held_out[0], 'cosine_to_teacher', 'mean')) if held_out else None,
                    percent(get(metrics(subject, 'landmarks_aflw_test'), 'error')),
                    percent(get(metrics(subject, 'fddb_crops'), 'discrete', '100')),
                    number(metrics(subject, 'cost').get('parameters'), '{:,}'),
                    number(metrics(subject, 'cost').get('multiply_adds_image'), '{:,}'),
                    number(metrics(subject, 'cost').get('multiply_adds_face'), '{:,}'),
                    number(one_face_speed(subject), '{:.1f}'),
                    training(subject),
                )
            )
    lines += table(
        (
            'model',
            'run',
            'LFW, paper',
            'LFW, ours',
            'LFW perturbed',
            'cosine to teacher',
            'landmark error, %',
            'FDDB-crops at 100 FP, %',
            'parameters',
            'multiply-adds an image',
            'a face',
            'images a second, one face',
            'trained on',
        ),
        rows,
    )
    pairs = [
        (a, b)
        for a, b in itertools.combinations([s for s in subjects if s.letter], 2)
        if metrics(a, 'lfw') and metrics(b, 'lfw')
    ]
    if pairs:
        lines += ['Differences of accuracy, fold by fold, in points:', '']
        lines += table(
            ('first', 'second', 'mean difference', 'standard deviation', 'over standard error'),
            [(a.name, b.name) + fold_difference(a, b) for a, b in pairs],
        )
    return lines


def fold_difference(first: Subject, second: Subject) -> Tuple[str, str, str]:
    """Mean and deviation of the ten differences of accuracy, and the mean over its standard error."""
    difference = 100 * (np.array(metrics(first, 'lfw')['folds']) - metrics(second, 'lfw')['folds'])
    mean, std = difference.mean(), difference.std(ddof=1)
    ratio = '{:.1f}'.format(mean / (std / np.sqrt(len(difference)))) if std > 0 else ''
    return '{:+.2f}'.format(mean), '{:.2f}'.format(std), ratio


def one_face_speed(subject: Subject) -> Optional[float]:
    """Images a second of the fastest way to run the model with one face an image."""
    own = {None, subject.name, get(subject.results, 'speed', 'subject', 'model', 'name')}
    rates = [
        row['images_per_second']
        for row in metrics(subject, 'speed').get('rows', ())
        if row.get('system') in own and row.get('faces') == 1 and row.get('images_per_second') is not None
    ]
    return max(rates, default=None)


def detection(subjects: Sequence[Subject], root: Path, figures: Path) -> List[str]:
    """Fig. 4, FDDB-crops, and average precision on record sets."""
    lines = [
        '## Detection',
        '',
        'True positive rate in percent, discrete score, at so many false positives; the paper has '
        '{} on FDDB at 2000.'.format(PAPER_FDDB),
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
            lines += ['![{}]({}/{})'.format(title, figures.name, file), '']
    rows = []
    for subject in subjects:
        for name, result in sorted(subject.results.items()):
            if name.startswith('detection_'):
                part = result['metrics']
                rows.append(
                    (
                        subject.name,
                        result['data']['name'],
                        part['faces'],
                        percent(part['average_precision']),
                        percent(part['recall']),
                        percent(part['precision']),
                        ', '.join(
                            '{}–{}: {}'.format(row['from'], row['below'], percent(row['recall']))
                            for row in part['recall_by_height']
                            if row['faces']
                        ),
                    )
                )
    if rows:
        lines += ['On record sets; recall by height of the face at the input of 300 pixels.', '']
        lines += table(
            ('detector', 'on', 'faces', 'average precision', 'recall', 'precision', 'recall by height'), rows
        )
    return lines


def landmarks(subjects: Sequence[Subject]) -> List[str]:
    """Landmark errors."""
    rows = [
        (
            subject.name,
            result['data']['name'],
            part['faces'],
            part['found'],
            percent(part['error']),
            percent(part['failure_rate']),
            ', '.join(
                '{} {}'.format(point.replace('_', ' '), percent(error))
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
        'an error above 10 % or a face not found.',
        '',
    ] + table(('model', 'on', 'faces', 'found', 'error', 'failures', 'by point'), rows)


def losses(root: Path, figures: Path) -> List[str]:
    """Fig. 5: the identification loss of each run, from its ``metrics.jsonl``."""
    lines = ['## Fig. 5: identification loss', '']
    curves = {path.parent.name: read_losses(path) for path in sorted(root.glob('*/metrics.jsonl'))}
    curves = {name: curve for name, curve in curves.items() if len(curve[0])}
    if curves:
        draw(figures / 'fig5_identification_loss.png', curves, 'iteration', 'Eq. (3), mean over faces')
        lines += ['![Identification loss]({}/fig5_identification_loss.png)'.format(figures.name), '']
        lines += table(
            ('run', 'iterations', 'first', 'last'),
            [
                (name, int(x[-1]), number(y[0], '{:.4f}'), number(y[-1], '{:.4f}'))
                for name, (x, y) in curves.items()
            ],
        )
    return lines


def read_losses(path: Path, points: int = 200) -> Tuple[np.ndarray, np.ndarray]:
    """Iterations and mimic losses of a run's ``metrics.jsonl``, averaged over at most ``points`` stretches.

    A line is an object with ``iteration`` and, there or in an object ``losses``, ``mimic``. Lines without are
    passed over; of an iteration that a resumed run wrote twice the later line counts.
    """
    values: Dict[int, float] = {}
    for count, line in enumerate(path.read_text(encoding='utf-8').splitlines(), 1):
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise UnifaceError('{}:{}: not JSON ({})'.format(path, count, error)) from error
        loss = get(entry, 'mimic') if get(entry, 'losses') is None else get(entry, 'losses', 'mimic')
        if loss is not None and get(entry, 'iteration') is not None:
            values[int(entry['iteration'])] = float(loss)
    iterations = np.array(sorted(values), float)
    ordered = np.array([values[int(iteration)] for iteration in iterations], float)
    stretches = np.array_split(np.arange(len(iterations)), min(points, max(1, len(iterations))))
    if not len(iterations):
        return iterations, ordered
    return (
        np.array([iterations[part].mean() for part in stretches]),
        np.array([ordered[part].mean() for part in stretches]),
    )


def speed(subjects: Sequence[Subject], figures: Path) -> List[str]:
    """Table II, and time an image against faces in it.

    A result ``speed`` has ``rows``: objects with ``system``, ``backend``, ``batch``, ``faces`` (an image),
    ``size`` (of the photos) and ``images_per_second``.
    """
    lines = [
        '## Table II: speed',
        '',
        'The paper\'s systems ran on GPUs as named, at batch 32; ours on the machine that stands '
        'in the row.',
        '',
    ]
    rows: List[Sequence[Any]] = [
        (
            '{} (paper)'.format(system),
            None,
            32 if system == 'UniFace' else None,
            None,
            None,
            rate,
            '{}; {}'.format(gpu, task),
        )
        for system, task, gpu, rate in PAPER_SPEED
    ]
    curves: Dict[str, List[Tuple[float, float]]] = {}
    for subject in subjects:
        result = subject.results.get('speed')
        for row in metrics(subject, 'speed').get('rows', ()):
            rate = row.get('images_per_second')
            rows.append(
                (
                    row.get('system', subject.name),
                    row.get('backend'),
                    row.get('batch'),
                    row.get('faces'),
                    row.get('size'),
                    number(rate, '{:.1f}'),
                    '{}, {} cores'.format(
                        get(result, 'machine', 'processor'), get(result, 'machine', 'cores')
                    ),
                )
            )
            if rate and row.get('faces') is not None:
                label = ' '.join(
                    str(row[key])
                    for key in ('system', 'backend', 'batch', 'size')
                    if row.get(key) is not None
                )
                curves.setdefault(label, []).append((row['faces'], 1000 / rate))
    lines += table(
        ('system', 'backend', 'batch', 'faces an image', 'size', 'images a second', 'machine'), rows
    )
    if curves:
        draw(
            figures / 'speed.png',
            {label: tuple(zip(*sorted(points))) for label, points in curves.items()},
            'faces in the image',
            'milliseconds an image',
        )
        lines += ['![Time an image]({}/speed.png)'.format(figures.name), '']
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
            lines += ['### {} on {}'.format(subject.name, result['data']['name']), ''] + table(
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
    return ['![LFW ROC]({}/lfw_roc.png)'.format(figures.name), '']


def sources(subjects: Sequence[Subject]) -> List[str]:
    """Which revision, machine and day each result is from."""
    rows = [
        (
            '{}/{}'.format(subject.name, name),
            str(get(result, 'revision', 'commit') or '')[:10]
            + (' (modified)' if get(result, 'revision', 'modified') else ''),
            result.get('date'),
            '{}, {} cores'.format(get(result, 'machine', 'processor'), get(result, 'machine', 'cores')),
            '`{}`'.format(' '.join(map(str, result.get('command') or ()))),
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
        If ``root`` is not there, or a result file is broken.
    """
    root, out = Path(root), Path(out)
    if not root.is_dir():
        raise UnifaceError('{}: no such folder of results'.format(root))
    pictures = out.parent / 'figures'
    subjects = read_subjects(root)
    lines = [
        '# Results',
        '',
        'Written by `tools/report.py` from the result files in `{}`; changes by hand are lost. An empty '
        'cell has not been run.'.format(root.name),
        '',
    ]
    lines += table_one(subjects) + verification(subjects, pictures) + ablation(subjects)
    lines += detection(subjects, root, pictures) + landmarks(subjects) + losses(root, pictures)
    lines += speed(subjects, pictures) + groups(subjects) + sources(subjects)
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = out.with_name(out.name + '.tmp')
    aside.write_text('\n'.join(lines).rstrip() + '\n', encoding='utf-8')
    aside.replace(out)
    return out
