"""The page of results: the paper's tables and figures with ours beside them, and what the paper does not have."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation.fddb_files import read_curve
from uniface_mx.evaluation.figures import draw, draw_fddb, draw_verification
from uniface_mx.evaluation.results import percent
from uniface_mx.files import written_aside
from uniface_mx.report import paper, tables
from uniface_mx.report.ablation import ablation
from uniface_mx.report.curves import losses, trainings
from uniface_mx.report.tables import Folder, Result, interval, markdown, name_of, picture, results, section

# Results of the protocol of LFW, and what is added to the name of whom they are about.
LFW = {'lfw': '', 'lfw_single': ', one vector a face', 'lfw_mirror': ', mirror average'}


def over_seeds(result: Result) -> Optional[str]:
    """Accuracy of the robustness test with the deviation of the folds, and over how many seeds it is."""
    moved = tables.get(result.folder.results, 'lfw_perturb60/metrics')
    if result.name != 'lfw' or not moved:
        return None
    seeds = len(moved.get('seeds') or [None])
    return f'{percent(moved["accuracy"], moved.get("std"))} ({seeds} seed{"" if seeds == 1 else "s"})'


def by_itself(result: Result) -> bool:
    """Whether one network does it all: no other one for embeddings, which wants upright faces."""
    return result.read('subject/identity/embeddings?') is None


TABLE_ONE = (
    ('method', lambda result: result.folder.name + LFW[result.name]),
    ('aligned', lambda result: 'No' if by_itself(result) else 'by landmarks'),
    ('networks', lambda result: '1' if by_itself(result) else '2'),
    ('accuracy', lambda result: tables.accuracy(result.folder, result.name)),
    ('standard error', 'metrics/standard_error', lambda error: f'{100 * error:.2f}'),
    ('perturbed', over_seeds),
    ('area under ROC', 'metrics/area', '.5f'),
    (
        'true accepts at false accepts 1e-2 / 1e-3',
        'metrics/true_accepts_at_false_accepts',
        lambda rates: f'{percent(rates["0.01"])} / {percent(rates["0.001"])}',
    ),
    ('photos without face', 'metrics/photos_without_face'),
    ('trained on', lambda result: tables.training(result.folder)),
)


def table_one(folders: Sequence[Folder]) -> List[str]:
    """Table I, and our LFW results."""
    lines = section(
        'Table I: LFW',
        'Ten folds, unrestricted, labeled outside data; percent, ± standard deviation of the folds. Photos '
        'go in as they are. A pair with a photo in which no face was found counts as an error. "Perturbed": '
        'each side cropped or padded by up to 60 pixels (section IV.B.1), the mean over so many seeds. '
        "CelebA's makers state that its people are not in LFW; of our other training sets nobody knows.",
    )
    published = [
        (f'{method} (paper)', how, networks, rate, *[None] * 5, f'{images} images')
        for method, images, how, networks, rate in paper.LFW
    ]
    return lines + tables.table(TABLE_ONE, results(folders, *LFW), published)


def verification(folders: Sequence[Folder], figures: Path) -> List[str]:
    """ROC of LFW, from the points that result files keep."""
    curves = {
        result.folder.name: (roc['false_accepts'], roc['true_accepts'])
        for result in results(folders, 'lfw')
        for roc in [result.read('metrics/roc?')]
        if roc
    }
    if not curves:
        return []
    draw_verification(figures / 'lfw_roc.png', curves)
    return picture('LFW ROC', figures.name, 'lfw_roc.png')


# Results on FDDB, and what they are called; FDDB's figure, and the files that it is drawn from.
FDDB = {'fddb': 'FDDB', 'fddb_crops': 'FDDB-crops (not FDDB)'}
FDDB_FIGURES = (
    ('FDDB, discrete score', 'DiscROC.txt', 'fig4_fddb.png', 2000),
    ('FDDB-crops (not FDDB), discrete score', 'fddb_crops-DiscROC.txt', 'fddb_crops.png', 500),
)
DETECTION = (
    ('detector', name_of),
    ('on', lambda result: FDDB[result.name]),
    *((str(at), f'metrics/discrete/{at}?', percent) for at in (100, 500, 1000, 2000)),
    ('curve ends at', 'metrics/last/false_positives?'),
)


def detection(folders: Sequence[Folder], root: Path, figures: Path) -> List[str]:
    """Fig. 4, FDDB-crops, and average precision on record sets."""
    lines = section(
        'Detection',
        'True positive rate in percent, discrete score, at so many false positives; the paper has '
        f'{paper.FDDB} on FDDB at 2000.',
    )
    lines += tables.table(
        DETECTION, [one for one in results(folders, *FDDB) if one.read('metrics/discrete?')]
    )
    for result in results(folders, 'fddb'):
        lines += official(result)
    for title, file, drawn, limit in FDDB_FIGURES:
        paths = {folder.name: root / folder.name / file for folder in folders}
        curves = {name: read_curve(path) for name, path in paths.items() if path.is_file()}
        if curves:
            draw_fddb(figures / drawn, curves, title, limit)
            lines += picture(title, figures.name, drawn)
    return lines + precision(folders)


def official(result: Result) -> List[str]:
    """An FDDB curve of ours beside that which FDDB's own program made of the same detections."""
    found = result.read('metrics/agreement?')
    if not found:
        return []
    largest = found['largest']
    head = ('false positives', 'discrete, official', 'ours', 'continuous, official', 'ours')
    rows = [
        (at, *(f'{rate:.4f}' for rate in (*rates['discrete'], *rates['continuous'])))
        for at, rates in found['rates'].items()
    ]
    text = (
        f'FDDB of {result.folder.name}: what its own program made of the same detections, and what ours makes, at so '
        f'many false positives. Largest difference from {largest["from"]} to {largest["to"]}: '
        f'{largest["discrete"]:.4f} discrete, {largest["continuous"]:.4f} continuous.'
    )
    return [text, '', *markdown(head, rows)]


