"""The paper's argument on one page: its four models under equal conditions (Table I's last rows, Fig. 5)."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import yaml

from uniface_mx.evaluation.figures import Curves, draw_panels
from uniface_mx.evaluation.verification import compare_folds
from uniface_mx.report import paper
from uniface_mx.report.tables import (
    Subject,
    accuracy,
    get,
    letter_of,
    metrics,
    number,
    percent,
    perturbed,
    table,
    trained,
    training,
)
from uniface_mx.train.log import read_rows

# What one run is measured by: title, value of a subject, form.
MEASURES = (
    ('LFW, %', lambda subject: metrics(subject, 'lfw').get('accuracy'), percent),
    ('LFW perturbed, %', lambda subject: perturbed(subject).get('accuracy'), percent),
    ('cosine, held out', lambda subject: get(metrics(subject, 'cosine'), 'held_out', 'mean'), number),
    ('cosine, trained on', lambda subject: get(metrics(subject, 'cosine'), 'training', 'mean'), number),
    ('landmark error, %', lambda subject: metrics(subject, 'landmarks_aflw_test').get('error'), percent),
    (
        'FDDB-crops at 100 FP, %',
        lambda subject: get(metrics(subject, 'fddb_crops'), 'discrete', '100'),
        percent,
    ),
)

# Heads of `compared`'s rows.
COMPARED = (
    'first',
    'second',
    'mean difference',
    'standard deviation',
    'mean over it',
    't',
    'p',
    'better by more than two',
)


def ablation(subjects: Sequence[Subject]) -> List[str]:
    """The four models side by side, seeds side by side, and the differences fold by fold."""
    lines = [
        '## Ablation',
        '',
        'One row a trained model; FDDB-crops is easier than FDDB and no figure on it. Landmark errors are '
        'shares of the distance of the eyes, on AFLW. Cosines are those of our embeddings to the '
        "teacher's, both around the mean embedding, on people held out and on people trained on. "
        'Multiply-adds are counted from the graphs.',
        '',
    ]
    rows: List[Sequence[Any]] = []
    for letter, published in paper.MODELS.items():
        # A folder with speed, memory or agreement alone is a model that was measured, and not a run.
        runs = [
            one
            for one in subjects
            if one.letter == letter and set(one.results) - {'speed', 'memory', 'agreement'}
        ]
        for subject in runs or [Subject('', {}, letter)]:
            cost = metrics(subject, 'cost')
            rows.append(
                (
                    f'{letter} ({paper.WHAT_THEY_ARE[letter]})',
                    subject.name,
                    published,
                    accuracy(subject),
                    *(form(value(subject)) for _, value, form in MEASURES[1:]),
                    *(
                        number(cost.get(key), '{:,}')
                        for key in ('parameters', 'multiply_adds_image', 'multiply_adds_face')
                    ),
                    number(one_face_speed(subject), '{:.1f}'),
                    iterations(subject),
                    number(trained(subject).get('seed'), '{}'),
                    number(trained(subject).get('contrast'), '{:g}'),
                    number(subject.views, '{:,}'),
                    training(subject),
                )
            )
    lines += table(
        (
            'model',
            'run',
            'LFW, paper',
            'LFW, ours',
            *(title for title, _, _ in MEASURES[1:]),
            'parameters',
            'multiply-adds an image',
            'a face',
            'images a second, one face',
            'iterations',
            'seed',
            'contrast',
            'face views',
            'trained on',
        ),
        rows,
    )
    return lines + seeds(subjects) + differences(subjects) + variants(subjects)


def iterations(subject: Subject) -> Optional[str]:
    """How long a model was trained, and of how long it was to be, if that is longer."""
    told = trained(subject)
    done, planned = told.get('iteration'), told.get('iterations')
    if done is None or planned is None or done == planned:
        return number(planned if done is None else done, '{:,}')
    return f'{done:,} of {planned:,}'


def conditions(subject: Subject) -> Tuple:
    """What must be equal for two models to be compared: how long they were trained, on what, and with how much
    of the contrast, which stands last.
    """
    told = trained(subject)
    return told.get('iterations'), tuple(sorted(told.get('records') or ())), told.get('contrast')


def equal_runs(subjects: Sequence[Subject]) -> List[Dict[str, List[Subject]]]:
    """Runs by model, apart for each conditions under which there are at least two."""
    groups: Dict[Tuple, Dict[str, List[Subject]]] = {}
    for subject in subjects:
        if subject.letter and metrics(subject, 'lfw'):
            groups.setdefault(conditions(subject), {}).setdefault(subject.letter, []).append(subject)
    return [dict(sorted(group.items())) for group in groups.values() if sum(map(len, group.values())) > 1]


def seeds(subjects: Sequence[Subject]) -> List[str]:
    """Runs of one model that differ in the seed alone, and their spread."""
    rows = []
    for group in equal_runs(subjects):
        for letter, runs in group.items():
            for title, value, form in MEASURES if len(runs) > 1 else ():
                values = [value(run) for run in runs]
                if None not in values:
                    rows.append(
                        (
                            letter,
                            contrast_weight(runs[0]),
                            title,
                            ', '.join(f'{run.name} {form(one)}' for run, one in zip(runs, values)),
                            form(np.mean(values)),
                            form(max(values) - min(values)),
                        )
                    )
    if not rows:
        return []
    return ['Seeds of one model side by side:', ''] + table(
        ('model', 'trained with', 'figure', 'runs', 'mean', 'largest minus smallest'), rows
    )


def differences(subjects: Sequence[Subject]) -> List[str]:
    """Accuracies compared fold by fold: the models, and the seeds of one model.

    Where a model was trained with several seeds, its accuracy of a fold is their mean.
    """
    lines: List[str] = []
    for group in equal_runs(subjects):
        one = next(iter(group.values()))[0]
        lines += [f'{iterations(one) or "Unknown"} iterations, {contrast_weight(one)}:', '']
        sides = [
            (f'{letter} ({", ".join(run.name for run in runs)})', runs) for letter, runs in group.items()
        ]
        pairs = list(itertools.combinations(sides, 2))
        for runs in group.values():
            pairs += itertools.combinations([(run.name, [run]) for run in runs], 2)
        rows = [compared(*pair) for pair in pairs]
        lines += table(COMPARED, rows)
        if len(group) == len(paper.MODELS):
            order = sorted(group, key=lambda letter: -mean_folds(group[letter]).mean())
            lines += [
                f"Order by accuracy: ours {', '.join(order)}, the paper's {', '.join(paper.MODELS)}.",
                '',
            ]
    if not lines:
        return []
    return [
        'LFW accuracies compared on the same ten folds, in points; runs that were trained equally long on '
        'the same records. t and p are those of the paired t-test. The last column answers whether the mean '
        "difference is above two standard deviations of the folds' differences.",
        '',
    ] + lines


def variants(subjects: Sequence[Subject]) -> List[str]:
    """Runs of one model and seed that differ in the weight of the contrast alone, or in the records alone, compared
    fold by fold.
    """
    runs = [subject for subject in subjects if subject.letter and metrics(subject, 'lfw')]
    rows = []
    for first, second in itertools.combinations(runs, 2):
        (*equal, records, contrast), (*others, other_records, other_contrast) = map(variant, (first, second))
        if equal != others or (records == other_records) == (contrast == other_contrast):
            continue
        form = contrast_weight if records == other_records else faces
        rows.append(compared(*((f'{run.name} ({form(run)})', [run]) for run in (first, second))))
    return (
        ['What the contrast beside Eq. (3) is worth, and what more people are:', ''] + table(COMPARED, rows)
        if rows
        else []
    )


def variant(subject: Subject) -> Tuple:
    """A run's model, seed and `conditions`."""
    return (subject.letter, trained(subject).get('seed'), *conditions(subject))


