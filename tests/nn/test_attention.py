import mxnet as mx
import numpy as np
import pytest

from uniface_mx.nn.anchors import MapFrame, map_frame
from uniface_mx.nn.attention import Recognition, RoiRegions, _branch

FINE, COARSE = map_frame(upsampling=4), map_frame(2)
FACES = np.array([120, 80, 216, 208]), np.array([[144, 120], [192, 120], [168, 144], [152, 176], [184, 176]])


def ramp(frame, side, channels=('x', 'y')):
    """A map whose cells hold the x and the y of their own centres in the image."""
    centres = frame.origin + frame.stride * (np.arange(side) + 0.5)
    y, x = np.meshgrid(centres, centres, indexing='ij')
    return mx.nd.array(np.stack([x, y])[None])


def faces(*rows, index=0):
    return mx.nd.array([[index] + list(np.ravel(box)) + list(np.ravel(points)) for box, points in rows])


def cut(features, rows, frame=FINE, roi_op='align', landmarks=True):
    return [region.asnumpy() for region in mx_list(RoiRegions(frame, 300, roi_op, landmarks)(features, rows))]


def mx_list(outputs):
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


def test_shapes_of_the_regions():
    regions = cut(mx.nd.ones((2, 3, 144, 144)), faces(FACES, FACES))
    assert [region.shape for region in regions] == [(2, 3, 48, 48)] + [(2, 3, 14, 14)] * 4
    assert len(cut(mx.nd.ones((2, 3, 144, 144)), faces(FACES), landmarks=False)) == 1


def test_windows_by_hand():
    """Sampled bilinearly, a ramp tells where a window's samples lie: at (i + 0.5) of its side."""
    face, left_eye, right_eye, nose, mouth = cut(ramp(FINE, 144), faces(FACES))
    assert np.allclose(face[0, 0, 7], 120 + 96 * (np.arange(48) + 0.5) / 48, atol=1e-2)
    assert np.allclose(face[0, 1, :, 7], 80 + 128 * (np.arange(48) + 0.5) / 48, atol=1e-2)
    # 14/48 of a face of 96 x 128 is 28 x 37.33.
    for region, (x, y) in (
        (left_eye, (144, 120)),
        (right_eye, (192, 120)),
        (nose, (168, 144)),
        (mouth, (168, 176)),
    ):
        assert np.allclose(region[0, 0, 3], x - 14 + 28 * (np.arange(14) + 0.5) / 14, atol=1e-2)
        assert np.allclose(region[0, 1, :, 3], y - 56 / 3 + 112 / 3 * (np.arange(14) + 0.5) / 14, atol=1e-2)


def test_pooling_reads_the_cells_of_its_box_and_no_more():
    """ROIPooling's right and bottom are inclusive; cells 10 to 57 go to 48 outputs one to one."""
    frame = MapFrame(0, 1)
    region = cut(ramp(frame, 144), faces(([10, 20, 58, 68], np.full((5, 2), 40))), frame, 'pool')[0]
    assert region[0, 0, 0].tolist() == [x + 0.5 for x in range(10, 58)]
    assert region[0, 1, :, 0].tolist() == [y + 0.5 for y in range(20, 68)]


def test_pool_and_align_look_at_the_same_place():
    for frame, side, margin in ((FINE, 144, 3), (COARSE, 9, 48)):
        for pooled, aligned in zip(
            cut(ramp(frame, side), faces(FACES), frame, 'pool'),
            cut(ramp(frame, side), faces(FACES), frame, 'align'),
        ):
            assert np.abs(pooled.mean(axis=(2, 3)) - aligned.mean(axis=(2, 3))).max() < margin


@pytest.mark.parametrize('x, y', [(100.0, 150.0), (120.3, 141.9), (131.7, 133.3)])
def test_windows_below_a_cell_stay_in_their_place(x, y):
    """On the 9x9 map a landmark's window of a small face is smaller than a cell."""
    box = np.array([x - 20, y - 25, x + 20, y + 25])
    for region in cut(ramp(COARSE, 9), faces((box, np.full((5, 2), (x, y)))), COARSE)[1:]:
        assert np.allclose(region.mean(axis=(2, 3)), [[x, y]], atol=0.1)


def test_mouth_is_the_middle_of_its_corners():
    box, points = FACES
    shifted = points.copy()
    shifted[3], shifted[4] = (140, 166), (196, 186)
    assert np.allclose(
        cut(ramp(FINE, 144), faces((box, shifted)))[4], cut(ramp(FINE, 144), faces(FACES))[4], atol=1e-3
    )


@pytest.mark.parametrize('roi_op', ['pool', 'align'])
def test_what_lies_outside_is_0_and_finite(roi_op):
    features = mx.nd.ones((1, 2, 144, 144))
    half_out = faces(([-60, 100, 60, 220], np.full((5, 2), 160)))
    region = cut(features, half_out, roi_op=roi_op)[0][0, 0]
    assert np.all(region[:, :20] == 0) and np.all(region[:, 28:] == 1)
    for rows in (
        faces(([-250, -200, -160, -100], np.full((5, 2), -200))),
        faces(([310, 320, 400, 420], np.full((5, 2), 500))),
    ):
        assert all(np.all(region == 0) for region in cut(features, rows, roi_op=roi_op))