def by_height(figure: str) -> Callable[[Sequence[Mapping[str, Any]]], str]:
    """Writes a figure in percent for each range of heights that has faces."""
    return lambda heights: ', '.join(
        f'{row["from"]}–{row["below"]}: {percent(row[figure])}' for row in heights if row['faces']
    )


PRECISION = (
    ('detector', name_of),
    ('on', 'data/name'),
    ('faces', 'metrics/faces'),
    ('average precision', 'metrics/average_precision', percent),
    ('recall', 'metrics/recall', percent),
    ('precision', 'metrics/precision', percent),
    ('average precision by height', 'metrics/by_height', by_height('average_precision')),
    ('recall by height', 'metrics/by_height', by_height('recall')),
)


def precision(folders: Sequence[Folder]) -> List[str]:
    """Average precision on record sets."""
    rows = results(folders, 'detection_')
    text = 'On record sets, in percent; by height of the face at the input of 300 pixels. A detection counts with '
    text += 'the height of the face that it found, a false one with its own.'
    return [text, '', *tables.table(PRECISION, rows)] if rows else []


def each_point(errors: Mapping[str, float]) -> str:
    """The error of each point in percent."""
    return ', '.join(f'{name.replace("_", " ")} {percent(error)}' for name, error in errors.items())


LANDMARKS = (
    ('model', name_of),
    ('on', 'data/name'),
    ('faces', 'metrics/faces'),
    ('found', 'metrics/found'),
    ('error', 'metrics/error', percent),
    ('failures', 'metrics/failure_rate', percent),
    ('by point', 'metrics/error_by_point', each_point),
)


def landmarks(folders: Sequence[Folder]) -> List[str]:
    """Landmark errors."""
    published = [('MTCNN (published)', 'AFLW', None, None, paper.MTCNN_AFLW, None, None)]
    lines = section(
        'Landmarks',
        'Mean error in percent of the distance of the eyes, over the faces that were found; a failure is '
        'an error above 10 % or a face not found. aflw_test holds AFLW faces as crops of 80x80, put on a '
        'black canvas; how the photos of the published figure were cut is not told.',
    )
    return lines + tables.table(LANDMARKS, results(folders, 'landmarks_'), published)