def contrast_weight(subject: Subject) -> str:
    """How much of the contrast a run had."""
    return f'contrast {trained(subject).get("contrast") or 0:g}'


def faces(subject: Subject) -> str:
    """On how many faces a run was trained."""
    return f'{sum(part.get("faces", 0) for part in trained(subject)["records"].values()):,} faces'


def mean_folds(runs: Sequence[Subject]) -> np.ndarray:
    """Accuracy of each fold, the mean over runs."""
    return np.mean([metrics(run, 'lfw')['folds'] for run in runs], axis=0)


def compared(first: Tuple[str, Sequence[Subject]], second: Tuple[str, Sequence[Subject]]) -> Tuple[str, ...]:
    """A row of the table of differences."""
    found = compare_folds(mean_folds(first[1]), mean_folds(second[1]))
    return (
        first[0],
        second[0],
        f'{100 * found.mean:+.2f}',
        f'{100 * found.std:.2f}',
        f'{found.mean / found.std:.1f}' if found.std else '',
        f'{found.t:.2f}',
        f'{found.p:.2g}',
        {1: 'the first', -1: 'the second', 0: 'neither'}[found.answer],
    )


def one_face_speed(subject: Subject) -> Optional[float]:
    """Images a second of the fastest way to run the model with one face an image."""
    about = subject.results.get('speed', {})
    own = {None, subject.name, get(about, 'subject', 'name'), get(about, 'subject', 'model', 'name')}
    rates = [
        row['images_per_second']
        for row in metrics(subject, 'speed').get('rows', ())
        if row.get('system') in own and row.get('faces') == 1 and row.get('images_per_second') is not None
    ]
    return max(rates, default=None)


