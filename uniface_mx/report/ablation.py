"""The paper's argument on one page: its four models under equal conditions (Table I's last rows)."""

from __future__ import annotations

import itertools
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from uniface_mx.evaluation.results import percent
from uniface_mx.evaluation.verification import compare_folds
from uniface_mx.report import paper, tables
from uniface_mx.report.tables import Folder, get, markdown, number, results, section, trained

# What a run is measured by.
MEASURES = (
    ('LFW, %', 'lfw/accuracy', percent),
    ('LFW perturbed, %', 'lfw_perturb60/accuracy', percent),
    ('cosine, held out', 'cosine/held_out/mean', number),
    ('cosine, trained on', 'cosine/training/mean', number),
    ('landmark error, %', 'landmarks_aflw_test/error', percent),
    ('FDDB-crops at 100 FP, %', 'fddb_crops/discrete/100', percent),
)
# A folder with these alone is a model that was measured, and not a run.
NO_RUN = {'speed', 'memory', 'agreement'}


def iterations(run: Folder) -> Optional[str]:
    """How long a model was trained, and of how long it was to be, if that is longer."""
    told = trained(run)
    done, planned = told.get('iteration'), told.get('iterations')
    if done is None or planned is None or done == planned:
        only = planned if done is None else done
        return None if only is None else f'{only:,}'
    return f'{done:,} of {planned:,}'


def one_face_speed(run: Folder) -> Optional[float]:
    """Images a second of the fastest way to run the model with one face an image."""
    about = run.results.get('speed', {})
    own = {None, run.name, get(about, 'subject/name'), get(about, 'subject/model/name')}
    rows = [row for row in run.read('speed/rows') or () if row.get('system') in own and row.get('faces') == 1]
    rates = [row.get('images_per_second') for row in rows]
    return max((rate for rate in rates if rate is not None), default=None)


ABLATION = (
    ('model', lambda run: f'{run.letter} ({paper.WHAT_THEY_ARE[run.letter]})'),
    ('run', tables.name_of),
    ('LFW, paper', lambda run: paper.MODELS[run.letter]),
    ('LFW, ours', tables.accuracy),
    *MEASURES[1:],
    ('parameters', 'cost/parameters', ','),
    ('multiply-adds an image', 'cost/multiply_adds_image', ','),
    ('a face', 'cost/multiply_adds_face', ','),
    ('images a second, one face', one_face_speed, '.1f'),
    ('iterations', iterations),
    ('seed', lambda run: trained(run).get('seed')),
    ('contrast', lambda run: trained(run).get('contrast'), 'g'),
    ('face views', lambda run: run.views, ','),
    ('trained on', tables.training),
)


def ablation(folders: Sequence[Folder]) -> List[str]:
    """The four models side by side, seeds side by side, and the differences fold by fold."""
    lines = section(
        'Ablation',
        'One row a trained model; FDDB-crops is easier than FDDB and no figure on it. Landmark errors are '
        'shares of the distance of the eyes, on AFLW. Cosines are those of our embeddings to the '
        "teacher's, both around the mean embedding, on people held out and on people trained on. "
        'Multiply-adds are counted from the graphs.',
    )
    rows: List[Folder] = []
    for letter in paper.MODELS:
        runs = [run for run in folders if run.letter == letter and set(run.results) - NO_RUN]
        rows += runs or [Folder('', {}, letter)]
    return lines + tables.table(ABLATION, rows) + seeds(folders) + differences(folders) + variants(folders)


def conditions(run: Folder) -> Tuple:
    """What must be equal for two models to be compared.

    How long they were trained, on what, and with how much of the contrast, which stands last.
    """
    told = trained(run)
    return told.get('iterations'), tuple(sorted(told.get('records') or ())), told.get('contrast')


def verified(folders: Sequence[Folder]) -> List[Folder]:
    """Runs of the paper's models with LFW's figures."""
    return [result.folder for result in results(folders, 'lfw') if result.folder.letter]


def equal_runs(folders: Sequence[Folder]) -> List[Dict[str, List[Folder]]]:
    """Runs by model, apart for each conditions under which there are at least two."""
    found: Dict[Tuple, Dict[str, List[Folder]]] = {}
    for run in verified(folders):
        found.setdefault(conditions(run), {}).setdefault(run.letter, []).append(run)
    return [dict(sorted(group.items())) for group in found.values() if sum(map(len, group.values())) > 1]