@pytest.mark.parametrize('roi_op', ['pool', 'align'])
@pytest.mark.parametrize('frame, side', [(FINE, 144), (COARSE, 9)])
@pytest.mark.parametrize('value', [1e9, -1e9, 3e38, -1.0, 0.0])
def test_no_coordinate_breaks_it(roi_op, frame, side, value):
    features = mx.nd.ones((1, 2, side, side))
    boxes = [
        [value] * 4,
        [-value] * 4,
        [-abs(value), -abs(value), abs(value), abs(value)],
        [value, value, -value, -value],
    ]
    rows = faces(*[(box, np.full((5, 2), value)) for box in boxes])
    for region in cut(features, rows, frame, roi_op):
        assert np.isfinite(region).all() and region.min() >= 0 and region.max() <= 1.001


@pytest.mark.parametrize('roi_op', ['pool', 'align'])
@pytest.mark.parametrize('index, image', [(0, 0), (1, 1), (2, 2), (-1, 0), (99, 2), (1e9, 2)])
def test_numbers_of_images_are_held_within_the_batch(roi_op, index, image):
    features = mx.nd.array(np.arange(3.0).reshape(3, 1, 1, 1) * np.ones((1, 1, 144, 144)))
    assert np.all(cut(features, faces(FACES, index=index), roi_op=roi_op)[0] == image)


def test_unknown_operator():
    with pytest.raises(ValueError, match="'crop'; choose one of pool, align"):
        RoiRegions(FINE, 300, 'crop', True)


def spread(regions, other):
    return np.mean([np.abs(a - b).mean() for a, b in zip(regions, other)])


@pytest.mark.parametrize('roi_op', ['pool', 'align'])
@pytest.mark.parametrize('frame, side, step, face_cells', [(FINE, 144, 20, 50), (COARSE, 9, 32, 4)])
def test_a_face_at_nine_places_gives_the_same_regions(roi_op, frame, side, step, face_cells):
    """A pattern on the map moves with the face by whole cells; regions cut one cell off differ far more."""
    random = np.random.RandomState(0)
    pattern = random.uniform(size=(1, 4, face_cells, face_cells))
    step_cells = int(step // frame.stride)
    regions, shifted = [], []
    for row in range(3):
        for column in range(3):
            canvas = np.zeros((1, 4, side, side))
            top, left = 1 + row * step_cells, 1 + column * step_cells
            canvas[:, :, top : top + face_cells, left : left + face_cells] = pattern
            for offset, found in ((0, regions), (1, shifted)):
                corner = frame.origin + frame.stride * (np.array([left, top]) + offset)
                size = frame.stride * face_cells
                points = corner + size * np.array(
                    [[0.3, 0.35], [0.7, 0.35], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]]
                )
                rows = faces((np.concatenate([corner, corner + size]), points))
                found.append(cut(mx.nd.array(canvas), rows, frame, roi_op))
    same = max(spread(regions[0], other) for other in regions[1:])
    assert same < 1e-3 < 0.1 * spread(regions[0], shifted[0])


@pytest.mark.parametrize('landmark_hidden, weights', [(8, 5), (0, 1)])
def test_recognition(landmark_hidden, weights):
    net = Recognition(FINE, 300, 'pool', 8, landmark_hidden, prefix='recognition_')
    net.initialize()
    features = mx.nd.random.normal(shape=(2, 4, 144, 144))
    assert net(features, faces(FACES, FACES, FACES)).shape == (3, 128)
    assert len(net.collect_params('.*conv1_weight').keys()) == weights
    assert net.embedding.weight.shape == (128, 1024)


@pytest.mark.parametrize(
    'side, grid, cells', [(48, 4, [(0, 12), (12, 24), (24, 36), (36, 48)]), (14, 2, [(0, 8), (6, 14)])]
)
def test_features_keep_their_place(side, grid, cells):
    """With kernels that pass a channel on, a feature is the mean over its cell of the grid."""
    branch = _branch('b', 1, grid**2, side, grid)
    branch.initialize()
    for name in ('conv1', 'conv2'):
        kernel = np.zeros((1, 1, 3, 3))
        kernel[0, 0, 1, 1] = 1
        (weight,) = branch.collect_params(f'.*{name}_weight').values()
        weight.set_data(mx.nd.array(kernel))
    region = np.repeat(np.repeat(np.random.RandomState(0).uniform(size=(side // 2, side // 2)), 2, 0), 2, 1)
    expected = [region[top:bottom, left:right].mean() for top, bottom in cells for left, right in cells]
    assert np.allclose(branch(mx.nd.array(region[None, None]))[0].asnumpy(), expected, atol=1e-6)


def test_faces_do_not_meet():
    """A face's embedding does not depend on the faces beside it."""
    net = Recognition(FINE, 300, 'pool', 8, 8)
    net.initialize()
    features = mx.nd.random.normal(shape=(1, 4, 144, 144))
    other = (FACES[0] + 40, FACES[1] + 40)
    together = net(features, faces(FACES, other)).asnumpy()
    assert np.allclose(together[0], net(features, faces(FACES)).asnumpy()[0], atol=1e-6)
    assert np.abs(together[0] - together[1]).max() > 1e-5