def losses(root: Path, figures: Path) -> List[str]:
    """Fig. 5: Eq. (3) of each run in training, from its ``metrics.jsonl``.

    Drawn are the runs of the paper's models that are equally long; of several such lengths the one that most of
    these models have. Those trained by Eq. (3) alone, as in the paper, have a panel of their own.
    """
    lines = ['## Fig. 5: identification loss', '']
    rows = {path.parent.name: read_rows(path) for path in sorted(root.glob('*/metrics.jsonl'))}
    curves = {name: identification(part, mimic_weight(root / name)) for name, part in rows.items()}
    curves = {name: curve for name, curve in curves.items() if len(curve[0])}
    if not curves:
        return lines
    lengths = {name: max(int(row['iteration']) for row in rows[name]) for name in curves}

    def worth(length: int) -> Tuple[int, int, int]:
        names = [name for name in curves if lengths[name] == length]
        return len({letter_of(name) for name in names} - {None}), len(names), length

    chosen = max(set(lengths.values()), key=worth)
    equal = {name: curve for name, curve in curves.items() if lengths[name] == chosen}
    drawn = {name: curve for name, curve in equal.items() if letter_of(name)} or equal
    panels: Dict[str, Curves] = {}
    for name, curve in drawn.items():
        contrast = any(row.get('contrast') for row in rows[name])
        title = f'Eq. (3), trained {"with the contrast" if contrast else "by it alone"}'
        panels.setdefault(title, {})[name] = curve
    draw_panels(figures / 'fig5_identification_loss.png', panels, 'iteration')
    lines += [f'![Identification loss]({figures.name}/fig5_identification_loss.png)', '']
    return lines + table(
        ('run', 'iterations', 'Eq. (3), first', 'last'),
        [
            (name, lengths[name], number(y[0], '{:.4f}'), number(y[-1], '{:.4f}'))
            for name, (_, y) in curves.items()
        ],
    )


def mimic_weight(folder: Path) -> float:
    """The weight of Eq. (3) in a run's ``config.yaml``; the paper's 1 where there is none."""
    path = folder / 'config.yaml'
    if not path.is_file():
        return 1.0
    return float(get(yaml.safe_load(path.read_text(encoding='utf-8')), 'losses', 'mimic') or 1.0)


def identification(
    rows: Sequence[Mapping[str, Any]], weight: float = 1.0, points: int = 200
) -> Tuple[np.ndarray, np.ndarray]:
    """Iterations and values of Eq. (3) in a run's rows, averaged over at most ``points`` stretches.

    The rows tell it as it enters Eq. (2), times ``weight``. Rows without a mimic loss are passed over; of an
    iteration that stands there twice the later row counts.
    """
    values = {int(row['iteration']): float(row['mimic']) for row in rows if row.get('mimic') is not None}
    iterations = np.array(sorted(values), float)
    ordered = np.array([values[int(iteration)] for iteration in iterations], float) / weight
    if not len(iterations):
        return iterations, ordered
    stretches = np.array_split(np.arange(len(iterations)), min(points, len(iterations)))
    return (
        np.array([iterations[part].mean() for part in stretches]),
        np.array([ordered[part].mean() for part in stretches]),
    )
