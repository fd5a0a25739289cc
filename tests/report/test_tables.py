import json

import pytest

from uniface_mx.errors import UnifaceError
from uniface_mx.report import tables
from uniface_mx.report.tables import Folder, face_views, letter_of
from uniface_mx.train.log import read_rows


@pytest.mark.parametrize(
    'name, letter',
    [
        ('uniface_a', 'A'),
        ('uniface_b_lite', 'B'),
        ('lite_c', 'C'),
        ('model_d', 'D'),
        ('lite_a_seed1', 'A'),
        ('ablation_d_seed2', 'D'),
        ('ablation_lite_d_1', 'D'),
        ('ablation_lite_d_mimic_1', 'D'),
        ('ablation_lite_a_half_0', None),
        ('lite_b2', 'B'),
        ('UniFace_A', 'A'),
        ('teachers', None),
        ('abc', None),
        ('mtcnn', None),
        (None, None),
    ],
)
def test_names_of_models(name, letter):
    assert letter_of(name) == letter


def test_rows_of_a_run(tmp_path):
    path = tmp_path / 'metrics.jsonl'
    rows = [
        {'kind': 'train', 'iteration': 50, 'faces': 400},
        {'kind': 'validation', 'iteration': 50, 'faces': 9000},
        {'kind': 'train', 'iteration': 100, 'faces': 810},
        {'kind': 'train'},
    ]
    path.write_text('\n'.join(map(json.dumps, rows)))
    assert [row['iteration'] for row in read_rows(path)] == [50, 100]
    assert face_views(path) == 810
    assert face_views(tmp_path / 'none') is None
    path.write_text('')
    assert face_views(path) is None
    path.write_text('{"iteration": 1}\n{"iter')
    with pytest.raises(UnifaceError, match='metrics.jsonl:2: not JSON'):
        read_rows(path)


def told(training):
    return Folder('x', {'lfw': {'subject': {'training': training}}, 'cost': {'subject': {}}}, None)


@pytest.mark.parametrize(
    'training, text',
    [
        (None, None),
        ('a million photos', 'a million photos'),
        ({'data': 'CelebA'}, 'CelebA'),
        ({'data': ['CelebA', 'UTKFace']}, 'CelebA, UTKFace'),
        (
            {
                'records': {
                    'points': {'faces': 7868},
                    'faces-train': {'faces': 110000},
                    'negatives': {'faces': 0, 'records': 6508},
                },
                'iteration': 5,
            },
            'faces-train (110,000 faces), negatives (6,508 photos without), points (7,868 faces)',
        ),
        ({'iteration': 5}, None),
    ],
)
def test_what_it_was_trained_on(training, text):
    assert tables.training(told(training)) == text


def test_what_the_manifest_says_of_the_training():
    assert tables.trained(told({'iterations': 7})) == {'iterations': 7}
    assert tables.trained(told('in words')) == {}


@pytest.mark.parametrize(
    'figures, text',
    [
        (None, None),
        ({'mean': None, 'interval': [None, None]}, None),
        ({'mean': 0.5, 'interval': [0.25, 0.75]}, '0.500 (0.250 to 0.750)'),
        ({'share': 1.0, 'interval': [0.25, 1.0]}, '1.000 (0.250 to 1.000)'),
    ],
)
def test_interval(figures, text):
    assert tables.interval(figures) == text


def test_cells_with_bars_stay_cells():
    assert tables.markdown(['a'], [('x|y',), (None,)]) == ['| a |', '| --- |', '| x\\|y |', '|  |', '']
