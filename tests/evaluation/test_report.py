import json

import pytest

from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation import report
from uniface_mx.evaluation.report import LETTER, Subject, read_losses, write_report
from uniface_mx.results import write_result


def lfw(accuracy=0.9, folds=(0.88, 0.92)):
    return {
        'accuracy': accuracy,
        'std': 0.0283,
        'standard_error': 0.02,
        'folds': list(folds),
        'area': 0.95,
        'true_accepts_at_false_accepts': {'0.01': 0.7, '0.001': 0.5},
        'photos_without_face': 3,
        'roc': {'false_accepts': [0.001, 1], 'true_accepts': [0.5, 1]},
    }


def add(root, subject, name, metrics, data=None, **about):
    write_result(
        root / subject,
        name,
        subject=dict({'name': subject}, **about),
        data=data or {'name': name},
        metrics=metrics,
        command=['tools/evaluate.py', name],
    )


def cells(text, start):
    return [
        [cell.strip() for cell in line.strip('|').split('|')]
        for line in text.splitlines()
        if line.startswith(start)
    ]


def page(tmp_path):
    return write_report(tmp_path / 'results', tmp_path / 'RESULTS.md').read_text()


@pytest.mark.parametrize(
    'name, letter',
    [
        ('uniface_a', 'a'),
        ('uniface_b_lite', 'b'),
        ('lite_c', 'c'),
        ('model_d', 'd'),
        ('lite_a_seed1', 'a'),
        ('teachers', None),
        ('abc', None),
        ('mtcnn', None),
    ],
)
def test_names_of_models(name, letter):
    found = LETTER.match(name)
    assert (found and found.group(1)) == letter


def test_nothing_was_run(tmp_path):
    (tmp_path / 'results').mkdir()
    text = page(tmp_path)
    assert cells(text, '| UniFace, Model A') == [
        ['UniFace, Model A (paper)', 'No', '1', '98.98 ± 0.389', '', '', '', '', '', '1M images']
    ]
    assert cells(text, '| D (no landmark attention)')[0][1:] == ['', '95.65 ± 0.85'] + [''] * 10
    assert not (tmp_path / 'figures').exists()


def test_what_was_run_stands_in_its_cell(tmp_path):
    root = tmp_path / 'results'
    add(root, 'lite_a', 'lfw', lfw(), training={'data': ['celeba_samples', 'utkface']})
    add(root, 'lite_a', 'lfw_perturb60', {'accuracy': 0.85, 'std': 0.03})
    add(
        root,
        'lite_a',
        'cost',
        {'parameters': 3700000, 'multiply_adds_image': 7 * 10**8, 'multiply_adds_face': 6 * 10**7},
    )
    add(
        root,
        'lite_a',
        'landmarks_aflw_test',
        {'faces': 10, 'found': 9, 'error': 0.08, 'failure_rate': 0.2, 'error_by_point': {'left_eye': 0.07}},
        {'name': 'aflw_test'},
    )
    add(
        root,
        'lite_a',
        'detection_held_out',
        {
            'faces': 5,
            'average_precision': 0.5,
            'recall': 0.4,
            'precision': None,
            'cosine_to_teacher': {'mean': 0.777},
            'recall_by_height': [
                {'from': 16, 'below': 24, 'faces': 2, 'recall': 0.5},
                {'from': 24, 'below': 32, 'faces': 0, 'recall': None},
            ],
        },
        {'name': 'held_out'},
    )
    add(root, 'lite_d', 'lfw', lfw(0.8, (0.75, 0.85)), model={'name': 'uniface_d_lite'})
    add(root, 'teachers', 'lfw', lfw(), identity={'embeddings': {}})
    text = page(tmp_path)
    assert cells(text, '| lite_a |')[0] == [
        'lite_a',
        'No',
        '1',
        '90.00 ± 2.83',
        '2.00',
        '85.00 ± 3.00',
        '0.95000',
        '70.00 / 50.00',
        '3',
        'celeba_samples, utkface',
    ]
    assert cells(text, '| teachers |')[0][1:3] == ['by landmarks', '2']
    assert cells(text, '| A (full)')[0] == [
        'A (full)',
        'lite_a',
        '98.98 ± 0.389',
        '90.00 ± 2.83',
        '85.00',
        '0.777',
        '8.00',
        '',
        '3,700,000',
        '700,000,000',
        '60,000,000',
        '',
        'celeba_samples, utkface',
    ]
    # Differences 0.13 and 0.07: mean 10 points, deviation 4.24, standard error 3.
    assert cells(text, '| lite_a | lite_d')[0] == ['lite_a', 'lite_d', '+10.00', '4.24', '3.3']
    assert cells(text, '| lite_a | held_out')[0][3:] == ['50.00', '40.00', '', '16–24: 50.00']
    assert cells(text, '| lite_a | aflw_test')[0][2:] == ['10', '9', '8.00', '20.00', 'left eye 7.00']
    assert '![LFW ROC](figures/lfw_roc.png)' in text
    assert (tmp_path / 'figures' / 'lfw_roc.png').stat().st_size > 1000


