import json

import numpy as np
import pytest

from uniface_mx.data.sources import SourceError, open_source


def test_boxes(tmp_path, write_image):
    write_image('images/0_Parade_1.jpg')
    write_image('images/1_Handshaking_2.jpg')
    (tmp_path / 'boxes_xyxy.json').write_text(
        json.dumps({'1_Handshaking_2.jpg': [], '0_Parade_1.jpg': [[10.5, 20, 30, 45.5], [50, 20, 70, 45]]})
    )
    parade, handshaking = source = open_source(f'wider64:{tmp_path}')
    assert parade.key == 'images/0_Parade_1.jpg' and parade.path.is_file()
    np.testing.assert_array_equal(parade.boxes, [[10.5, 20, 30, 45.5], [50, 20, 70, 45]])
    assert handshaking.boxes.shape == (0, 4)
    assert source.complete and not source.teacher_box


@pytest.mark.parametrize(
    'text, message',
    [
        ('{"a.jpg": [[1, 2, 3, 4]', 'line 1'),
        ('[1, 2]', 'object'),
        ('{"a.jpg": [[1, 2, 3]]}', 'a.jpg'),
        ('{"a.jpg": [1, 2, 3, 4]}', 'a.jpg'),
        ('{"a.jpg": [[1, 2, 3, "x"]]}', 'a.jpg'),
        ('{"a.jpg": [[1, 2, 3, NaN]]}', 'a.jpg'),
        ('{"a.jpg": [[1, 2, 3, 4], [1, 2]]}', 'a.jpg'),
        ('{"a.jpg": {"x": 1}}', 'a.jpg'),
        ('{"../a.jpg": []}', 'below the root'),
    ],
)
def test_malformed(tmp_path, text, message):
    (tmp_path / 'boxes_xyxy.json').write_text(text)
    with pytest.raises(SourceError, match=message) as raised:
        open_source(f'wider64:{tmp_path}')
    assert 'boxes_xyxy.json' in str(raised.value)


def test_real(real_data):
    source = open_source(f'wider64:{real_data / "wider64"}')
    assert len(source) == 64 and sum(len(image.boxes) for image in source) == 1580 and source.issues == []
    halves = [open_source(f'wider64:{real_data / "wider64"}?part={part}') for part in (':32', '32:')]
    assert [len(half) for half in halves] == [32, 32]
    assert halves[0].keys + halves[1].keys == source.keys
