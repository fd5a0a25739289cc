import numpy as np
import pytest

from tools import benchmark
from uniface_mx.deploy.predictor import Face
from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation.benchmark import compare
from uniface_mx.evaluation.results import read_result
from uniface_mx.image import write_image


def face(left, embedding, right=None, shift=0.0):
    box = np.array([left, 0, left + 100 if right is None else right, 100], np.float32)
    points = np.tile([left + 50 + shift, 50], (5, 1)).astype(np.float32)
    return Face(box, 0.9, points, np.array(embedding, np.float32))


def test_by_hand():
    expected = [[face(0, [1, 0]), face(200, [0, 1])], [face(0, [0.6, 0.8])], []]
    # Found: the first a tenth wider, the second not at all, the third turned; and one where there is none.
    found = [[face(0, [1, 0], right=110, shift=5)], [face(0, [0.8, 0.6])], [face(0, [1, 0])]]
    figures = compare(expected, found, centred=True)
    assert (figures['faces'], figures['found'], figures['compared']) == (3, 3, 2)
    # 100/110 and 1 are met, the second is not.
    assert figures['boxes'] == pytest.approx(2 / 3)
    assert figures['cosine'] == pytest.approx((1 + 0.96) / 2)
    assert figures['cosine_least'] == pytest.approx(0.96)
    assert figures['landmarks'] == pytest.approx(0.025)
    assert compare([[face(0, [1, 0])]], [[face(0, [1, 0], right=115)]], True)['boxes'] == 0


def test_centring():
    one = [[face(0, [1, 0.1]), face(200, [1, -0.1])]]
    other = [[face(0, [1, -0.1]), face(200, [1, 0.1])]]
    assert compare(one, other, centred=True)['cosine'] > 0.97
    assert compare(one, other, centred=False)['cosine'] == pytest.approx(-1)


def test_one_to_one():
    twice = [[face(0, [1, 0]), face(2, [0, 1])]]
    figures = compare(twice, [[face(0, [1, 0])]], centred=True)
    assert figures['boxes'] == 0.5 and figures['cosine'] == pytest.approx(1)


def test_nothing_to_compare():
    with pytest.raises(UnifaceError, match='no face that both see'):
        compare([[face(0, [1, 0])]], [[face(500, [1, 0])]], centred=True)


def test_by_command(exported_model, tmp_path, capsys):
    for number in range(4):
        noise = np.random.RandomState(number).randint(0, 255, (6, 6, 3), dtype=np.uint8)
        write_image(tmp_path / f'{number}.png', np.kron(noise, np.ones((40, 40, 1), np.uint8)))
    arguments = ['agreement', '--model', str(exported_model), '--photos', str(tmp_path), '--score', '0.2']
    options = ['--backends', 'mxnet', 'onnx', '--results', str(tmp_path / 'results')]
    assert benchmark.main([*arguments, '--count', '4', *options]) == 0
    assert '100.00% of the boxes' in capsys.readouterr().out
    result = read_result(tmp_path / 'results' / 'lite' / 'agreement.json')
    assert result['metrics']['cosine'] > 0.9999 and result['metrics']['backends'] == ['mxnet', 'onnx']
    assert benchmark.main([*arguments, '--count', '5', *options]) == 2
    assert '5 photos are needed, 4 are there' in capsys.readouterr().err
