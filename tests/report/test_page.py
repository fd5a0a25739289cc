import json

import pytest
from reporting import add, cells, lfw, page

from uniface_mx.errors import UnifaceError
from uniface_mx.report.page import write_report


def test_a_folder_without_results_makes_no_page(tmp_path):
    (tmp_path / 'results').mkdir()
    with pytest.raises(UnifaceError, match='results: no folder in it holds results'):
        page(tmp_path)


def test_a_result_that_lacks_a_figure_is_named(tmp_path):
    add(tmp_path / 'results', 'y', 'landmarks_x', {'faces': 1})
    with pytest.raises(UnifaceError, match="y.landmarks_x.json: lacks 'found'; run"):
        page(tmp_path)
    add(tmp_path / 'results', 'x', 'lfw', {'accuracy': 0.5, 'standard_error': 0.1, 'area': 0.9})
    with pytest.raises(UnifaceError, match="x.lfw.json: lacks 'true_accepts_at_false_accepts'; run"):
        page(tmp_path)


def test_nothing_was_run(tmp_path):
    add(tmp_path / 'results', 'x', 'another', {})
    text = page(tmp_path)
    assert cells(text, '| UniFace, Model A') == [
        ['UniFace, Model A (paper)', 'No', '1', '98.98 ± 0.389', '', '', '', '', '', '1M images']
    ]
    assert cells(text, '| D (no landmark attention)')[0][1:] == ['', '95.65 ± 0.85'] + [''] * 15
    assert not (tmp_path / 'figures').exists()


def test_what_was_run_stands_in_its_cell(tmp_path):
    root = tmp_path / 'results'
    add(root, 'lite_a', 'lfw', lfw(), training={'data': ['celeba_samples', 'utkface']})
    add(root, 'lite_a', 'lfw_perturb60', {'accuracy': 0.85, 'std': 0.03, 'seeds': [{}, {}, {}]})
    cost = {'parameters': 3700000, 'multiply_adds_image': 7 * 10**8, 'multiply_adds_face': 6 * 10**7}
    add(root, 'lite_a', 'cost', cost)
    points = {
        'faces': 10,
        'found': 9,
        'error': 0.08,
        'failure_rate': 0.2,
        'error_by_point': {'left_eye': 0.07},
    }
    add(root, 'lite_a', 'landmarks_aflw_test', points, {'name': 'aflw_test'})
    heights = [
        {'from': 16, 'below': 24, 'faces': 2, 'average_precision': 0.25, 'recall': 0.5},
        {'from': 24, 'below': 32, 'faces': 0, 'average_precision': None, 'recall': None},
    ]
    found = {'faces': 5, 'average_precision': 0.5, 'recall': 0.4, 'precision': None, 'by_height': heights}
    add(root, 'lite_a', 'detection_held_out', found, {'name': 'held_out'})
    cosine = {'mean': 0.777, 'faces': 1234, 'interval': [0.77, 0.78], 'recall': 0.9}
    more = {'mean': 0.888, 'faces': 2000, 'interval': [0.88, 0.89], 'recall': 1.0}
    sets = {'name': 'v', 'held_out': {'name': 'validation'}, 'training': {'name': 'train'}}
    add(root, 'lite_a', 'cosine', {'held_out': cosine, 'training': more}, sets)
    add(root, 'lite_d', 'lfw', lfw(0.8, (0.75, 0.85)), model={'name': 'uniface_d_lite'})
    add(root, 'teachers', 'lfw', lfw(), identity={'embeddings': {}})
    text = page(tmp_path)
    assert ' | '.join(cells(text, '| lite_a |')[0]) == (
        'lite_a | No | 1 | 90.00 ± 2.83 | 2.00 | 85.00 ± 3.00 (3 seeds) | 0.95000 | 70.00 / 50.00 | 3 | '
        'celeba_samples, utkface'
    )
    assert cells(text, '| teachers |')[0][1:3] == ['by landmarks', '2']
    assert ' | '.join(cells(text, '| A (full)')[0]) == (
        'A (full) | lite_a | 98.98 ± 0.389 | 90.00 ± 2.83 | 85.00 | 0.777 | 0.888 | 8.00 |  | 3,700,000 | '
        '700,000,000 | 60,000,000 |  |  |  |  |  | celeba_samples, utkface'
    )
    assert cells(text, '| lite_a | 1234') == [
        ['lite_a', '1234', '0.777 (0.770 to 0.780)', '90.00', 'held out', 'validation']
    ]
    assert cells(text, '| lite_a | 2000')[0][3:] == ['100.00', 'trained on', 'train']
    assert cells(text, '| lite_a | held_out')[0][3:] == ['50.00', '40.00', '', '16–24: 25.00', '16–24: 50.00']
    assert cells(text, '| MTCNN (published)')[0][:5] == ['MTCNN (published)', 'AFLW', '', '', '6.9']
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
    agreement = {
        'largest': {'discrete': 0.001, 'continuous': 0.002, 'from': 10, 'to': 50},
        'rates': {'10': {'discrete': [0.5, 0.501], 'continuous': [0.4, 0.402]}},
    }
    last = {'false_positives': 3000}
    add(root, 'uniface_a', 'fddb', {'discrete': rates, 'last': last, 'agreement': agreement})
    (root / 'uniface_a' / 'DiscROC.txt').write_text('0.864 2000 0.1\n0.8 100 0.5\n0 0 1.79769e+308\n')
    row = {'backend': 'onnx', 'batch': 1, 'size': '300'}
    rows = [
        dict(row, system=system, faces=faces, images_per_second=rate)
        for system, faces, rate in (('uniface_a', 1, 20), ('uniface_a', 8, 10), ('others', 1, 99))
    ]
    add(root, 'uniface_a', 'speed', {'rows': rows})
    trained = [{'kind': 'train', 'iteration': i, 'mimic': 1 / i, 'faces': 1000 * i} for i in range(1, 5)]
    (root / 'uniface_a' / 'metrics.jsonl').write_text('\n'.join(map(json.dumps, trained)))
    text = page(tmp_path)
    rates = ['80.00', '85.00', '86.00', '86.40', '3000']
    assert cells(text, '| uniface_a | FDDB')[0] == ['uniface_a', 'FDDB', *rates]
    assert cells(text, '| UniFace |')[0][:3] == ['UniFace', '120', 'Titan X']
    assert cells(text, '| system | backend')[0][4:6] == ['1 faces', '8 faces']
    assert [row[:6] for row in cells(text, '| uniface_a | onnx')] == [
        ['uniface_a', 'onnx', '1', '300', '20.0', '10.0']
    ]
    assert cells(text, '| others | onnx')[0][4:6] == ['99.0', '']
    assert cells(text, '| 10 |') == [['10', '0.5000', '0.5010', '0.4000', '0.4020']]
    assert 'Largest difference from 10 to 50: 0.0010 discrete, 0.0020 continuous.' in text
    assert cells(text, '| A (full)')[0][12] == '20.0'
    assert cells(text, '| A (full)')[0][16] == '4,000'
    assert cells(text, '| uniface_a | 4')[0] == ['uniface_a', '4', '1.0000', '0.2500']
    assert sorted(path.name for path in (tmp_path / 'figures').iterdir()) == [
        'fig4_fddb.png',
        'fig5_identification_loss.png',
        'speed_300.png',
    ]


