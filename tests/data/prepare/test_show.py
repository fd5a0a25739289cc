import numpy as np
import pytest

from uniface_mx.data.prepare import PrepareError
from uniface_mx.data.prepare.inspection import BLUE, CAPTION, GREEN, RED, drawing, sheet
from uniface_mx.data.records import Record, RecordReader
from uniface_mx.data.rows import BOX, HAS_EMBEDDING, HAS_LANDMARKS, IGNORE


@pytest.mark.parametrize(
    'columns, color', [({}, GREEN), ({HAS_EMBEDDING: 0}, BLUE), ({HAS_EMBEDDING: 0, IGNORE: 1}, RED)]
)
def test_a_box_is_drawn_where_it_is(prepared, columns, color):
    record = RecordReader(prepared)[0]
    objects = record.objects.copy()
    objects[0, BOX] = (0.25, 0.2, 0.75, 0.8)
    objects[0, HAS_LANDMARKS] = 0
    for column, value in columns.items():
        objects[0, column] = value
    image = drawing(Record(**dict(vars(record), objects=objects)), 240)
    assert image.shape == (240 + CAPTION, 240, 3)
    for x, y in ((60, 40), (179, 40), (60, 159), (179, 159), (120, 40), (60, 100)):
        assert tuple(image[y, x]) == color
    assert tuple(image[100, 120]) != color


def test_sheet(prepared):
    assert sheet(prepared, range(5), side=50, columns=3).shape == (2 * (50 + CAPTION), 150, 3)
    assert sheet(prepared, [19], side=50).shape == (50 + CAPTION, 50, 3)
    np.testing.assert_array_equal(
        sheet(prepared, [1, 2], side=50, columns=1)[:50], drawing(RecordReader(prepared)[1], 50)[:50]
    )


@pytest.mark.parametrize('numbers', [[20], [-1], []])
def test_nothing_to_show(prepared, numbers):
    with pytest.raises(PrepareError, match='20 records'):
        sheet(prepared, numbers)
