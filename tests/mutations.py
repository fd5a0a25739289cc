"""Damaged image files: each must give faces or an `ImageError`. As a program: `mutations.py --model PREFIX [COUNT]`."""

import argparse
import io
import itertools

import numpy as np
from PIL import Image

from uniface_mx.image import ImageError

FORMATS = ('JPEG', 'PNG', 'GIF', 'BMP', 'TIFF', 'WEBP', 'PPM')


def originals():
    """Image files of all formats, in memory."""
    random = np.random.RandomState(0)
    small = Image.fromarray(random.randint(0, 255, (5, 7, 3), dtype=np.uint8))
    image = small.resize((70, 50), Image.BICUBIC)
    for name in FORMATS:
        file = io.BytesIO()
        image.save(file, name)
        yield file.getvalue()


def mutated(random, data):
    """A file with bytes flipped, cut off, cut out, doubled or overwritten."""
    data = bytearray(data)
    start, end = sorted(random.randint(0, len(data), 2))
    kind = random.randint(5)
    if kind == 0:
        for place in random.randint(0, len(data), random.randint(1, 20)):
            data[place] ^= 1 << random.randint(8)
    elif kind == 1:
        del data[start:]
    elif kind == 2:
        del data[start:end]
    elif kind == 3:
        data[end:end] = data[start:end]
    else:
        # The head, where sizes and formats stand.
        for place in random.randint(0, min(64, len(data)), 4):
            data[place] = random.randint(256)
    return bytes(data)


def try_mutations(predictor, count, seed=0):
    """How many of so many damaged files gave faces, and how many an `ImageError`; anything else is raised."""
    random = np.random.RandomState(seed)
    answered = refused = 0
    for data in itertools.islice(itertools.cycle(originals()), count):
        try:
            assert isinstance(predictor(mutated(random, data)), list)
            answered += 1
        except ImageError:
            refused += 1
    return answered, refused


if __name__ == '__main__':
    from uniface_mx.deploy.predictor import Predictor

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--model', required=True)
    parser.add_argument('count', type=int, nargs='?', default=1000)
    arguments = parser.parse_args()
    answered, refused = try_mutations(Predictor.load(arguments.model), arguments.count)
    print(f'{answered} answered, {refused} refused')