def seeds(folders: Sequence[Folder]) -> List[str]:
    """Runs of one model that differ in the seed alone, and their spread."""
    rows = []
    alike = [item for group in equal_runs(folders) for item in group.items() if len(item[1]) > 1]
    for (letter, runs), (title, where, form) in itertools.product(alike, MEASURES):
        values = [run.read(where) for run in runs]
        if None not in values:
            each = ', '.join(f'{run.name} {form(value)}' for run, value in zip(runs, values))
            mean, spread = form(np.mean(values)), form(max(values) - min(values))
            rows.append((letter, contrast_weight(runs[0]), title, each, mean, spread))
    head = ('model', 'trained with', 'figure', 'runs', 'mean', 'largest minus smallest')
    return ['Seeds of one model side by side:', '', *markdown(head, rows)] if rows else []


# Two sides of a comparison: what stands in the cell, and the runs whose mean counts.
Side = Tuple[str, Sequence[Folder]]


def compared(pairs: Sequence[Tuple[Side, Side]]) -> List[str]:
    """The table of differences."""
    rows = []
    for (first, first_runs), (second, second_runs) in pairs:
        found = compare_folds(mean_folds(first_runs), mean_folds(second_runs))
        over_it = f'{found.mean / found.std:.1f}' if found.std else ''
        answer = {1: 'the first', -1: 'the second', 0: 'neither'}[found.answer]
        mean, std = f'{100 * found.mean:+.2f}', f'{100 * found.std:.2f}'
        rows.append((first, second, mean, std, over_it, f'{found.t:.2f}', f'{found.p:.2g}', answer))
    head = ('first', 'second', 'mean difference', 'standard deviation', 'mean over it', 't', 'p')
    return markdown((*head, 'better by more than two'), rows)


def mean_folds(runs: Sequence[Folder]) -> np.ndarray:
    """Accuracy of each fold (n,), the mean over runs."""
    return np.mean([result.read('metrics/folds') for result in results(runs, 'lfw')], axis=0)


def differences(folders: Sequence[Folder]) -> List[str]:
    """Accuracies compared fold by fold: the models, and the seeds of one model.

    Where a model was trained with several seeds, its accuracy of a fold is their mean.
    """
    lines: List[str] = []
    for group in equal_runs(folders):
        one = next(iter(group.values()))[0]
        sides = [
            (f'{letter} ({", ".join(run.name for run in runs)})', runs) for letter, runs in group.items()
        ]
        pairs = list(itertools.combinations(sides, 2))
        for runs in group.values():
            pairs += itertools.combinations([(run.name, [run]) for run in runs], 2)
        lines += [f'{iterations(one) or "Unknown"} iterations, {contrast_weight(one)}:', '', *compared(pairs)]
        if len(group) == len(paper.MODELS):
            order = ', '.join(sorted(group, key=lambda letter: -mean_folds(group[letter]).mean()))
            lines += [f"Order by accuracy: ours {order}, the paper's {', '.join(paper.MODELS)}.", '']
    text = (
        'LFW accuracies compared on the same ten folds, in points; runs that were trained equally long on '
        'the same records. t and p are those of the paired t-test. The last column answers whether the mean '
        "difference is above two standard deviations of the folds' differences."
    )
    return [text, '', *lines] if lines else []


def variants(folders: Sequence[Folder]) -> List[str]:
    """Runs of one model and seed that differ in one thing alone, compared fold by fold.

    It is the weight of the contrast, or the records.
    """
    pairs = []
    for runs in itertools.combinations(verified(folders), 2):
        first, second = ((run.letter, trained(run).get('seed'), *conditions(run)) for run in runs)
        same_records, same_contrast = first[-2] == second[-2], first[-1] == second[-1]
        if first[:-2] == second[:-2] and same_records != same_contrast:
            tell = contrast_weight if same_records else faces
            pairs.append(tuple((f'{run.name} ({tell(run)})', [run]) for run in runs))
    title = 'What the contrast beside Eq. (3) is worth, and what more people are:'
    return [title, '', *compared(pairs)] if pairs else []


def contrast_weight(run: Folder) -> str:
    """How much of the contrast a run had."""
    return f'contrast {trained(run).get("contrast") or 0:g}'


def faces(run: Folder) -> str:
    """On how many faces a run was trained."""
    return f'{sum(records.get("faces", 0) for records in trained(run)["records"].values()):,} faces'