def test_the_same_results_give_the_same_page(tmp_path):
    add(tmp_path / 'results', 'lite_a', 'lfw', lfw())
    first, picture = page(tmp_path), (tmp_path / 'figures' / 'lfw_roc.png').read_bytes()
    assert page(tmp_path) == first
    assert (tmp_path / 'figures' / 'lfw_roc.png').read_bytes() == picture


def test_fddb_and_speed_and_losses(tmp_path):
    root = tmp_path / 'results'
    rates = {'100': 0.8, '500': 0.85, '1000': 0.86, '2000': 0.864}
    add(root, 'uniface_a', 'fddb', {'discrete': rates, 'last': {'false_positives': 3000}})
    (root / 'uniface_a' / 'DiscROC.txt').write_text('0.864 2000 0.1\n0.8 100 0.5\n0 0 1.79769e+308\n')
    add(
        root,
        'uniface_a',
        'speed',
        {
            'rows': [
                {
                    'system': system,
                    'backend': 'onnx',
                    'batch': 1,
                    'faces': faces,
                    'images_per_second': rate,
                }
                for system, faces, rate in (('uniface_a', 1, 20), ('uniface_a', 8, 10), ('others', 1, 99))
            ]
        },
    )
    (root / 'uniface_a' / 'metrics.jsonl').write_text(
        ''.join(json.dumps({'iteration': i, 'losses': {'mimic': 1 / i}}) + '\n' for i in range(1, 5))
    )
    text = page(tmp_path)
    assert cells(text, '| uniface_a | FDDB')[0] == [
        'uniface_a',
        'FDDB',
        '80.00',
        '85.00',
        '86.00',
        '86.40',
        '3000',
    ]
    assert [row[:6] for row in cells(text, '| uniface_a | onnx')] == [
        ['uniface_a', 'onnx', '1', '1', '', '20.0'],
        ['uniface_a', 'onnx', '1', '8', '', '10.0'],
    ]
    assert cells(text, '| A (full)')[0][11] == '20.0'
    assert cells(text, '| uniface_a | 4')[0] == ['uniface_a', '4', '1.0000', '0.2500']
    assert sorted(path.name for path in (tmp_path / 'figures').iterdir()) == [
        'fig4_fddb.png',
        'fig5_identification_loss.png',
        'speed.png',
    ]


def test_groups(tmp_path):
    share = {'share': 0.75, 'interval': [0.3, 0.95]}
    none = {'mean': None, 'interval': [None, None]}
    add(
        tmp_path / 'results',
        'lite_a',
        'groups_utkface',
        {
            'age': {
                '0-5': {
                    'faces': 4,
                    'recall': share,
                    'teacher_recall': share,
                    'landmark_error': none,
                    'cosine_to_teacher': {'mean': 0.7, 'interval': [0.65, 0.75]},
                }
            },
            'origin': {},
        },
    )
    assert cells(page(tmp_path), '| 0-5')[0] == [
        '0-5',
        '4',
        '75.00 (30.00 to 95.00)',
        '75.00 (30.00 to 95.00)',
        '',
        '0.700 (0.650 to 0.750)',
    ]


def test_read_losses(tmp_path):
    path = tmp_path / 'metrics.jsonl'
    rows = [{'iteration': i, 'mimic': float(i)} for i in range(10)] + [
        {'iteration': 9, 'mimic': 19.0},
        {'event': 'saved'},
        {'iteration': 10, 'validation': {}},
    ]
    path.write_text('\n'.join(map(json.dumps, rows)))
    x, y = read_losses(path, points=5)
    assert x.tolist() == [0.5, 2.5, 4.5, 6.5, 8.5]
    assert y.tolist() == [0.5, 2.5, 4.5, 6.5, 13.5]
    path.write_text('')
    assert [len(part) for part in read_losses(path)] == [0, 0]
    path.write_text('{"iteration": 1}\n{"iter')
    with pytest.raises(UnifaceError, match='metrics.jsonl:2: not JSON'):
        read_losses(path)


def test_no_folder(tmp_path):
    with pytest.raises(UnifaceError, match='no such folder'):
        write_report(tmp_path / 'none', tmp_path / 'R.md')


def test_fold_difference_without_spread():
    results = {'lfw': {'metrics': {'folds': [0.5, 0.75]}}}
    less = {'lfw': {'metrics': {'folds': [0.25, 0.5]}}}
    assert report.fold_difference(Subject('a', results, 'A'), Subject('b', less, 'B')) == (
        '+25.00',
        '0.00',
        '',
    )