def cosines(folders: Sequence[Folder]) -> List[str]:
    """Embeddings beside the teacher's, of people held out and of people trained on."""
    rows = [
        (name_of(one), found.get('faces'), interval(found), percent(found.get('recall')), people)
        + (one.read(f'data/{kind}/name?'),)
        for one in results(folders, 'cosine')
        for kind, people in (('held_out', 'held out'), ('training', 'trained on'))
        for found in [one.read(f'metrics/{kind}?')]
        if found
    ]
    lines = section(
        'Embeddings',
        "Mean cosine of the model's and the teacher's embeddings of faces that were found, both around the "
        'mean embedding, with 95 % intervals.',
    )
    return lines + markdown(('model', 'faces', 'cosine', 'recall, %', 'people', 'on'), rows) if rows else []


def speeds(folders: Sequence[Folder]) -> Dict[Tuple, Dict[int, float]]:
    """Images a second by system, backend, batch, size of photos and machine, and by number of faces in an image."""
    rates: Dict[Tuple, Dict[int, float]] = {}
    for result in results(folders, 'speed'):
        for row in result.read('metrics/rows?') or ():
            told = (row.get(key) for key in ('backend', 'batch', 'size'))
            system = row.get('system', name_of(result)), *told, machine(result)
            if row.get('images_per_second'):
                rates.setdefault(system, {})[row['faces']] = row['images_per_second']
    return rates


def machine(result: Result) -> str:
    """Where a result was measured."""
    return f'{result.read("machine/processor?")}, {result.read("machine/cores?")} cores'


def speed(folders: Sequence[Folder], figures: Path) -> List[str]:
    """Table II, and time an image against faces in it."""
    lines = section(
        'Table II: speed',
        "Images a second. The paper's systems ran on GPUs, its own at batch 32; it does not say with how "
        'many faces an image. Ours ran on the machine that stands in the row.',
    )
    rows = [(system, rate, gpu, task) for system, task, gpu, rate in paper.SPEED]
    lines += markdown(('system (paper)', 'images a second', 'GPU', 'task'), rows)
    rates = speeds(folders)
    numbers = sorted({faces for own in rates.values() for faces in own})
    if rates:
        head = ('system', 'backend', 'batch', 'size', *(f'{faces} faces' for faces in numbers), 'machine')
        rows = [
            (*system, *(f'{own[faces]:.1f}' if faces in own else None for faces in numbers), where)
            for (*system, where), own in rates.items()
        ]
        lines += markdown(head, rows)
    curves: Dict[str, Dict[str, Tuple[List[int], List[float]]]] = {}
    for system, own in rates.items():
        if len(own) > 1:
            label = ' '.join(str(word) for word in system[:3] if word is not None)
            points = sorted(own), [1000 / own[faces] for faces in sorted(own)]
            curves.setdefault(str(system[3]), {})[label] = points
    for size in sorted(curves):
        title = 'photos of 300 pixels' if size == '300' else 'photos of their own size'
        axes = 'faces in the image', 'milliseconds an image'
        draw(figures / f'speed_{size}.png', curves[size], *axes, title=title)
        lines += picture('Time an image', figures.name, f'speed_{size}.png')
    return lines


def mebibytes(row: int) -> Callable[[Result], str]:
    """Reads the memory of a row of a long run as whole MiB."""
    return lambda result: f'{result.read("metrics/rows")[row]["bytes"] / 2**20:.0f}'


def megapixels(result: Result) -> str:
    """Median and range of the photos that were looked at."""
    least, median, most = (f'{pixels / 1e6:.2f}' for pixels in result.read('metrics/rows')[-1]['pixels'])
    return f'{median} ({least} to {most})'


