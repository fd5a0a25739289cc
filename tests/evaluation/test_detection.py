import numpy as np
import pytest
from scripted import Scripted, face

from uniface_mx.data.records import Record
from uniface_mx.data.rows import (
    BOX,
    EMBEDDING,
    EMBEDDING_DIM,
    HAS_EMBEDDING,
    HAS_LANDMARKS,
    IGNORE,
    LANDMARKS,
    OBJECT_WIDTH,
)
from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation import detection
from uniface_mx.evaluation.options import spread
from uniface_mx.geometry import match_boxes
from uniface_mx.image import encode_jpeg

FACES = np.array([[0, 0, 10, 10], [20, 20, 40, 40]], float)


def record(size, boxes, ignored):
    width, height = size
    objects = np.zeros((len(boxes), OBJECT_WIDTH), np.float32)
    objects[:, BOX] = np.array(boxes, float).reshape(-1, 4) / [width, height, width, height]
    objects[:, IGNORE] = ignored
    return Record(encode_jpeg(np.full((height, width, 3), len(boxes), np.uint8)), objects, width, height)


def test_a_detection_belongs_to_the_size_of_its_face():
    boxes = np.array([[0, 0, 10, 16], [20, 20, 40, 40], [60, 60, 70, 90], [21, 20, 40, 42]], float)
    outcome = match_boxes(boxes, [0.6, 0.9, 0.8, 0.7], FACES, [False, False])
    heights = boxes[:, 3] - boxes[:, 1]
    # The second found the face of 20, the first that of 10; the last came too late.
    assert detection.sizes_of(outcome, heights, np.array([10.0, 20])).tolist() == [20, 30, 22, 10]


def test_a_false_detection_counts_with_its_own_size():
    records = [record((300, 300), [[0, 0, 20, 20], [100, 0, 200, 100]], [0, 0])]
    answers = [face((200, 200, 220, 220), 0.9), face((0, 0, 20, 20), 0.8), face((100, 0, 200, 100), 0.7)]
    figures = detection.evaluate(Scripted(lambda image: answers), records, progress=False)
    by_height = {row['from']: row['average_precision'] for row in figures['by_height'] if row['faces']}
    assert by_height == {16: 0.5, 96: 1.0}
    assert figures['average_precision'] == pytest.approx(2 / 3)


def test_evaluate_by_hand():
    # At 300 px the first photo's faces are 60 and 150 px high, the second has none.
    records = [
        record((100, 50), [[0, 0, 20, 20], [50, 0, 90, 50], [30, 30, 40, 40]], [0, 0, 1]),
        record((40, 40), np.zeros((0, 4)), np.zeros(0)),
    ]

    def answer(image):
        if image.shape[0] == 40:
            return [face((0, 0, 10, 10), 0.95)]
        return [face((0, 0, 20, 20), 0.9), face((50, 0, 90, 50), 0.3), face((30, 30, 40, 40), 0.99)]

    figures = detection.evaluate(Scripted(answer), records, progress=False)
    assert (figures['photos'], figures['faces']) == (2, 2)
    # 0.95 false, 0.9 true, 0.3 true: precision 1/2, 2/3.
    assert figures['average_precision'] == pytest.approx(2 / 3)
    assert figures['recall'] == 0.5
    assert figures['precision'] == 0.5
    assert figures['false_positives_per_photo'] == 0.5
    by_height = {
        row['from']: (row['faces'], row['average_precision'], row['recall'])
        for row in figures['by_height']
        if row['faces']
    }
    # The false one is 75 px high, and spoils neither.
    assert by_height == {48: (1, 1.0, 1.0), 144: (1, 1.0, 0.0)}


def test_labels_of_found_faces_are_compared():
    labelled = record((100, 50), [[0, 0, 20, 20], [50, 0, 90, 50]], [0, 0])
    points = np.array([[4, 4], [14, 4], [9, 9], [5, 15], [13, 15]], np.float32)
    labelled.objects[0, LANDMARKS] = (points / [100, 50]).ravel()
    labelled.objects[0, [HAS_LANDMARKS, HAS_EMBEDDING]] = 1
    mean = np.full(EMBEDDING_DIM, 0.5, np.float32)
    labelled.objects[0, EMBEDDING] = mean + 0.1 * np.eye(EMBEDDING_DIM)[0]
    answers = [
        face((50, 0, 90, 50), 0.95, embedding=np.eye(EMBEDDING_DIM)[1]),
        face(
            (0, 0, 20, 20),
            0.9,
            points + [1, 0],
            0.6 * np.eye(EMBEDDING_DIM)[0] + 0.8 * np.eye(EMBEDDING_DIM)[1],
        ),
    ]
    figures = detection.evaluate(Scripted(lambda image: answers), [labelled], mean=mean, progress=False)
    assert (figures['landmark_error']['faces'], figures['cosine_to_teacher']['faces']) == (1, 1)
    assert figures['landmark_error']['mean'] == pytest.approx(0.1, abs=1e-5)
    assert figures['cosine_to_teacher']['mean'] == pytest.approx(0.6, abs=1e-5)
    figures = detection.evaluate(Scripted(lambda image: answers), [labelled], progress=False)
    assert figures['cosine_to_teacher']['faces'] == 0


def test_every_height_has_its_row():
    assert detection.SIZES[0] == 0
    figures = detection.summarise(
        [match_boxes(np.zeros((0, 4)), [], FACES, [False, False])], np.array([1.0, 300.0]), np.zeros(0), 0.5
    )
    assert sum(row['faces'] for row in figures['by_height']) == 2
    assert figures['precision'] is None


def test_no_face_that_counts():
    with pytest.raises(UnifaceError, match='no face that counts'):
        detection.evaluate(
            Scripted(lambda image: []), [record((20, 20), [[0, 0, 9, 9]], [1])], progress=False
        )


@pytest.mark.parametrize(
    'limit, numbers', [(None, range(10)), (10, range(10)), (99, range(10)), (3, (0, 4, 9)), (1, (0,))]
)
def test_records_spread_over_a_set(limit, numbers):
    assert list(spread([list(range(10))], limit)) == list(numbers)
