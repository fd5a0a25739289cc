"""Record sets of drawn photos whose faces are squares of a colour, which says who it is."""

import shutil
from pathlib import Path

import numpy as np

from uniface_mx.data.records import Record, RecordWriter
from uniface_mx.data.rows import BOX, EMBEDDING, HAS_EMBEDDING, HAS_LANDMARKS, LANDMARKS, OBJECT_WIDTH
from uniface_mx.image import encode_jpeg
from uniface_mx.train.targets import MEAN_LANDMARKS

TEACHERS = {'embeddings': {'name': 'made up', 'version': '1', 'sha256': 'a' * 64, 'mirror': True}}

# Faces a photo, crowded in some and none in others, so that halves of a batch differ widely.
UNEVEN = (4, 4, 0, 0, 4, 3, 0, 1, 4, 4, 0, 0)
# What a step computes is then a matter of its batch alone, however it is divided.
STEADY = (
    'data.train=[{path: faces}]',
    'augmentation.letterbox=1',
    'augmentation.crop=0',
    'augmentation.mosaic=0',
    'training.freeze_batch_norm=true',
    'losses.roi_source=ground_truth',
    'optimizer.learning_rate=0.0003',
)


def draw_photo(rng, faces, size=300):
    """A photo of noise with a bright square, whose colour says who it is, for each face; boxes in pixels."""
    image = rng.integers(0, 60, (size, size, 3), dtype=np.uint8)
    boxes, colours = [], []
    for number in range(faces):
        side = rng.integers(60, 110)
        x, y = (
            rng.integers(0, size // 2 - 10) + (number % 2) * size // 2,
            rng.integers(0, size // 2 - 10) + (number // 2 % 2) * size // 2,
        )
        box = np.array([x, y, min(x + side, size), min(y + side * 1.2, size)])
        colour = rng.integers(100, 255, 3)
        image[int(box[1]) : int(box[3]), int(box[0]) : int(box[2])] = colour
        boxes.append(box)
        colours.append(colour)
    return image, np.reshape(boxes, (-1, 4)), np.reshape(colours, (-1, 3))


def write_records(path, faces, embeddings=True, seed=0, size=300, teachers=TEACHERS):
    """A record set of a photo for each number of `faces`."""
    rng = np.random.default_rng(seed)
    with RecordWriter(path, [{'name': 'drawn', 'kind': 'folder', 'licence': ''}], teachers) as writer:
        for index, count in enumerate(faces):
            image, boxes, colours = draw_photo(rng, count, size)
            rows = np.zeros((count, OBJECT_WIDTH), np.float32)
            rows[:, BOX] = boxes / size
            points = boxes[:, None, :2] + MEAN_LANDMARKS * (boxes[:, None, 2:] - boxes[:, None, :2])
            rows[:, LANDMARKS] = points.reshape(-1, 10) / size
            rows[:, HAS_LANDMARKS] = 1
            rows[:, HAS_EMBEDDING] = embeddings
            if embeddings:
                rows[:, EMBEDDING] = np.repeat(colours / 255.0 - 0.5, 43, axis=1)[:, :128] * 0.2 + 0.05
            writer.add(Record(encode_jpeg(image, 90), rows, size, size, 'drawn', f'photo{index}'))
    return str(path)


def damaged(records, folder, number):
    """A copy in `folder` of the set `faces` in `records`, with one record damaged; its name."""
    name = str(folder / 'faces')
    for ending in ('.rec', '.idx', '.keys', '.json'):
        shutil.copy(str(records / 'faces') + ending, name + ending)
    content = bytearray(Path(name + '.rec').read_bytes())
    place = int(Path(name + '.idx').read_text().split()[2 * number + 1])
    content[place + 8 : place + 200] = bytes(192)
    Path(name + '.rec').write_bytes(content)
    return name
