import sqlite3

import numpy as np
import pytest

from uniface_mx.data.sources import SourceError, open_source

SCHEMA = """
CREATE TABLE Databases (db_id TEXT PRIMARY KEY, path TEXT, description TEXT);
CREATE TABLE FaceImages (image_id INTEGER PRIMARY KEY, db_id TEXT, file_id TEXT, filepath TEXT, bw INTEGER,
                         width INTEGER, height INTEGER);
CREATE TABLE Faces (face_id INTEGER PRIMARY KEY, file_id TEXT, db_id TEXT);
CREATE TABLE FaceRect (face_id INTEGER PRIMARY KEY, x INTEGER, y INTEGER, w INTEGER, h INTEGER,
                       annot_type_id INTEGER, upsidedown INTEGER);
CREATE TABLE FeatureCoordTypes (feature_id INTEGER PRIMARY KEY, descr TEXT, code TEXT,
                                x REAL, y REAL, z REAL);
CREATE TABLE FeatureCoords (face_id INTEGER, feature_id INTEGER, x REAL, y REAL, annot_type_id INTEGER,
                            PRIMARY KEY (face_id, feature_id));
INSERT INTO Databases VALUES ('flickr', 'flickr/', 'Flickr');
INSERT INTO FaceImages VALUES (1, 'flickr', 'image00002.jpg', '0/image00002.jpg', 0, 100, 80);
INSERT INTO FaceImages VALUES (2, 'flickr', 'image00013.jpg', '2/image00013.jpg', 0, 100, 80);
INSERT INTO Faces VALUES (39341, 'image00013.jpg', 'flickr');
INSERT INTO Faces VALUES (39342, 'image00013.jpg', 'flickr');
INSERT INTO Faces VALUES (39343, 'image00002.jpg', 'flickr');
INSERT INTO FaceRect VALUES (39341, 20, 15, 45, 45, 1, 0);
INSERT INTO FaceRect VALUES (39342, -5, 15, 40, 40, 1, 0);
"""
NAMES = {
    7: 'LeftEyeLeftCorner',
    8: 'LeftEyeCenter',
    11: 'RightEyeCenter',
    12: 'RightEyeRightCorner',
    15: 'NoseCenter',
    18: 'MouthLeftCorner',
    19: 'MouthCenter',
    20: 'MouthRightCorner',
    21: 'ChinCenter',
}
POINTS = {20: (48, 55), 18: (33, 54), 15: (40, 43.5), 8: (30.5, 31), 11: (50, 32), 19: (40, 56), 21: (40, 62)}


@pytest.fixture
def aflw(tmp_path, write_image):
    write_image('flickr/0/image00002.jpg')
    write_image('flickr/2/image00013.jpg')
    connection = sqlite3.connect(str(tmp_path / 'aflw.sqlite'))
    connection.executescript(SCHEMA)
    connection.executemany(
        'INSERT INTO FeatureCoordTypes VALUES (?, ?, ?, 0, 0, 0)',
        [(number, name, name[:3]) for number, name in NAMES.items()],
    )
    connection.executemany(
        'INSERT INTO FeatureCoords VALUES (39341, ?, ?, ?, 0)',
        [(number, x, y) for number, (x, y) in POINTS.items()],
    )
    connection.executemany('INSERT INTO FeatureCoords VALUES (39342, ?, 10, 20, 0)', [(8,), (15,), (18,)])
    connection.commit()
    connection.close()
    return tmp_path / 'aflw.sqlite'


def test_boxes_and_points(aflw):
    without, image = source = open_source(f'aflw:{aflw}')
    assert image.key == '2/image00013.jpg' and image.path.is_file()
    np.testing.assert_array_equal(image.boxes, [[20, 15, 65, 60], [-5, 15, 35, 55]])
    np.testing.assert_array_equal(image.landmarks[0], [[30.5, 31], [50, 32], [40, 43.5], [33, 54], [48, 55]])
    assert np.isnan(image.landmarks[1]).all(), 'a face turned away has not all points'
    assert without.key == '0/image00002.jpg' and without.boxes.shape == (0, 4)
    assert source.issues == [('0/image00002.jpg', 'face_id 39343: it has no rectangle')]
    assert source.teacher_box and not source.complete and source.name == 'aflw'


def test_root(aflw, tmp_path):
    (tmp_path / 'flickr').rename(tmp_path / 'pictures')
    assert open_source(f'aflw:{aflw}?root={tmp_path / "pictures"}')[1].path.is_file()


def test_the_file_is_not_written(aflw):
    before = aflw.read_bytes()
    aflw.chmod(0o444)
    list(open_source(f'aflw:{aflw}'))
    assert aflw.read_bytes() == before


@pytest.mark.parametrize(
    'statement, message',
    [
        ('DROP TABLE FeatureCoordTypes', 'FeatureCoordTypes'),
        ("UPDATE FaceRect SET w = 'wide' WHERE face_id = 39341", 'face_id 39341'),
        ("UPDATE FeatureCoords SET x = 'left' WHERE face_id = 39341", 'face_id 39341'),
        ("UPDATE FaceImages SET filepath = '../../x.jpg'", 'face 39341'),
        ('DELETE FROM Faces', 'no image found'),
    ],
)
def test_malformed(aflw, statement, message):
    connection = sqlite3.connect(str(aflw))
    connection.execute(statement)
    connection.commit()
    connection.close()
    with pytest.raises(SourceError, match=message) as raised:
        open_source(f'aflw:{aflw}')
    assert str(aflw.parent) in str(raised.value)


def test_no_sqlite_file(tmp_path):
    (tmp_path / 'aflw.sqlite').write_text('not a data base, but long enough to be one' * 50)
    with pytest.raises(SourceError, match="aflw.sqlite: not AFLW's"):
        open_source(f'aflw:{tmp_path / "aflw.sqlite"}')
