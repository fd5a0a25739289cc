import numpy as np
import pytest
from calibrating import face, write

from uniface_mx.data.calibration import CalibrationError, read_calibration
from uniface_mx.data.records import RecordError


@pytest.fixture(scope='module')
def records(tmp_path_factory):
    """Eight photos with two faces each, one damaged, two without a face to take."""
    photos = [[face(0.1, 0.2, 0.2), face(0.5, 0.1, 0.4)] for _ in range(8)]
    photos += [None, [], [face(0.1, 0.1, 0.2, landmarks=0), face(0.2, 0.2, 0.2, ignore=1)]]
    return write(tmp_path_factory.mktemp('records') / 'set', photos)


def test_calibration_takes_the_largest_face_in_input_pixels(records):
    calibration = read_calibration([records], 300)
    assert calibration.canvases.shape == (8, 3, 300, 300) and calibration.canvases.dtype == np.float32
    # 120 x 60 becomes 300 x 150, and black below.
    assert not calibration.canvases[:, :, 150:].any() and calibration.canvases[:, :, :150].mean() > 50
    assert calibration.about == {'records': ['set'], 'photos': 8}
    expected = [150, 15, 270, 75] + [210, 45] * 5
    np.testing.assert_allclose(calibration.faces, [expected] * 8, rtol=1e-5)
    ((canvases, faces),) = calibration.batches()
    assert canvases.shape == (8, 3, 300, 300)
    np.testing.assert_allclose(faces[3], [3] + expected, rtol=1e-5)


def test_sets_take_turns(records, tmp_path):
    small = write(tmp_path / 'small', [[face(0, 0, 0.5)]] * 4)
    calibration = read_calibration([records, small], 300, photos=8)
    assert calibration.about == {'records': ['set', 'small'], 'photos': 8}
    assert np.count_nonzero(calibration.faces[:, 0] == 0) == 4
    assert read_calibration([records, small], 300, photos=15).about['photos'] == 8


def test_missing_calibration(records, tmp_path):
    with pytest.raises(CalibrationError, match='give --calibrate RECORDS'):
        read_calibration([], 300)
    with pytest.raises(RecordError, match='nowhere'):
        read_calibration([str(tmp_path / 'nowhere')], 300)
    few = write(tmp_path / 'few', [[face(0, 0, 0.5)]] * 7 + [[]])
    with pytest.raises(CalibrationError, match='few: 7 photos with a face that has landmarks; 8 or more'):
        read_calibration([few], 300)
