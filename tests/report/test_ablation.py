import json

from reporting import add, cells, lfw, page

from uniface_mx.report import curves
from uniface_mx.report.curves import identification, mimic_weight


def run(root, name, letter, folds, seed=0, iterations=12500, records=('faces-train', 'points'), **told):
    """What an evaluated run leaves: a manifest's words on its training, and LFW's folds."""
    training = {
        'iteration': iterations - 500,
        'iterations': iterations,
        'seed': seed,
        'records': {record: {'faces': 10, 'sha256': 'x'} for record in records},
        **told,
    }
    about = {'model': {'name': f'uniface_{letter}_lite'}, 'training': training}
    add(root, name, 'lfw', lfw(sum(folds) / len(folds), folds), **about)
    add(root, name, 'lfw_perturb60', {'accuracy': sum(folds) / len(folds) - 0.01, 'std': 0.02}, **about)


def series(root):
    run(root, 'lite_a', 'a', (0.90, 0.94, 0.92))
    run(root, 'lite_a_seed1', 'a', (0.92, 0.92, 0.92), seed=1)
    run(root, 'lite_b', 'b', (0.90, 0.94, 0.92))
    run(root, 'lite_c', 'c', (0.95, 0.90, 0.94))
    run(root, 'lite_d', 'd', (0.80, 0.82, 0.80))
    run(root, 'lite_d_seed1', 'd', (0.80, 0.84, 0.82), seed=1)
    run(root, 'first_training', 'a', (0.99, 0.99, 0.99), iterations=62500)


def test_models_compared_on_the_same_folds(tmp_path):
    series(tmp_path / 'results')
    text = page(tmp_path)
    # A: 0.91, 0.93, 0.92; D: 0.80, 0.83, 0.81: differences 11, 10, 11 points.
    assert ' | '.join(cells(text, '| A (lite_a, lite_a_seed1) | D')[0]) == (
        'A (lite_a, lite_a_seed1) | D (lite_d, lite_d_seed1) | +10.67 | 0.58 | 18.5 | 32.00 | 0.00098 | the first'
    )
    # Differences of 1, -1 and 0.
    equal = ['+0.00', '1.00', '0.0', '0.00', '1', 'neither']
    assert cells(text, '| A (lite_a, lite_a_seed1) | B')[0][2:] == equal
    assert cells(text, '| C (lite_c) | D')[0][-1] == 'the first'
    apart = ['-1.33', '1.15', '-1.2', '-2.00', '0.18', 'neither']
    assert cells(text, '| lite_d | lite_d_seed1')[0][2:] == apart
    assert "Order by accuracy: ours C, A, B, D, the paper's A, B, C, D." in text


def test_a_longer_training_is_not_compared(tmp_path):
    series(tmp_path / 'results')
    differences = page(tmp_path).split('compared on the same ten folds')[1].split('## ')[0]
    assert 'first_training' not in differences and len(cells(differences, '| ')) == 2 + 6 + 2
    assert '12,000 of 12,500 iterations, contrast 0:' in differences


def test_the_contrast_and_the_records_are_compared_by_themselves(tmp_path):
    root = tmp_path / 'results'
    run(root, 'ablation_lite_a_0', 'a', (0.90, 0.94, 0.92), contrast=0.3)
    run(root, 'ablation_lite_a_mimic_0', 'a', (0.80, 0.83, 0.82), contrast=0.0)
    run(root, 'ablation_lite_a_1', 'a', (0.91, 0.93, 0.91), seed=1, contrast=0.3)
    run(root, 'ablation_lite_d_0', 'd', (0.80, 0.82, 0.80), contrast=0.3)
    run(root, 'ablation_lite_a_half_0', 'a', (0.88, 0.92, 0.90), records=('half',), contrast=0.3)
    text = page(tmp_path)
    folds, alone = text.split('What the contrast beside Eq. (3) is worth, and what more people are:')
    rows = cells(alone.split('## ')[0], '| ablation')
    # Differences of 2, 2 and 2 points.
    assert rows[0][:3] == ['ablation_lite_a_0 (20 faces)', 'ablation_lite_a_half_0 (10 faces)', '+2.00']
    # Differences of 10, 11 and 10 points.
    assert [' | '.join(row) for row in rows[1:]] == [
        'ablation_lite_a_0 (contrast 0.3) | ablation_lite_a_mimic_0 (contrast 0) | +10.33 | 0.58 | 17.9 | 31.00 | '
        '0.001 | the first'
    ]
    # Nor does it count among A's seeds.
    assert cells(folds, '| A (ablation_lite_a_0, ablation_lite_a_1) | D')
    assert [row[-3] for row in cells(folds, '| A (full)')] == ['0.3', '0.3', '0.3', '0']


