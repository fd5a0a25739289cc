"""Record sets of drawn photos, to calibrate int8 graphs with."""

import numpy as np

from uniface_mx.data.records import Record, RecordWriter
from uniface_mx.data.rows import BOX, HAS_LANDMARKS, IGNORE, LANDMARKS, OBJECT_WIDTH
from uniface_mx.image import encode_jpeg

SOURCE = {'name': 'drawn', 'kind': 'drawn', 'licence': 'ours'}


def face(left, top, side, landmarks=1, ignore=0):
    row = np.zeros(OBJECT_WIDTH, np.float32)
    row[BOX] = left, top, left + side, top + side
    row[LANDMARKS] = np.tile([left + side / 2, top + side / 2], 5)
    row[HAS_LANDMARKS], row[IGNORE] = landmarks, ignore
    return row


def write(name, photos):
    """A record set of 120 x 60 photos with these faces; None is a photo that is damaged."""
    random = np.random.RandomState(0)
    with RecordWriter(name, [SOURCE], {}) as writer:
        for number, faces in enumerate(photos):
            image = encode_jpeg(random.randint(0, 255, (60, 120, 3), dtype=np.uint8))
            objects = np.array(faces or [], np.float32).reshape(-1, OBJECT_WIDTH)
            content = b'damaged' if faces is None else image
            writer.add(Record(content, objects, 120, 60, 'drawn', str(number)))
    return str(name)
