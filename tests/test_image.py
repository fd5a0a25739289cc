import io
import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from uniface_mx import image as image_module
from uniface_mx.image import ImageError, encode_jpeg, read_image, write_image

RED, WHITE = [255, 0, 0], [255, 255, 255]


def encoded(image, kind='PNG', **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def quarters():
    """A 6x4 picture: red above left, green above right, blue below left, white below right."""
    picture = np.zeros((4, 6, 3), np.uint8)
    picture[:2, :3], picture[:2, 3:], picture[2:, :3], picture[2:, 3:] = RED, [0, 255, 0], [0, 0, 255], WHITE
    return picture


def png(width, height, body=b''):
    """A PNG of any claimed size."""

    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

    return (
        b'\x89PNG\r\n\x1a\n'
        + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0))
        + chunk(b'IDAT', zlib.compress(body))
        + chunk(b'IEND', b'')
    )


def test_rgb_from_bytes_and_path(tmp_path):
    data = encoded(Image.fromarray(quarters()))
    path = tmp_path / 'photo with space.png'
    path.write_bytes(data)
    for source in (data, path, str(path)):
        read = read_image(source)
        assert read.dtype == np.uint8 and read.flags['C_CONTIGUOUS']
        assert np.array_equal(read, quarters())


@pytest.mark.parametrize(
    'orientation, undo',
    [
        (1, lambda p: p),
        (2, lambda p: p[:, ::-1]),
        (3, lambda p: p[::-1, ::-1]),
        (4, lambda p: p[::-1]),
        (5, lambda p: p.transpose(1, 0, 2)),
        (6, lambda p: np.rot90(p, -1)),
        (7, lambda p: p.transpose(1, 0, 2)[::-1, ::-1]),
        (8, lambda p: np.rot90(p)),
    ],
)
def test_exif_orientation(orientation, undo):
    picture = np.repeat(np.repeat(quarters(), 16, axis=0), 16, axis=1)
    exif = Image.Exif()
    exif[0x0112] = orientation
    read = read_image(encoded(Image.fromarray(picture), 'JPEG', quality=95, exif=exif))
    expected = undo(picture)
    assert read.shape == expected.shape
    assert np.abs(read.astype(int) - expected).mean() < 5