def test_seeds_stand_side_by_side(tmp_path):
    series(tmp_path / 'results')
    text = page(tmp_path)
    rows = [' | '.join(row[2:]) for row in cells(text, '| D | contrast 0 | LFW')]
    assert rows == [
        'LFW, % | lite_d 80.67, lite_d_seed1 82.00 | 81.33 | 1.33',
        'LFW perturbed, % | lite_d 79.67, lite_d_seed1 81.00 | 80.33 | 1.33',
    ]
    # No measure that only one of the two has.
    assert not cells(text, '| D | contrast 0 | cosine')
    assert not cells(text, '| B | contrast 0 | LFW')


def test_the_training_of_each_row(tmp_path):
    root = tmp_path / 'results'
    run(root, 'lite_d_seed1', 'd', (0.8, 0.9), seed=1)
    (root / 'lite_d_seed1' / 'metrics.jsonl').write_text(
        json.dumps({'kind': 'train', 'iteration': 12500, 'mimic': 0.2, 'faces': 312345}) + '\n'
    )
    row = cells(page(tmp_path), '| D (no landmark attention)')[0]
    assert row[-5:] == ['12,000 of 12,500', '1', '', '312,345', 'faces-train (10 faces), points (10 faces)']


def losses(path, last, slope, contrast=0.0):
    path.mkdir(parents=True)
    rows = [
        {'kind': 'train', 'iteration': i, 'mimic': 0.36 - slope * i, 'contrast': contrast}
        for i in range(50, last + 1, 50)
    ]
    (path / 'metrics.jsonl').write_text('\n'.join(map(json.dumps, rows)))


def test_fig_5_is_of_the_runs_that_are_equally_long(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        curves, 'draw_panels', lambda path, panels, x: drawn.append(panels) if 'fig5' in path.name else None
    )
    for letter in 'abcd':
        losses(tmp_path / 'results' / f'ablation_lite_{letter}_mimic_0', 200, 0.001)
    for name in ('lite_a', 'lite_b', 'lite_c', 'lite_d', 'lite_a_seed1'):
        losses(tmp_path / 'results' / name, 200, 0.001, contrast=1.5)
    losses(tmp_path / 'results' / 'first_training', 1000, 0.0001)
    losses(tmp_path / 'results' / 'trial', 1000, 0.0001)
    text = page(tmp_path)
    assert [{title: sorted(curves) for title, curves in panels.items()} for panels in drawn] == [
        {
            'Eq. (3), trained by it alone': [f'ablation_lite_{letter}_mimic_0' for letter in 'abcd'],
            'Eq. (3), trained with the contrast': ['lite_a', 'lite_a_seed1', 'lite_b', 'lite_c', 'lite_d'],
        }
    ]
    assert cells(text, '| first_training | 1000')[0] == ['first_training', '1000', '0.3550', '0.2600']
    assert cells(text, '| lite_d | 200')[0] == ['lite_d', '200', '0.3100', '0.1600']


def test_no_training_no_figure(tmp_path):
    (tmp_path / 'results' / 'lite_a').mkdir(parents=True)
    (tmp_path / 'results' / 'lite_a' / 'metrics.jsonl').write_text('')
    assert 'fig5' not in page(tmp_path)


def test_identification():
    rows = [{'iteration': i, 'mimic': float(i)} for i in range(10)]
    rows += [{'iteration': 9, 'mimic': 19.0}, {'iteration': 10, 'mimic': None}]
    x, y = identification(rows, points=5)
    assert x.tolist() == [0.5, 2.5, 4.5, 6.5, 8.5]
    assert y.tolist() == [0.5, 2.5, 4.5, 6.5, 13.5]
    assert identification(rows, weight=2.0, points=5)[1].tolist() == [0.25, 1.25, 2.25, 3.25, 6.75]
    assert [len(part) for part in identification([])] == [0, 0]


def test_fig_5_is_of_training_and_without_the_weight(tmp_path):
    folder = tmp_path / 'results' / 'lite_a'
    losses(folder, 100, 0.001)
    with open(str(folder / 'metrics.jsonl'), 'a') as file:
        file.write('\n' + json.dumps({'kind': 'validation', 'iteration': 100, 'mimic': 100.0}))
    assert cells(page(tmp_path), '| lite_a | 100')[0] == ['lite_a', '100', '0.3100', '0.2600']
    (folder / 'config.yaml').write_text('losses: {mimic: 2.0}\n')
    assert cells(page(tmp_path), '| lite_a | 100')[0] == ['lite_a', '100', '0.1550', '0.1300']


def test_the_weight_of_eq_3(tmp_path):
    assert mimic_weight(tmp_path) == 1.0
    (tmp_path / 'config.yaml').write_text('losses: {mimic: 2.0}\n')
    assert mimic_weight(tmp_path) == 2.0
