import mxnet as mx
import numpy as np
import pytest

from uniface_mx.nn.anchors import anchor_grid
from uniface_mx.nn.detection import DetectionHeads, Suppression

SIDES = (36, 18, 9, 5, 3, 2, 1)


def logits(probabilities):
    """Class logits (1, M, 2) of face probabilities (M,)."""
    p = np.asarray(probabilities, dtype=np.float64)
    return mx.nd.array(np.stack([np.zeros_like(p), np.log(p / (1 - p))], axis=1)[None])


def suppress(probabilities, boxes, max_faces=4, score=0.05, iou=0.45, **options):
    landmarks = np.arange(len(boxes))[:, None] * np.ones((1, 10))
    block = Suppression(max_faces, score, iou, **options)
    return block(logits(probabilities), mx.nd.array(boxes)[None], mx.nd.array(landmarks)[None]).asnumpy()[0]


@pytest.mark.parametrize('scales', [1, 2])
@pytest.mark.parametrize(
    'level, row, column, anchor',
    [(0, 0, 0, 0), (0, 0, 35, 2), (0, 35, 1, 1), (1, 3, 4, 2), (2, 8, 0, 0), (3, 2, 1, 1), (6, 0, 0, 2)],
)
def test_outputs_stand_in_the_order_of_the_anchors(level, row, column, anchor, scales):
    """One cell of one level is lit, and a filter of one anchor sees it: that anchor alone answers."""
    heads = DetectionHeads(7, 3 * scales)
    heads.initialize(mx.init.Zero())
    maps = [mx.nd.zeros((2, 1, side, side)) for side in SIDES]
    heads(*maps)
    weight = np.zeros((3 * scales * 16, 1, 3, 3), np.float32)
    weight[anchor * 16 : anchor * 16 + 16, 0, 1, 1] = np.arange(1, 17)
    heads.heads[level].weight.set_data(mx.nd.array(weight))
    maps[level][1, 0, row, column] = 1
    classes, boxes, landmarks = (output.asnumpy() for output in heads(*maps))
    (found,) = np.nonzero(classes[1, :, 0])
    assert not classes[0].any() and len(found) == 1
    assert classes[1, found[0]].tolist() == [1, 2]
    assert boxes[1, found[0]].tolist() == [3, 4, 5, 6]
    assert landmarks[1, found[0]].tolist() == list(range(7, 17))
    grid = anchor_grid(scales_per_level=scales)
    assert len(grid) == classes.shape[1]
    step = 8 * 2**level
    if level < 3:
        assert grid[found[0], :2].tolist() == [9.5 + step * column, 9.5 + step * row]
    cell = grid[found[0] - anchor : found[0] - anchor + 3 * scales]
    assert np.all(cell[:, :2] == cell[0, :2])
    assert grid[found[0], 2] / grid[found[0], 3] == pytest.approx((0.95, 0.8, 0.65)[anchor], rel=1e-4)


def test_suppression_by_hand():
    boxes = [
        [0, 0, 10, 10],
        [1, 0, 11, 10],
        [0, 0, 10, 4.4],
        [50, 50, 60, 60],
        [0, 5, 10, 15],
        [80, 0, 90, 10],
    ]
    # The second overlaps the first by 9/11, the third by 0.44, the fifth by 1/3; the last scores too little.
    rows = suppress([0.9, 0.8, 0.7, 0.95, 0.6, 0.04], boxes, max_faces=6)
    assert np.allclose(rows[:4, 0], [0.95, 0.9, 0.7, 0.6])
    assert np.allclose(rows[:4, 1:5], [boxes[3], boxes[0], boxes[2], boxes[4]])
    assert rows[:4, 5:].mean(axis=1).tolist() == [3, 0, 2, 4]
    assert np.all(rows[4:] == -1)


def test_thresholds():
    padded = [[0, 0, 10, 10], [0, 0, 10, 6], [200, 200, 201, 201], [200, 200, 201, 201]]
    for iou, faces in ((0.59, 1), (0.61, 2)):
        assert np.sum(suppress([0.9, 0.8, 0.01, 0.01], padded, iou=iou)[:, 0] > 0) == faces
    for score, faces in ((0.79, 2), (0.81, 1), (0.95, 0)):
        assert np.sum(suppress([0.9, 0.8, 0.01, 0.01], padded, score=score, iou=0.7)[:, 0] > 0) == faces


def test_no_face():
    rows = suppress([0.01] * 5, [[0, 0, 10, 10]] * 5)
    assert rows.shape == (4, 15) and np.all(rows == -1)


def test_more_faces_than_rows():
    """The best are kept, in order."""
    boxes = [[20 * k, 0, 20 * k + 10, 10] for k in range(9)]
    rows = suppress(np.linspace(0.1, 0.9, 9), boxes)
    assert np.allclose(rows[:, 0], [0.9, 0.8, 0.7, 0.6])
    assert np.allclose(rows[:, 1], [160, 140, 120, 100])


def test_only_candidates_are_faces():
    boxes = [[20 * k, 0, 20 * k + 10, 10] for k in range(9)]
    rows = suppress(np.linspace(0.1, 0.9, 9), boxes, candidates=2)
    assert np.sum(rows[:, 0] > 0) == 2


def test_boxes_beyond_the_border():
    rows = suppress(
        [0.9, 0.8, 0.7, 0.6], [[-300, -300, -10, -20], [590, 0, 600, 600], [5, 5, 5, 5], [9, 9, 3, 3]]
    )
    assert np.isfinite(rows).all() and np.all(rows[:2, 0] > 0)


def test_images_of_a_batch_do_not_meet():
    boxes = mx.nd.array([[[0, 0, 10, 10]] * 4] * 2)
    probabilities = mx.nd.concat(logits([0.9, 0.5, 0.5, 0.5]), logits([0.01, 0.02, 0.03, 0.6]), dim=0)
    rows = Suppression(3, 0.05, 0.45)(probabilities, boxes, mx.nd.zeros((2, 4, 10))).asnumpy()
    assert np.allclose(rows[:, 0, 0], [0.9, 0.6]) and np.all(rows[:, 1:] == -1)
