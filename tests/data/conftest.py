"""Small record sets for the tests of what reads them."""

import numpy as np
import pytest

from uniface_mx.data.records import Record, RecordWriter
from uniface_mx.data.rows import BOX, OBJECT_WIDTH
from uniface_mx.image import encode_jpeg


@pytest.fixture(scope='session')
def write_set():
    """A function that writes a set of photos of noise, 70x50, with a face each."""

    def write(path, count):
        rng = np.random.default_rng(0)
        with RecordWriter(path, [{'name': 'made', 'kind': 'folder', 'licence': ''}], {}) as writer:
            for i in range(count):
                rows = np.zeros((1, OBJECT_WIDTH), np.float32)
                rows[0, BOX] = (0.2, 0.2, 0.6, 0.8)
                image = encode_jpeg(rng.integers(0, 256, (50, 70, 3), dtype=np.uint8))
                writer.add(Record(image, rows, 70, 50, 'made', str(i)))
        return str(path)

    return write
