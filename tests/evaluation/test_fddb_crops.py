import json
from types import SimpleNamespace

import numpy as np
import pytest
from scripted import Scripted, face

from uniface_mx.evaluation import fddb, options
from uniface_mx.evaluation.fddb_files import FddbError, read_crops
from uniface_mx.image import write_image


@pytest.fixture
def crops(tmp_path):
    (tmp_path / 'images').mkdir()
    write_image(tmp_path / 'images' / 'a.jpg', np.zeros((100, 100, 3), np.uint8))
    ellipses = [([20, 15, 1.5708, 30, 30], 1.0), ([20, 15, 1.5708, 100, 70], 0.49), ([9, 9, 0, 80, 20], 0.5)]
    (tmp_path / 'meta.json').write_text(
        json.dumps(
            [
                {
                    'image': 'a',
                    'faces': [
                        {'ellipse': ellipse, 'visible_fraction': fraction} for ellipse, fraction in ellipses
                    ],
                }
            ]
        )
    )
    return tmp_path


def test_half_hidden_faces_and_detections_on_them_do_not_count(crops, monkeypatch):
    subject = Scripted(
        lambda image: [face((15, 10, 45, 50), 0.9), face((85, 50, 100, 90), 0.8), face((5, 70, 20, 90), 0.7)]
    )
    monkeypatch.setattr(options, 'subject', lambda arguments, embed: subject)
    curve, data = fddb.measure_crops(SimpleNamespace(crops=crops, progress=False))[-1:-3:-1]
    told = {'photos': 1, 'faces': 2, 'faces_that_do_not_count': 1, 'name': 'FDDB-crops'}
    assert data == dict(told, note='crops of FDDB photos, easier than FDDB; no figure on FDDB')
    assert curve.discrete.tolist() == [0.5, 0.5, 0.5]
    assert curve.false_positives.tolist() == [1, 0, 0]


def test_malformed(crops):
    (crops / 'images' / 'a.jpg').unlink()
    with pytest.raises(FddbError, match='1 of 1 photos are missing, a.jpg first'):
        read_crops(crops)
    for text in (
        '{',
        '[{"image": "a"}]',
        '[{"image": "a", "faces": [{"ellipse": [1, 2], "visible_fraction": 1}]}]',
        '3',
    ):
        (crops / 'meta.json').write_text(text)
        with pytest.raises(FddbError, match='meta.json: not the description'):
            read_crops(crops)


def test_the_real_crops(real_data):
    if not (real_data / 'fddb' / 'crops').is_dir():
        pytest.skip(f'no FDDB-crops in {real_data}')
    crops = read_crops(real_data / 'fddb' / 'crops')
    assert len(crops.photos) == 1444
    assert sum(int((~flags).sum()) for flags in crops.ignored.values()) == 1778