def test_a_model_that_was_only_timed_is_no_run(tmp_path):
    row = {'system': 'uniface_b', 'backend': 'onnx', 'batch': 1, 'faces': 1, 'images_per_second': 5}
    add(tmp_path / 'results', 'uniface_b', 'speed', {'rows': [row]})
    text = page(tmp_path)
    assert cells(text, '| B (two separate networks)')[0][1] == ''
    assert cells(text, '| uniface_b | onnx')[0][4] == '5.0'


def test_groups(tmp_path):
    share = {'share': 0.75, 'interval': [0.3, 0.95]}
    none = {'mean': None, 'interval': [None, None]}
    cosine = {'mean': 0.7, 'interval': [0.65, 0.75]}
    youngest = dict(
        faces=4, recall=share, teacher_recall=share, landmark_error=none, cosine_to_teacher=cosine
    )
    data = {'name': 'utkface', 'held_out': True}
    add(tmp_path / 'results', 'lite_a', 'groups_utkface', {'age': {'0-5': youngest}, 'origin': {}}, data)
    assert '### lite_a on utkface\n' in page(tmp_path)
    shares = ['75.00 (30.00 to 95.00)'] * 2
    assert cells(page(tmp_path), '| 0-5')[0] == ['0-5', '4', *shares, '', '0.700 (0.650 to 0.750)']


def test_no_folder(tmp_path):
    with pytest.raises(UnifaceError, match='no such folder'):
        write_report(tmp_path / 'none', tmp_path / 'R.md')


def test_int8_and_memory(tmp_path):
    figures = {'backends': ['mxnet', 'mxnet-int8'], 'faces': 321, 'boxes': 0.995, 'cosine': 0.98765}
    figures = dict(figures, cosine_least=0.9, landmarks=0.012)
    add(tmp_path / 'results', 'a', 'agreement', figures, {'name': 'street'})
    rows = [
        {'photos': 504, 'bytes': 500 * 2**20, 'pixels': [10**4, 10**6, 2 * 10**6]},
        {'photos': 5000, 'bytes': 510 * 2**20, 'pixels': [10**4, 10**6, 3 * 10**6]},
    ]
    add(tmp_path / 'results', 'a', 'memory', {'rows': rows, 'change': 0.02})
    found = cells(page(tmp_path), '| a |')
    assert ['a', 'mxnet-int8 beside mxnet', '321', '99.50', '0.9877', '0.9000', '1.20', 'street'] in found
    assert ['a', '504', '500', '5000', '510', '+2.0', '1.00 (0.01 to 3.00)'] in found
