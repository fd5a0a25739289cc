import io
import json
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import try_mutations
from PIL import Image
from rectangles import MANIFEST, POINTS, Rectangles, photo, predictor

from uniface_mx.deploy.backends import BackendError, gpu_number
from uniface_mx.deploy.predictor import FACE_BUCKETS, Face, Predictor, bucket, merge, view_boxes
from uniface_mx.errors import UnifaceError
from uniface_mx.image import ImageError
from uniface_mx.models.files import ManifestError, ModelFiles


def boxes(faces):
    return np.array([face.box for face in faces])


@pytest.mark.parametrize(
    'width, height', [(300, 300), (640, 480), (480, 640), (1800, 450), (90, 120), (3000, 2000)]
)
def test_box_and_landmarks_come_back_to_the_photo(width, height):
    # Multiples of a tenth of the photo, so that the letterbox's pixels meet them nearly.
    left, top, right, bottom = width // 10, height * 2 // 10, width * 4 // 10, height * 7 // 10
    (face,) = predictor()(photo(width, height, (left, top, right, bottom)))
    pixel = max(width, height) / 300
    np.testing.assert_allclose(face.box, [left, top, right, bottom], atol=1.01 * pixel)
    expected = face.box[:2] + POINTS * (face.box[2:] - face.box[:2])
    np.testing.assert_allclose(face.landmarks, expected, atol=1e-2)
    assert face.score == pytest.approx(230 / 255)
    assert face.box.dtype == face.landmarks.dtype == face.embedding.dtype == np.float32
    assert face.landmarks.shape == (5, 2) and face.embedding.shape == (128,)


def test_exact_coordinates():
    # 600 x 400 shrinks by 2: input pixels 10..60 and 20..70 are photo pixels 20..120 and 40..140.
    (face,) = predictor()(photo(600, 400, (20, 40, 120, 140)))
    assert face.box.tolist() == [20, 40, 120, 140]
    assert face.landmarks[2].tolist() == [70, 100]


@settings(max_examples=40, deadline=None)
@given(st.integers(30, 900), st.integers(30, 900), st.data())
def test_any_size(width, height, data):
    least = int(np.ceil(max(width, height) / 300 * 3))
    left = data.draw(st.integers(0, max(0, width - least)))
    top = data.draw(st.integers(0, max(0, height - least)))
    right = data.draw(st.integers(min(left + least, width), width))
    bottom = data.draw(st.integers(min(top + least, height), height))
    (face,) = predictor()(photo(width, height, (left, top, right, bottom)))
    np.testing.assert_allclose(
        face.box, [left, top, right, bottom], atol=1.6 * max(1, max(width, height) / 300)
    )


CROWD = photo(
    600, 600, (20, 20, 60, 60), (100, 100, 200, 200), (300, 20, 360, 80, 150), (20, 300, 520, 560, 100)
)


def test_largest_first_and_only_faces():
    faces = predictor()(CROWD)
    # The largest has a score of 100/255 and is none.
    assert boxes(faces).tolist() == [[100, 100, 200, 200], [300, 20, 360, 80], [20, 20, 60, 60]]
    assert len(predictor(score_threshold=0.3)(CROWD)) == 4
    assert len(predictor(score_threshold=0.7)(CROWD)) == 2
    assert boxes(predictor(max_faces=2)(CROWD)).tolist() == [[100, 100, 200, 200], [300, 20, 360, 80]]
    assert len(predictor(min_size=60)(CROWD)) == 2
    assert len(predictor(min_size=61)(CROWD)) == 1
    assert predictor()(photo(50, 50)) == []


def test_size_is_the_shorter_side_and_order_is_by_area():
    """30x120 pixels are more than 50x60, and less high or wide than 40 in one direction."""
    both = photo(300, 300, (100, 20, 150, 80), (20, 20, 50, 140))
    assert boxes(predictor()(both)).tolist() == [[20, 20, 50, 140], [100, 20, 150, 80]]
    assert boxes(predictor(min_size=31)(both)).tolist() == [[100, 20, 150, 80]]
    assert boxes(predictor(max_faces=1)(both)).tolist() == [[20, 20, 50, 140]]


