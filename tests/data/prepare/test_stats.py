import numpy as np
import pytest
from fakes import paint
from PIL import Image

from uniface_mx.data.prepare import inspection as stats
from uniface_mx.data.records import Record, RecordWriter
from uniface_mx.data.rows import BOX, IGNORE, OBJECT_WIDTH
from uniface_mx.image import encode_jpeg


@pytest.fixture
def name(tmp_path):
    with RecordWriter(tmp_path / 'set', [{'name': 's', 'kind': 'k', 'licence': ''}], {}) as writer:
        for boxes in ([(0.1, 0.2, 0.5, 0.8), (0.5, 0.5, 0.6, 0.7)], [], [(0, 0.1, 0.4, 0.9)]):
            objects = np.zeros((len(boxes), OBJECT_WIDTH), np.float32)
            objects[:, BOX] = np.reshape(boxes, (-1, 4))
            if len(boxes) == 2:
                objects[1, IGNORE] = 1
            writer.add(Record(encode_jpeg(paint(0)), objects, 120, 100, 's', f'k{len(boxes)}', 's/p'))
    return str(tmp_path / 'set')


def test_measures_in_pixels_of_the_letterbox(name):
    found = stats.measure([name, name])
    assert (found.photos, found.ignored, found.persons) == (6, 2, 1)
    assert found.faces_per_photo.tolist() == [1, 0, 1] * 2
    np.testing.assert_allclose(found.boxes[:2], [(30, 50, 150, 200), (0, 25, 120, 225)], rtol=1e-5)
    np.testing.assert_allclose(found.heights[:2], [150, 200], rtol=1e-5)
    # The second face is cut by the border: its shape says nothing.
    np.testing.assert_allclose(found.aspects, [120 / 150] * 2, rtol=1e-5)


def test_best_overlaps():
    anchors = np.array([(0, 0, 10, 10), (100, 100, 120, 120)], np.float32)
    boxes = np.array([(0, 0, 10, 5), (100, 100, 120, 120), (50, 50, 60, 60)], np.float32)
    np.testing.assert_allclose(stats.best_overlaps(boxes, anchors), [0.5, 1, 0])
    assert len(stats.best_overlaps(np.tile(boxes, (2000, 1)), anchors)) == 3000
    assert not len(stats.best_overlaps(boxes[:0], anchors))


def test_lines(name):
    found = stats.measure([name])
    text = '\n'.join(stats.describe(found, np.array([0.4, 0.6])))
    assert 'photos 3, faces to learn 2, ignored 1' in text
    assert '0.5 or more: 50.0 %' in text
    assert stats.describe(stats.measure([]))


@pytest.mark.parametrize('overlaps', [np.zeros(0), np.array([0.4, 0.6])])
def test_picture(tmp_path, name, overlaps):
    stats.picture(stats.measure([name]), tmp_path / 'p.png', overlaps, (0.8,))
    with Image.open(tmp_path / 'p.png') as image:
        assert min(image.size) > 500