AGREEMENT = (
    ('model', name_of),
    ('backends', 'metrics/backends', lambda names: ' beside '.join(reversed(names))),
    ('faces', 'metrics/faces'),
    ('boxes of an IoU of 0.9, %', 'metrics/boxes', percent),
    ('centred cosine', 'metrics/cosine', '.4f'),
    ('least', 'metrics/cosine_least', '.4f'),
    ('landmarks apart, % of box', 'metrics/landmarks', percent),
    ('on', 'data/name'),
)
MEMORY = (
    ('model', name_of),
    ('photos', lambda result: result.read('metrics/rows')[0]['photos']),
    ('MiB', mebibytes(0)),
    ('photos', lambda result: result.read('metrics/rows')[-1]['photos']),
    ('MiB', mebibytes(-1)),
    ('change, %', 'metrics/change', lambda change: f'{100 * change:+.1f}'),
    ('megapixels, median and range', megapixels),
)


def backends(folders: Sequence[Folder]) -> List[str]:
    """What int8 costs in accuracy, and what a long run holds in memory."""
    watched = [result for result in results(folders, 'memory') if result.read('metrics/rows?')]
    parts = (
        ('One backend beside another', AGREEMENT, results(folders, 'agreement')),
        ('Memory of a long run', MEMORY, watched),
    )
    return sum((section(title) + tables.table(columns, rows) for title, columns, rows in parts if rows), [])


def groups(folders: Sequence[Folder]) -> List[str]:
    """Figures by age and origin."""
    head = ('group', 'faces', 'recall, %', "teachers' recall, %", 'landmark error to the teachers, %')
    lines: List[str] = []
    for result in results(folders, 'groups_'):
        shares = 'recall', 'teacher_recall', 'landmark_error'
        rows = [
            (
                group,
                row['faces'],
                *(interval(row[name], percent) for name in shares),
                interval(row['cosine_to_teacher']),
            )
            for kind in ('age', 'origin')
            for group, row in result.read(f'metrics/{kind}').items()
        ]
        trained_on = '' if result.read('data/held_out?') else ', photos trained on among them'
        lines += [f'### {result.folder.name} on {result.read("data/name")}{trained_on}', '']
        lines += markdown((*head, 'centred cosine to the teachers'), rows)
    return section('By age and origin', 'With 95 % intervals.') + lines if lines else []


def revision(result: Result) -> str:
    """Of the source that made a result."""
    modified = ' (modified)' if result.read('revision/modified?') else ''
    return str(result.read('revision/commit?') or '')[:10] + modified


SOURCES = (
    ('result', lambda result: f'{result.folder.name}/{result.name}'),
    ('revision', revision),
    ('date', 'date?'),
    ('machine', machine),
    ('command', lambda result: f'`{" ".join(map(str, result.read("command?") or ()))}`'),
)


def sources(folders: Sequence[Folder]) -> List[str]:
    """Which revision, machine and day each result is from."""
    every = [Result(folder, *one) for folder in folders for one in sorted(folder.results.items())]
    return section('Where the figures are from') + tables.table(SOURCES, every)


def write_report(root: Union[str, Path], out: Union[str, Path]) -> Path:
    """Write the page ``out`` from the results below ``root``, with figures in ``figures`` beside it.

    `UnifaceError` if ``root`` is not there or holds no results, or a result file is broken.
    """
    root, out = Path(root), Path(out)
    if not root.is_dir():
        raise UnifaceError(f'{root}: no such folder of results')
    pictures = out.parent / 'figures'
    folders = tables.read_folders(root)
    if not folders and not any(root.glob('*/metrics.jsonl')):
        raise UnifaceError(f'{root}: no folder in it holds results')
    text = f'Written by `tools/report.py` from the result files in `{root.name}`; changes by hand are lost. An empty '
    lines = ['# Results', '', text + 'cell has not been run.', '']
    lines += table_one(folders) + verification(folders, pictures) + ablation(folders)
    lines += losses(root, pictures) + trainings(root, out) + cosines(folders)
    lines += detection(folders, root, pictures) + landmarks(folders)
    lines += speed(folders, pictures) + backends(folders) + groups(folders) + sources(folders)
    out.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(out) as aside:
        aside.write_text('\n'.join(lines).rstrip() + '\n', encoding='utf-8')
    return out