@pytest.mark.parametrize('order', [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_of_two_views_of_a_face_the_better_one_stays(order):
    def face(score, *box):
        return Face(np.array(box, np.float32), score, np.zeros((5, 2), np.float32), np.zeros(128, np.float32))

    # The first two overlap by 0.9, the third lies apart.
    faces = [face(0.6, 0, 0, 10, 10), face(0.9, 0, 0, 10, 9), face(0.7, 20, 0, 30, 10)]
    merged = merge([faces[number] for number in order], 0.45)
    assert [one.score for one in merged] == [0.9, 0.7]


def test_empty_rows_are_no_faces_even_at_threshold_0():
    assert len(predictor(score_threshold=0)(CROWD)) == 4
    for threshold in (-5, float('nan')):
        with pytest.raises(UnifaceError, match='score_threshold is .*; it must be at least 0'):
            predictor(score_threshold=threshold)


def test_faces_beside_the_photo_are_left_out():
    class Elsewhere(Rectangles):
        def detections(self, image):
            rows = super().detections(image)
            rows[0, :5] = 0.9, 10, 200, 60, 250
            return rows

    # A landscape's letterbox is black from 150 on.
    assert Predictor(Elsewhere(), MANIFEST)(photo(600, 300)) == []
    assert len(Predictor(Elsewhere(), MANIFEST)(photo(600, 600))) == 1


def test_each_photo_gets_its_own_faces():
    photos = [
        photo(300, 300, *[(20 * k, 30, 20 * k + 10, 50, 230, 12 * n) for k in range(n)]) for n in range(13)
    ]
    found = predictor()(photos)
    assert [len(faces) for faces in found] == list(range(13))
    for n, faces in enumerate(found):
        for face in faces:
            assert face.embedding[1] == pytest.approx(np.sin(12 * n / 255 * np.pi / 2), abs=1e-5)
    assert predictor()(iter(photos[:2]))[1][0].box.tolist() == [0, 30, 10, 50]
    assert predictor()([]) == []


def test_shapes_are_few():
    backend = Rectangles()
    find = Predictor(backend, MANIFEST, batch=8)
    for n in (0, 1, 2, 3, 5, 9, 16):
        find(photo(300, 300, *[(18 * k, 30, 18 * k + 8, 50) for k in range(n)]))
        find([photo(300, 300, *[(18 * k, 30, 18 * k + 8, 50) for k in range(n)])] * 11)
    assert {shapes['data'][0] for part, shapes in backend.runs if part == 'trunk'} == {1, 8}
    assert {shapes['faces'][0] for part, shapes in backend.runs if part == 'faces'} == set(FACE_BUCKETS)


def test_mirror_images():
    class Remembering(Rectangles):
        def run(self, part, inputs):
            self.seen.append((part, inputs))
            return super().run(part, inputs)

        def embedding(self, features, row):
            # The two sides of a face differ, and so do the embeddings of the two images.
            left, top, right, bottom = row[1:5].astype(int)
            return super().embedding(features, np.array([row[0], left, top, (left + right) // 2, bottom]))

    backend = Remembering()
    backend.seen = []
    image = photo(300, 200, (20, 30, 80, 90, 230, 10), (200, 100, 260, 190, 230, 50))
    image[:, 50:80, 1] += 80
    first, second = Predictor(backend, MANIFEST, mirror=True)(image)
    faces = [inputs for part, inputs in backend.seen if part == 'faces']
    detections = backend.detections(np.ascontiguousarray(faces[0]['features'][0, :, :, ::-1]))
    assert np.array_equal(faces[2]['features'], faces[0]['features'][..., ::-1])
    # What a detector sees in the mirror image, in its own order.
    mirrored = np.concatenate([inputs['faces'] for inputs in faces[2:]])
    assert sorted(mirrored[:, 1:].round(3).tolist()) == sorted(detections[:2, 1:].round(3).tolist())
    angle = 50 / 255 * np.pi / 2
    assert first.embedding[:2] == pytest.approx([np.cos(angle), np.sin(angle)])
    between = (10 + 90) / 2 / 255 * np.pi / 2
    assert second.embedding[:2] == pytest.approx([np.cos(between), np.sin(between)])
    assert [face.box.tolist() for face in predictor()(image)] == [first.box.tolist(), second.box.tolist()]
    assert Predictor(backend, MANIFEST, mirror=True)(photo(300, 200)) == []


def test_no_mirror_images_of_a_whole_graph():
    class Whole(Rectangles):
        def has(self, part):
            return part == 'whole'

    with pytest.raises(BackendError, match='rectangles: mirror needs the model in two halves'):
        Predictor(Whole(), MANIFEST, mirror=True)


@pytest.mark.parametrize(
    'faces, size', [(1, 1), (2, 1), (3, 4), (4, 4), (8, 4), (9, 16), (33, 64), (1000, 64)]
)
def test_bucket(faces, size):
    assert bucket(faces) == size


@given(st.integers(1, 500))
def test_buckets_are_never_half_empty(faces):
    assert bucket(faces) in FACE_BUCKETS and bucket(faces) < 2 * faces


def test_similarity():
    a, b = (
        Face(np.zeros(4), 1.0, np.zeros((5, 2)), np.array(vector, np.float32))
        for vector in ([0.6, 0.8], [0.8, 0.6])
    )
    assert a.similarity(b) == pytest.approx(0.96)
    assert a.similarity(a) == pytest.approx(1)


# Tiles


def test_view_boxes():
    assert view_boxes(800, 600) == [(0, 0, 800, 600)]
    assert view_boxes(800, 600, 800) == [(0, 0, 800, 600)]
    assert view_boxes(700, 400, 400) == [(0, 0, 700, 400), (0, 0, 400, 400), (300, 0, 700, 400)]
    assert len(view_boxes(1600, 1600, 400)) == 1 + 25 + 9


@settings(deadline=None)
@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(100, 1000), st.data())
def test_every_face_is_whole_in_a_tile_that_shows_it_large(width, height, tile, data):
    side = data.draw(st.integers(1, min(width, height)))
    left, top = data.draw(st.integers(0, width - side)), data.draw(st.integers(0, height - side))
    holding = [
        max(right - x, bottom - y)
        for x, y, right, bottom in view_boxes(width, height, tile)
        if x <= left and y <= top and left + side <= right and top + side <= bottom
    ]
    assert min(holding) <= max(tile, 8 * side + 8)


def test_tiles_find_small_faces_once():
    small = [(100 + 170 * k, 60 + 110 * k, 124 + 170 * k, 84 + 110 * k) for k in range(10)]
    large = (1300, 200, 1700, 700)
    image = photo(2000, 1200, *small, large)
    # The whole photo is reduced by 6.7: one in 3 or 4 input pixels is left of a small face's side.
    faces = predictor(tile=300)(image)
    assert boxes(faces)[0] == pytest.approx(large, abs=4)
    found = boxes(faces)[1:]
    np.testing.assert_allclose(found[np.argsort(found[:, 0])], small, atol=4)
    assert len(predictor(tile=300, max_faces=3)(image)) == 3
    assert len(predictor(tile=300)([image, photo(90, 90, (10, 10, 50, 50))])[1]) == 1


# What photos may be


@pytest.mark.parametrize(
    'wrong',
    [
        np.zeros((10, 10), np.uint8),
        np.zeros((10, 10, 4), np.uint8),
        np.zeros((10, 10, 3), np.float32),
        np.zeros((2, 10, 10, 3), np.uint8),
        np.zeros((0, 10, 3), np.uint8),
    ],
)
def test_wrong_array(wrong):
    with pytest.raises(ImageError, match=r'photo 0: an array must be \(H, W, 3\) uint8'):
        predictor()(wrong)
    with pytest.raises(ImageError, match='photo 1:'):
        predictor()([photo(10, 10), wrong])


def saved(image, name='PNG', **options):
    file = io.BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


RECTANGLE = Image.fromarray(photo(60, 40, (10, 10, 30, 20, 255, 255)))


@pytest.mark.parametrize(
    'data',
    [
        saved(RECTANGLE),
        saved(RECTANGLE.convert('L')),
        saved(RECTANGLE.convert('RGBA')),
        saved(RECTANGLE.convert('P')),
        saved(RECTANGLE.convert('CMYK'), 'TIFF'),
        saved(RECTANGLE.convert('1')),
        saved(Image.fromarray(np.asarray(RECTANGLE.convert('L')).astype(np.uint16) * 257)),
        saved(RECTANGLE, 'GIF', save_all=True, append_images=[Image.new('RGB', (60, 40))] * 3),
        saved(RECTANGLE, 'JPEG', quality=95),
    ],
    ids=['RGB', 'grey', 'RGBA', 'palette', 'CMYK', 'bits', '16 bits', 'animation', 'JPEG'],
)
def test_files(data, tmp_path):
    (tmp_path / 'photo').write_bytes(data)
    for source in (data, tmp_path / 'photo', str(tmp_path / 'photo')):
        (face,) = predictor()(source)
        np.testing.assert_allclose(face.box, [10, 10, 30, 20], atol=0.5)


def test_exif_turns_the_photo():
    exif = Image.Exif()
    exif[0x112] = 6
    (face,) = predictor()(saved(RECTANGLE, 'JPEG', quality=95, exif=exif))
    # Turned clockwise, (x, y) of 60 x 40 lies at (40 - y, x).
    np.testing.assert_allclose(face.box, [20, 10, 30, 30], atol=0.5)


@pytest.mark.parametrize('width, height', [(1, 1), (1, 2000), (2000, 1), (5000, 3)])
def test_thin_photos(width, height):
    assert predictor()(np.full((height, width, 3), 255, np.uint8))[0].score == 1
    assert predictor(tile=400)(np.full((height, width, 3), 255, np.uint8))


def test_large_files_are_refused_before_decoding():
    data = saved(Image.new('1', (11000, 11000)))
    with pytest.raises(ImageError, match='11000x11000 pixels are more than the limit'):
        predictor()(data)
    with pytest.raises(ImageError, match='limit of 2399'):
        predictor(max_pixels=2399)(saved(RECTANGLE))
    assert predictor(max_pixels=2400)(saved(RECTANGLE))


def test_unreadable_files(tmp_path):
    (tmp_path / 'text.jpg').write_text('no photo')
    for path in (tmp_path / 'text.jpg', tmp_path / 'missing.jpg', tmp_path):
        with pytest.raises(ImageError, match=str(path)):
            predictor()(path)


@pytest.mark.filterwarnings('ignore::UserWarning:PIL')
def test_damaged_files():
    answered, refused = try_mutations(predictor(), 140)
    assert answered > 10 and refused > 10 and answered + refused == 140


# Options and loading


@pytest.mark.parametrize(
    'name, value', [('max_faces', 0), ('min_size', -1), ('tile', 8), ('batch', 0), ('max_pixels', 0)]
)
def test_options_out_of_range(name, value):
    with pytest.raises(UnifaceError, match=name):
        predictor(**{name: value})


@pytest.mark.parametrize(
    'device, number', [('cpu', None), ('gpu', 0), ('gpu(0)', 0), ('gpu(3)', 3), ('gpu:12', 12)]
)
def test_device_names(device, number):
    assert gpu_number(device) == number


@pytest.mark.parametrize('device', ['', 'cuda', 'gpu(', 'gpu(-1)', 'gpu()', 'gpu0', 'cpu(0)x', 'GPU'])
def test_unknown_device(device):
    with pytest.raises(BackendError, match='valid are cpu'):
        gpu_number(device)


@pytest.mark.parametrize('backend', ['mxnet', 'onnx'])
def test_no_silent_fallback_from_a_gpu(exported_model, backend):
    import mxnet as mx

    if mx.context.num_gpus():
        pytest.skip('this machine has a GPU')
    with pytest.raises(BackendError, match=r'gpu\(1\) cannot be used'):
        Predictor.load(exported_model, backend, 'gpu(1)')


def test_backends_that_are_not_there(exported_model):
    with pytest.raises(UnifaceError, match="did you mean 'mxnet'"):
        Predictor.load(exported_model, 'mxnett')
    with pytest.raises(BackendError, match='--int8'):
        Predictor.load(exported_model, 'mxnet-int8')
    with pytest.raises(BackendError, match='CPUs alone'):
        Predictor.load(exported_model, 'mxnet-int8', 'gpu')


@pytest.fixture
def copied(exported_model, tmp_path):
    """A copy of the model with some of its files."""

    def copy(*wanted):
        manifest = ModelFiles(exported_model).verify()
        names = [name for name in manifest['files'] if not wanted or any(part in name for part in wanted)]
        for name in names:
            shutil.copy(str(exported_model.parent / name), str(tmp_path))
        ModelFiles(tmp_path / 'lite').write_manifest(dict(manifest, files=names))
        return tmp_path / 'lite'

    return copy


def test_a_flipped_bit_is_an_error_that_names_the_file(copied):
    prefix = copied()
    file = prefix.parent / 'lite-0000.params'
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(bytes(data))
    with pytest.raises(ManifestError, match='lite-0000.params'):
        Predictor.load(prefix)


def test_incomplete_models(copied):
    with pytest.raises(ManifestError, match='no such manifest'):
        Predictor.load('nowhere/model')
    prefix = copied('lite-0000', 'lite-symbol')
    with pytest.raises(BackendError, match='exported without graphs for the backend onnx.*--onnx'):
        Predictor.load(prefix, 'onnx')
    manifest = json.loads(prefix.with_suffix('.json').read_text())
    del manifest['thresholds']
    prefix.with_suffix('.json').write_text(json.dumps(manifest))
    with pytest.raises(ManifestError, match="lacks or garbles 'thresholds'"):
        Predictor.load(prefix)


def test_a_graph_that_mxnet_cannot_load(copied):
    prefix = copied('lite-0000', 'lite-symbol')
    prefix.with_name('lite-symbol.json').write_text('{}')
    files = ModelFiles(prefix)
    files.write_manifest(dict(files.manifest, files=['lite-0000.params', 'lite-symbol.json']))
    with pytest.raises(BackendError, match='lite: MXNet cannot load'):
        Predictor.load(prefix)(photo(30, 30))


# The network itself


SIZES = '300x300 160x240 500x375 90x60 310x420 640x360 240x240 64x300 410x200'


def scenes():
    random = np.random.RandomState(5)
    for size in SIZES.split():
        width, height = map(int, size.split('x'))
        coarse = random.randint(0, 255, (6, 6, 3), dtype=np.uint8)
        yield np.asarray(Image.fromarray(coarse).resize((width, height), Image.BICUBIC))


def assert_same_faces(expected, actual, tolerance=1e-4):
    """Of a photo; random weights may put two faces of nearly one size in either order."""
    assert len(expected) == len(actual)
    left = list(actual)
    for face in expected:
        other = min(left, key=lambda other: np.abs(other.box - face.box).max())
        left = [entry for entry in left if entry is not other]
        for name in ('box', 'score', 'landmarks', 'embedding'):
            a, b = (np.asarray(getattr(entry, name)) for entry in (face, other))
            assert np.max(np.abs(a - b) / np.maximum(1, np.abs(a))) < tolerance, name


@pytest.fixture(scope='module')
def mxnet_faces(exported_model):
    find = Predictor.load(exported_model, score_threshold=0.2)
    return find(list(scenes()))


def test_alone_and_in_a_batch(exported_model, mxnet_faces):
    find = Predictor.load(exported_model, score_threshold=0.2)
    assert sum(map(len, mxnet_faces)) > 20
    for image, faces in zip(scenes(), mxnet_faces):
        assert_same_faces(faces, find(image))
        for face in faces:
            assert np.linalg.norm(face.embedding) == pytest.approx(1, abs=1e-5)
    for faces, other in zip(mxnet_faces[::-1], find(list(scenes())[::-1])):
        assert_same_faces(faces, other)


def test_onnx_runtime_agrees(exported_model, mxnet_faces):
    find = Predictor.load(exported_model, 'onnx', score_threshold=0.2)
    assert (find.device, find.backend) == ('cpu', 'onnx')
    for faces, other in zip(mxnet_faces, find(list(scenes()))):
        assert_same_faces(faces, other)


@pytest.mark.parametrize(
    'backend, files', [('mxnet', ('lite-0000', 'lite-symbol')), ('onnx', ('lite.onnx',))]
)
def test_the_whole_graph_serves_where_there_are_no_halves(copied, mxnet_faces, backend, files):
    find = Predictor.load(copied(*files), backend, score_threshold=0.2)
    assert 'whole graph' in repr(find)
    for faces, other in zip(mxnet_faces[:2], find(list(scenes())[:2])):
        assert_same_faces(faces, other)


def test_what_it_says_of_itself(exported_model):
    find = Predictor.load(exported_model)
    assert repr(find) == '<Predictor: lite by mxnet on cpu>'
    assert (find.name, find.backend, find.device) == ('lite', 'mxnet', 'cpu')
    assert find.verification_threshold == 0.3
    assert find.identification_threshold == 0.3
    find.manifest['thresholds']['identification'] = 0.0
    assert find.identification_threshold == 0.0
    assert find.identity == ModelFiles(exported_model).manifest['files']['lite-0000.params']
