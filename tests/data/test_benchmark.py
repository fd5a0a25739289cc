import json

import numpy as np

from tools.benchmark import main
from uniface_mx.data.records import BOX, OBJECT_WIDTH, Record, RecordWriter
from uniface_mx.image import encode_jpeg


def test_every_step_is_measured(tmp_path, capsys):
    rng = np.random.default_rng(0)
    with RecordWriter(tmp_path / 'photos', [{'name': 'made', 'kind': 'folder', 'licence': ''}], {}) as writer:
        for i in range(8):
            rows = np.zeros((1, OBJECT_WIDTH), np.float32)
            rows[0, BOX] = (0.2, 0.2, 0.6, 0.8)
            image = encode_jpeg(rng.integers(0, 256, (50, 70, 3), dtype=np.uint8))
            writer.add(Record(image, rows, 70, 50, 'made', str(i)))
    out = tmp_path / 'speed.json'
    line = f'data --records {tmp_path}/photos --size 64 --batch 2 --seconds 0.02 --out {out}'
    assert main(line.split()) == 0
    figures = json.loads(out.read_text())
    names = [row['name'] for row in figures['rows']]
    assert sum('ImageDetRecordIter' in name for name in names) == 2 and any(
        'all transforms' in name for name in names
    )
    assert all(row['per_second'] > 0 and row['cpu_ms'] > 0 for row in figures['rows'])
    assert all(name in capsys.readouterr().out for name in names[:1])


def test_a_missing_set_is_one_line(tmp_path, capsys):
    assert main(['data', '--records', str(tmp_path / 'none')]) == 2
    assert 'none.json' in capsys.readouterr().err