@pytest.mark.parametrize('orientation, undo', [(1, lambda p: p), (6, lambda p: np.rot90(p, -1))])
def test_photos_of_phones(orientation, undo):
    pytest.importorskip('pillow_heif')
    picture = np.repeat(np.repeat(quarters(), 16, axis=0), 16, axis=1)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = encoded(Image.fromarray(picture), 'HEIF', quality=95, exif=exif.tobytes())
    read = read_image(file)
    assert read.shape == undo(picture).shape and np.abs(read.astype(int) - undo(picture)).mean() < 5
    with pytest.raises(ImageError, match='more than the limit'):
        read_image(file, max_pixels=100)
    for damaged in (file[:20], file[: len(file) // 2]):
        with pytest.raises(ImageError) as error:
            read_image(damaged)
        assert '\n' not in str(error.value)


def test_photos_of_phones_need_a_reader(tmp_path, monkeypatch):
    monkeypatch.setattr(image_module, 'HeifImagePlugin', None)
    path = tmp_path / 'a.HEIC'
    path.write_bytes(b'\0\0\0\x18ftypheic')
    with pytest.raises(ImageError, match='a.HEIC: HEIC is read where pillow-heif is installed: pip'):
        read_image(path)


@pytest.mark.filterwarnings('ignore:Corrupt EXIF')
@pytest.mark.parametrize(
    'exif', [b'Exif\0\0garbage', b'Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01\x03\0\xff\xff', b'Exif\0\0']
)
def test_broken_exif_does_not_cost_the_photo(exif):
    assert read_image(encoded(Image.fromarray(quarters()), 'JPEG', exif=exif)).shape == (4, 6, 3)


@pytest.mark.parametrize('largest', [1, 255, 65535])
def test_floating_point_grey_is_scaled(largest):
    values = np.array([[0, 0.25, 1]], np.float32) * largest
    found = read_image(encoded(Image.fromarray(values), 'TIFF'))
    assert np.abs(found[0, :, 0].astype(int) - [0, 63, 255]).max() <= 1


def test_grey():
    grey = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
    assert np.array_equal(read_image(encoded(Image.fromarray(grey))), np.repeat(grey[..., None], 3, axis=2))


@pytest.mark.parametrize('kind', ['PNG', 'TIFF'])
@pytest.mark.parametrize('levels', [[0, 257, 32896, 65535], [0, 100, 200, 250]])
def test_16_bit_grey_is_scaled(kind, levels):
    values = np.array([levels], np.uint16)
    read = read_image(encoded(Image.fromarray(values), kind))
    assert np.abs(read[0, :, 0] - values[0] / 257).max() < 1
    assert read.shape == (1, 4, 3)


def test_16_bit_colour():
    done, data = cv2.imencode('.png', np.full((2, 2, 3), (0, 0x8080, 0xFFFF), np.uint16))
    assert done and read_image(data.tobytes())[0, 0].tolist() == [255, 128, 0]


def test_transparency_lies_on_white():
    picture = np.dstack([quarters(), np.full((4, 6), 255, np.uint8)])
    picture[0, 0] = (0, 0, 0, 0)
    picture[0, 1] = (0, 0, 0, 128)
    read = read_image(encoded(Image.fromarray(picture)))
    assert read[0, 0].tolist() == WHITE and abs(int(read[0, 1, 0]) - 127) <= 1
    assert np.array_equal(read[1:], quarters()[1:])
    grey = Image.fromarray(np.array([[[40, 255], [40, 0]]], np.uint8), 'LA')
    assert read_image(encoded(grey))[0].tolist() == [[40, 40, 40], WHITE]


def test_palette_with_and_without_transparency():
    picture = Image.fromarray(quarters()).quantize(4)
    assert np.array_equal(read_image(encoded(picture)), quarters())
    transparent = read_image(encoded(picture, transparency=picture.getpixel((0, 0))))
    assert transparent[0, 0].tolist() == WHITE and transparent[3, 0].tolist() == [0, 0, 255]


def test_cmyk_jpeg():
    picture = Image.new('CMYK', (16, 16), (0, 255, 255, 0))
    assert np.abs(read_image(encoded(picture, 'JPEG')).astype(int) - RED).max() < 12


def test_of_an_animation_the_first_picture():
    frames = [Image.new('RGB', (5, 4), tuple(colour)) for colour in (RED, [0, 0, 255])]
    assert (
        read_image(encoded(frames[0], 'GIF', save_all=True, append_images=frames[1:]))[0, 0].tolist() == RED
    )


@pytest.mark.parametrize('kind', ['PNG', 'BMP', 'GIF', 'TIFF', 'WEBP', 'PPM'])
def test_one_pixel(kind):
    options = {'lossless': True} if kind == 'WEBP' else {}
    assert read_image(encoded(Image.new('RGB', (1, 1), tuple(RED)), kind, **options)).tolist() == [[RED]]


def test_a_huge_header_is_refused_before_decoding(monkeypatch):
    monkeypatch.setattr(Image.Image, 'load', lambda *args: pytest.fail('decoded'))
    monkeypatch.setattr(image_module, '_to_rgb', lambda *args: pytest.fail('decoded'))
    for side in (20000, 2**30):
        with pytest.raises(ImageError, match='reduce'):
            read_image(png(side, side))


def test_the_limit_is_the_callers(tmp_path):
    path = tmp_path / 'a.png'
    path.write_bytes(encoded(Image.fromarray(quarters())))
    assert read_image(path, max_pixels=24).shape == (4, 6, 3)
    with pytest.raises(ImageError, match=r'a\.png: 6x4 pixels .* limit of 23'):
        read_image(path, max_pixels=23)


def damaged():
    whole = encoded(Image.fromarray(np.random.RandomState(0).randint(0, 255, (64, 64, 3), np.uint8)), 'JPEG')
    picture = encoded(Image.fromarray(quarters()))
    return {
        'empty.jpg': b'',
        'truncated.jpg': whole[: len(whole) // 2],
        'header.jpg': whole[:20],
        'truncated.png': picture[: len(picture) // 2],
        'no rows.png': png(40, 40),
        'text.jpg': b'no image at all',
        'script.eps': b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n',
        'picture.svg': b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
    }


@pytest.mark.parametrize('name', sorted(damaged()))
def test_damaged_or_no_image(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(damaged()[name])
    with pytest.raises(ImageError) as raised:
        read_image(path)
    assert name in str(raised.value) and '\n' not in str(raised.value)
    with pytest.raises(ImageError, match=f'image of {path.stat().st_size} bytes'):
        read_image(path.read_bytes())


def test_missing_and_folder(tmp_path):
    with pytest.raises(ImageError, match='nothing.jpg: no such file'):
        read_image(tmp_path / 'nothing.jpg')
    with pytest.raises(ImageError, match='no photo in this folder'):
        read_image(tmp_path)
    os.mkfifo(str(tmp_path / 'pipe'))
    with pytest.raises(ImageError, match='pipe: a pipe; give a file'):
        read_image(tmp_path / 'pipe')


def test_jpeg_without_exif_and_back():
    smooth = np.repeat(np.repeat(quarters(), 16, axis=0), 16, axis=1)
    data = encode_jpeg(smooth, 95)
    assert b'Exif' not in data
    assert np.abs(read_image(data).astype(int) - smooth).mean() < 5


def test_write_image(tmp_path):
    write_image(tmp_path / 'a.png', quarters())
    assert np.array_equal(read_image(tmp_path / 'a.png'), quarters())
    assert [path.name for path in tmp_path.iterdir()] == ['a.png']
    for name in ('no such folder/a.png', 'a.unknown', 'a'):
        with pytest.raises(ImageError, match='cannot be written'):
            write_image(tmp_path / name, quarters())
