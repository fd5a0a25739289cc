import io

import cv2
import numpy as np
import pytest
from fakes import paint
from PIL import Image

from uniface_mx.data.prepare.worker import picture_hash, read_header, stored_jpeg
from uniface_mx.image import ImageError, encode_jpeg, read_image


def saved(image, format='JPEG', **options):
    file = io.BytesIO()
    Image.fromarray(image).save(file, format, **options)
    return file.getvalue()


def bits(a, b):
    return bin(a ^ b).count('1')


def test_hash_of_a_ramp():
    ramp = np.repeat(np.arange(0, 180, 2, np.uint8)[None, :, None], 3, axis=2).repeat(80, axis=0)
    assert picture_hash(ramp) == 2**64 - 1
    assert picture_hash(ramp[:, ::-1]) == 0


def test_hash_survives_size_and_quality_and_tells_photos_apart():
    photos = [paint(seed, size=(360, 300), faces=((100, 60, 200, 200),)) for seed in range(20)]
    hashes = [picture_hash(photo) for photo in photos]
    for photo, known in zip(photos, hashes):
        for other in (
            cv2.resize(photo, (180, 150), interpolation=cv2.INTER_AREA),
            read_image(encode_jpeg(photo, 40)),
        ):
            assert bits(picture_hash(other), known) <= 4
    assert min(bits(a, b) for i, a in enumerate(hashes) for b in hashes[:i]) > 8


def test_what_is_stored_as_it_is():
    photo = paint(0)
    exif = Image.Exif()
    exif[0x0112] = 6
    assert read_header(saved(photo)) == (120 * 100, 120, True)
    assert read_header(saved(photo[..., 0])).plain
    assert not read_header(saved(photo, exif=exif.tobytes())).plain
    assert not read_header(saved(photo, icc_profile=b'profile' * 20)).plain
    assert read_header(saved(photo[:, :60], 'PNG')) == (60 * 100, 100, False)
    file = io.BytesIO()
    Image.fromarray(photo).convert('CMYK').save(file, 'JPEG')
    assert not read_header(file.getvalue()).plain


@pytest.mark.parametrize(
    'shape, size, expected',
    [
        ((300, 600), 400, (400, 200)),
        ((600, 300), 400, (200, 400)),
        ((30, 40), 400, (40, 30)),
        ((1, 1000), 100, (100, 1)),
    ],
)
def test_stored_size(shape, size, expected):
    data, width, height = stored_jpeg(np.zeros(shape + (3,), np.uint8), size, 90)
    assert (width, height) == expected
    assert read_image(data).shape == (height, width, 3)
    assert b'Exif' not in data


def test_no_header():
    for data in (b'', b'GIF89a', b'\xff\xd8\xff'):
        with pytest.raises(ImageError):
            read_header(data)
