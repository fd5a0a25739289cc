"""The figures that choose the best checkpoint, by hand, and what a validation passes over."""

import re

import mxnet as mx
import numpy as np
import pytest
from drawn import TEACHERS, damaged, write_records

from uniface_mx.config.schema import LossesConfig, ValidationConfig
from uniface_mx.data.loader import Batch
from uniface_mx.data.records import RecordError
from uniface_mx.data.rows import BOX, EMBEDDING, HAS_EMBEDDING, HAS_LANDMARKS, IGNORE, LANDMARKS, OBJECT_WIDTH
from uniface_mx.geometry import iou
from uniface_mx.nn.anchors import anchor_grid, centre_to_corner
from uniface_mx.nn.coder import Decoder, encode_boxes, encode_landmarks
from uniface_mx.train import TrainError
from uniface_mx.train.criteria import Criteria, Graphs
from uniface_mx.train.targets import MEAN_LANDMARKS
from uniface_mx.train.validation import Validation, spread


def points_in(box):
    box = np.asarray(box, float)
    return box[:2] + MEAN_LANDMARKS * (box[2:] - box[:2])


def row(box, ignore=0):
    values = np.zeros(OBJECT_WIDTH, np.float32)
    values[BOX], values[IGNORE] = box, ignore
    if not ignore:
        values[LANDMARKS] = points_in(box).ravel()
        values[[HAS_LANDMARKS, HAS_EMBEDDING]] = 1
        values[EMBEDDING] = 0.5 + np.eye(128)[0]
    return values


class Photos:
    """Two photos of two faces, of which one is not annotated."""

    labels = (
        (row((20, 20, 100, 120)), row((150, 20, 230, 120))),
        (row((20, 150, 100, 250)), row((150, 150, 230, 250), 1)),
    )

    def __len__(self):
        return 2

    def batch(self, indices, max_faces, size):
        label = np.full((size, max_faces, OBJECT_WIDTH), -1, np.float32)
        for number, index in enumerate(indices):
            label[number, :2] = self.labels[index]
        data = np.zeros((size, 300, 300, 3), np.uint8)
        return Batch(data, label, len(indices), [['x']] * len(indices), [[] for _ in indices], 0)


@pytest.fixture
def validated():
    """A function that validates a network which finds the first face by 0.95, the second by 0.3 and the ignored one
    by 0.99, with points a tenth of the eyes' distance off, and embeds all at a cosine of 0.6 to the teacher: its
    figures, and the faces that its recognition saw."""
    anchors = centre_to_corner(anchor_grid())
    outputs = [np.zeros((2, len(anchors), width), np.float32) for width in (2, 4, 10)]
    outputs[0][..., 0] = 10
    for image, number, chance in ((0, 0, 0.95), (0, 1, 0.3), (1, 1, 0.99)):
        box = Photos.labels[image][number][BOX]
        points = points_in(box)
        points[:, 0] += 0.1 * np.linalg.norm(points[1] - points[0])
        best = iou(box[None], anchors).argmax()
        outputs[0][image, best] = 0, np.log(chance / (1 - chance))
        outputs[1][image, best] = encode_boxes(box, anchors[best])
        outputs[2][image, best] = encode_landmarks(points, anchors[best])
    vector = 0.5 + 0.6 * np.eye(128)[0] + 0.8 * np.eye(128)[1]
    decoder = Decoder(anchor_grid(), 300)
    decoder.initialize()

    def validate(predicted):
        seen = []

        def recognition(features, faces):
            seen.append(faces.asnumpy())
            return mx.nd.array(np.tile(vector, (len(faces), 1)))

        graphs = Graphs(lambda data: [*map(mx.nd.array, outputs), mx.nd.zeros((2, 1, 2, 2))], recognition)
        mean = np.full(128, 0.5, np.float32)
        settings = LossesConfig(roi_source='predicted' if predicted else 'ground_truth')
        criteria = Criteria(settings, anchors, [mx.cpu()])
        validation = Validation(
            Photos(), ValidationConfig(batch_size=2), graphs, decoder, criteria, mean, mx.cpu()
        )
        return validation(), seen[0]

    return validate


def test_figures(validated):
    figures, _ = validated(True)
    assert (figures['photos'], figures['faces']) == (2, 3)
    # Of three faces the most certain detections find two; one of them is certain enough for the recall.
    assert figures['average_precision'] == pytest.approx(2 / 3)
    assert figures['recall'] == pytest.approx(1 / 3)
    assert figures['landmark_error'] == pytest.approx(0.1, abs=1e-4)
    assert figures['cosine'] == pytest.approx(0.6, abs=1e-5)
    # 0.4 squared and 0.8 squared.
    assert figures['mimic'] == pytest.approx(0.8, rel=1e-5)


@pytest.mark.parametrize('predicted', [True, False])
def test_faces_are_embedded_where_the_network_or_the_label_has_them(validated, predicted):
    _, seen = validated(predicted)
    left, right = Photos.labels[0][0][LANDMARKS].reshape(5, 2)[:2, 0]
    assert seen[0, 5] == pytest.approx(left + predicted * 0.1 * (right - left), abs=0.05)


@pytest.mark.parametrize('images, indices', [(None, range(10)), (3, (0, 4, 9)), (99, range(10))])
def test_photos_are_spread(images, indices):
    assert spread(10, images).tolist() == list(indices)


def test_a_validation_does_not_depend_on_its_batches(build):
    """Twelve photos in batches of 4, 5 and 32: what fills up the last one counts for nothing."""
    first, *others = (
        build('data.validation=[{path: faces}]', f'validation.batch_size={size}', run=str(size)).validate()
        for size in (4, 5, 32)
    )
    assert first['loss'] > 0 and first['photos'] == 12
    for other in others:
        assert other == pytest.approx(first, rel=1e-4)


def test_a_damaged_record_counts_for_nothing_in_a_validation(build, records, tmp_path, capsys):
    """The first of twelve photos is damaged: the figures are those of the other eleven."""
    damaged(records, tmp_path, 0)
    write_records(tmp_path / 'first', [1])

    def figures(size, path):
        return build(f'data.validation=[{{path: {path}}}]', f'validation.batch_size={size}').validate()

    whole, first = figures(1, records / 'faces'), figures(1, tmp_path / 'first')
    one, five = figures(1, tmp_path / 'faces'), figures(5, tmp_path / 'faces')
    assert (whole['photos'], whole['bad_records']) == (12, 0)
    assert (one['photos'], one['bad_records']) == (11, 1) and one['faces'] == whole['faces'] - first['faces']
    assert five == pytest.approx(one, rel=1e-4)
    assert re.search(r'validation leaves out: .*faces\.rec, record 0', capsys.readouterr().err)


def test_a_validation_of_damaged_records_alone(build, tmp_path):
    (tmp_path / 'whole').mkdir()
    write_records(tmp_path / 'whole' / 'faces', [1])
    damaged(tmp_path / 'whole', tmp_path, 0)
    trainer = build(f'data.validation=[{{path: {tmp_path / "faces"}}}]')
    with pytest.raises(TrainError, match='all of its records are damaged'):
        trainer.validate()


def test_a_validation_by_another_teacher_is_refused(build, tmp_path):
    other = {'embeddings': dict(TEACHERS['embeddings'], version='2')}
    write_records(tmp_path / 'other', [1], teachers=other)
    with pytest.raises(RecordError, match='other.*cannot be mixed'):
        build(f'data.validation=[{{path: {tmp_path / "other"}}}]')
