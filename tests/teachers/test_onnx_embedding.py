import numpy as np
import pytest

from uniface_mx.config.reader import ConfigError
from uniface_mx.errors import UnifaceError
from uniface_mx.teachers import TeacherError, create_teacher

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

POINTS = [[2.5, 2.5], [5.5, 2.5], [4, 4], [2.5, 6], [5.5, 6]]


def mean_colour(path, layout, batch='N'):
    """A network that gives the means of an image's three channels."""
    helper = onnx.helper
    axes = [2, 3] if layout == 'NCHW' else [1, 2]
    shape = [batch, 3, 8, 8] if layout == 'NCHW' else [batch, 8, 8, 3]
    graph = helper.make_graph(
        [helper.make_node('ReduceMean', ['image'], ['vector'], axes=axes, keepdims=0)],
        'mean',
        [helper.make_tensor_value_info('image', onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info('vector', onnx.TensorProto.FLOAT, [batch, 3])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8), str(path))


@pytest.fixture
def describe(tmp_path):
    def write(batch='N', **values):
        mean_colour(tmp_path / 'mean.onnx', values.get('layout', 'NCHW'), batch)
        keys = dict({'model': 'mean.onnx', 'input_size': [8, 8], 'dim': 3, 'points': POINTS}, **values)
        path = tmp_path / 'mean.yaml'
        path.write_text('\n'.join(f'{key}: {value}' for key, value in keys.items()))
        return path

    return write


def red():
    crop = np.zeros((8, 8, 3), np.uint8)
    crop[..., 0] = 200
    return crop


@pytest.mark.parametrize(
    'values, vector',
    [
        ({'mean': [0, 0, 0], 'std': [1, 1, 1]}, [200, 0, 0]),
        ({'mean': [0, 0, 0], 'std': [1, 1, 1], 'channels': 'BGR'}, [0, 0, 200]),
        ({'mean': [100, 10, 0], 'std': [50, 5, 1]}, [2, -2, 0]),
        ({'mean': [100, 10, 0], 'std': [50, 5, 1], 'layout': 'NHWC'}, [2, -2, 0]),
        ({'mean': [197, 4, 0], 'std': [1, 1, 1], 'normalize': 'true'}, [0.6, -0.8, 0]),
    ],
)
def test_pixels_reach_the_network_as_described(describe, values, vector):
    teacher = create_teacher('onnx', description=describe(**values))
    np.testing.assert_allclose(teacher.embed([red()]), [vector], atol=1e-5)


def test_a_vector_depends_on_its_crop_alone(describe):
    teacher = create_teacher('onnx', description=describe())
    crops = list(np.random.RandomState(0).randint(0, 256, (5, 8, 8, 3)).astype(np.uint8))
    together = teacher.embed(crops)
    assert together.shape == (5, 3) and together.dtype == np.float32
    assert all(np.array_equal(teacher.embed([crop])[0], row) for crop, row in zip(crops, together))
    assert teacher.embed([]).shape == (0, 3)


def test_landmarks_come_to_lie_on_the_points(describe):
    teacher = create_teacher('onnx', description=describe())
    image = np.random.RandomState(0).randint(0, 256, (20, 20, 3)).astype(np.uint8)
    assert np.array_equal(teacher.align(image, np.array(POINTS) + [5, 7]), image[7:15, 5:13])


def test_identity_follows_weights_and_description(describe):
    one, same, other = (
        create_teacher('onnx', description=describe(**values))
        for values in ({}, {'channels': 'RGB'}, {'channels': 'BGR'})
    )
    assert one.sha256 == same.sha256 == other.sha256 and len(one.sha256) == 64
    assert one.version == same.version != other.version


@pytest.mark.parametrize(
    'values, message',
    [
        ({'dim': 4}, 'says dim: 4'),
        ({'input_size': [9, 8]}, 'does not run'),
        ({'batch': 2}, 'does not run'),
        ({'model': 'other.onnx'}, 'other.onnx: No such file'),
        ({'model': "''"}, "'model' is missing"),
        ({'channel': 'RGB'}, 'channels'),
        ({'channels': 'GBR'}, 'channels must be one of'),
        ({'std': [1, 0, 1]}, 'std'),
        ({'points': [[1, 2]]}, 'points must have 5 values'),
    ],
)
def test_what_is_wrong_is_named(describe, values, message):
    with pytest.raises(UnifaceError, match=message):
        create_teacher('onnx', description=describe(**values))


def test_damaged_files_are_named(describe, tmp_path):
    path = describe()
    (tmp_path / 'mean.onnx').write_bytes(b'junk')
    with pytest.raises(TeacherError, match='mean.onnx'):
        create_teacher('onnx', description=path)
    path.write_text('model: [')
    with pytest.raises(ConfigError, match='mean.yaml'):
        create_teacher('onnx', description=path)
    with pytest.raises(ConfigError, match='absent.yaml'):
        create_teacher('onnx', description=tmp_path / 'absent.yaml')
