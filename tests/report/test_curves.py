import json

import cv2
import pytest

from uniface_mx.report.curves import CURVES, read_curves, trainings

ROWS = (
    {'kind': 'train', 'iteration': 50, 'mimic': 0.5, 'box': 2.0},
    {'kind': 'train', 'iteration': 100, 'mimic': 0.25, 'box': None},
    {'kind': 'validation', 'iteration': 100, 'cosine': 0.75, 'mimic': 9},
)


@pytest.fixture
def root(tmp_path):
    (tmp_path / 'results' / 'lite_a').mkdir(parents=True)
    (tmp_path / 'results' / 'lite_a' / 'metrics.jsonl').write_text(
        ''.join(json.dumps(row) + '\n' for row in ROWS)
    )
    return tmp_path / 'results'


def test_rows_of_one_kind_as_curves(root):
    path = root / 'lite_a' / 'metrics.jsonl'
    assert read_curves(path, 'train', ('box', 'mimic', 'contrast')) == {
        'box': ((50,), (2.0,)),
        'mimic': ((50, 100), (0.5, 0.25)),
    }
    assert read_curves(path, 'validation', ('cosine',)) == {'cosine': ((100,), (0.75,))}


def test_a_picture_beside_each_run_and_a_link_to_it(root):
    lines = trainings(root, root.parent / 'page' / 'RESULTS.md')
    assert '![Training of lite_a](../results/lite_a/curves.png)' in lines
    # Two of the four panels have curves: one row of them.
    assert cv2.imread(str(root / 'lite_a' / CURVES)).shape == (340, 1100, 3)


def test_nothing_trained(tmp_path):
    assert trainings(tmp_path, tmp_path / 'RESULTS.md') == []
