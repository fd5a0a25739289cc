import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import Scripted, face

from uniface_mx.evaluation import fddb, fddb_files
from uniface_mx.evaluation.fddb import count_image, merge_counts
from uniface_mx.evaluation.fddb_files import Curve, FddbError
from uniface_mx.image import ImageError, write_image


def write_folds(directory, pattern, text_of_fold):
    directory.mkdir(parents=True, exist_ok=True)
    for fold in range(1, 11):
        (directory / pattern.format(fold)).write_text(text_of_fold(fold))
    return directory


def test_parse_faces(tmp_path):
    path = tmp_path / 'list.txt'
    path.write_text('2002/a\n2\n1 2 3 4 5  1\n6 7 8 9 10 1\n2002/b\n0\n\n')
    faces = fddb_files.parse_faces(path, (5, 6))
    assert list(faces) == ['2002/a', '2002/b']
    assert faces['2002/a'].tolist() == [[1, 2, 3, 4, 5, 1], [6, 7, 8, 9, 10, 1]]
    assert faces['2002/b'].shape == (0, 5)


@pytest.mark.parametrize(
    'text, complaint',
    [
        ('a\n2\n1 2 3 4 5\n', 'announces 2 faces, 1 rows follow'),
        ('a\nx\n', 'expected the number of its faces'),
        ('a\n', 'expected the number of its faces'),
        ('a\n-1\n', 'announces -1 faces'),
        ('a\n1\n1 2 3 4\n', 'expected 5 finite numbers in a row, found 4'),
        ('a\n1\n1 2 3 4 nan\n', 'expected 5 finite numbers'),
        ('a\n1\n1 2 3 four 5\n', 'and a row for each'),
        ('a\n0\na\n0\n', 'occurs twice'),
    ],
)
def test_malformed_lists(tmp_path, text, complaint):
    path = tmp_path / 'list.txt'
    path.write_text(text)
    with pytest.raises(FddbError, match=complaint):
        fddb_files.parse_faces(path, (5,))


def test_missing_fold(tmp_path):
    write_folds(tmp_path, 'fold-{:02d}-out.txt', lambda fold: f'i{fold}\n0\n')
    (tmp_path / 'fold-07-out.txt').unlink()
    with pytest.raises(FddbError, match='fold-07-out.txt: missing; all 10 folds'):
        fddb_files.read_detections(tmp_path)


def test_image_in_two_folds(tmp_path):
    write_folds(tmp_path, 'fold-{:02d}-out.txt', lambda fold: f'i{min(fold, 9)}\n0\n')
    with pytest.raises(FddbError, match="fold-10-out.txt: image 'i9' is in an earlier fold"):
        fddb_files.read_detections(tmp_path)


def test_match_maximises_the_sum_not_the_single_overlap():
    assert fddb.match(np.array([[0.9, 0.8], [0.7, 0.0]])) == [(0, 1), (1, 0)]
    assert fddb.match(np.zeros((2, 3))) == []
    assert fddb.match(np.zeros((0, 3))) == []


def test_count_image_by_hand():
    overlap = np.array([[0.8, 0.0, 0.6], [0.0, 0.5, 0.0]])
    counts = count_image(overlap, [0.9, 0.7, 0.9])
    assert counts.thresholds.tolist() == [0.9, 0.7]
    # At 0.9: one of the two detections on the first face is false. At 0.7 a match at 0.5 counts 0.5 and is
    # false.
    assert counts.discrete.tolist() == [1, 1]
    assert counts.continuous.tolist() == [0.8, 1.3]
    assert counts.false_positives.tolist() == [1, 2]


def test_count_image_with_an_ignored_face():
    counts = count_image(np.array([[0.8, 0.0], [0.0, 0.6]]), [0.5, 0.5], ignored=[False, True])
    assert (counts.discrete.tolist(), counts.continuous.tolist(), counts.false_positives.tolist()) == (
        [1],
        [0.8],
        [0],
    )


def test_matching_is_repeated_at_every_threshold():
    # The second detection takes the face over from the first, which finds the other one.
    overlap = np.array([[0.6, 0.9], [0.55, 0.0]])
    counts = count_image(overlap, [0.9, 0.8])
    assert counts.discrete.tolist() == [1, 2]
    assert counts.continuous.tolist() == pytest.approx([0.6, 1.45])
    assert counts.false_positives.tolist() == [0, 0]


def test_merge_by_hand():
    curve = merge_counts(
        [
            count_image(np.array([[0.8, 0.0]]), [0.9, 0.3]),
            count_image(np.array([[0.6]]), [0.5]),
            count_image(np.zeros((2, 0)), []),
        ],
        faces=4,
    )
    assert curve.thresholds.tolist() == [0.3, 0.5, 0.9, sys.float_info.max]
    assert curve.discrete.tolist() == [0.5, 0.5, 0.25, 0]
    assert curve.continuous.tolist() == pytest.approx([0.35, 0.35, 0.2, 0])
    assert curve.false_positives.tolist() == [1, 0, 0, 0]


def test_no_row_of_zeros_where_every_image_has_a_detection():
    assert merge_counts([count_image(np.array([[0.8]]), [0.9])], faces=1).thresholds.tolist() == [0.9]


def test_nothing_annotated():
    with pytest.raises(FddbError, match='no annotated face'):
        merge_counts([], faces=0)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.lists(st.sampled_from([0.1, 0.4, 0.5, 0.9]), max_size=4)),
        min_size=1,
        max_size=6,
    ),
    st.randoms(use_true_random=False),
)
def test_merge_is_the_sum_over_images_at_each_threshold(images, random):
    made = [
        (
            np.array([[random.random() for _ in scores] for _ in range(faces)]).reshape(faces, len(scores)),
            np.array(scores),
        )
        for faces, scores in images
    ]
    curve = merge_counts([count_image(overlap, scores) for overlap, scores in made], faces=10)
    for row, threshold in enumerate(curve.thresholds):
        discrete = continuous = false = 0
        for overlap, scores in made:
            seen = overlap[:, scores >= threshold]
            values = [seen[pair] for pair in fddb.match(seen)]
            discrete += sum(value > 0.5 for value in values)
            continuous += sum(values)
            false += seen.shape[1] - sum(value > 0.5 for value in values)
        assert curve.discrete[row] * 10 == pytest.approx(discrete)
        assert curve.continuous[row] * 10 == pytest.approx(continuous)
        assert curve.false_positives[row] == false


def test_evaluate_a_perfect_and_an_elliptic_detector():
    annotations = {'a': np.array([[20, 10, 0.3, 50, 60.0]]), 'b': np.array([[30, 20, 1.5, 10, 20.0]])}
    detections = {name: np.hstack([rows, [[0.7]]]) for name, rows in annotations.items()}
    curve = fddb.evaluate(annotations, detections)
    assert (curve.discrete.tolist(), curve.continuous.tolist(), curve.false_positives.tolist()) == (
        [1],
        [1],
        [0],
    )


def test_sizes_decide_what_counts():
    annotations = {'a': np.array([[40, 30, np.pi / 2, 100, 50.0]])}
    detections = {'a': np.array([[70, 10, 30, 80, 0.7]])}
    assert fddb.evaluate(annotations, detections, {'a': (101, 101)}).discrete.tolist() == [1]
    assert fddb.evaluate(annotations, detections, {'a': (200, 101)}).discrete.tolist() == [0]


@pytest.mark.parametrize(
    'detections, complaint',
    [
        ({}, "1 images are not in the detections, 'a'"),
        ({'a': np.zeros((0, 5)), 'b': np.zeros((0, 5))}, "1 images are not in the annotations, 'b'"),
    ],
)
def test_other_images(detections, complaint):
    with pytest.raises(FddbError, match=complaint):
        fddb.evaluate({'a': np.array([[20, 10, 0.3, 50, 60.0]])}, detections)


def test_rates_and_summary():
    curve = Curve(
        np.array([0.9, 0.8, 0.5, 0]),
        np.array([0.7, 0.6, 0.4, 0]),
        np.array([1500, 100, 3, 0]),
        np.array([0.1, 0.2, 0.3, 9]),
        7,
    )
    assert fddb.rates_at(curve.discrete, curve.false_positives, (0, 3, 99, 100, 2000)).tolist() == [
        0,
        0.5,
        0.5,
        0.8,
        0.9,
    ]
    figures = fddb.summary(curve)
    assert figures['discrete'] == {'100': 0.8, '500': 0.8, '1000': 0.8, '2000': 0.9}
    assert figures['last'] == {'false_positives': 1500, 'discrete': 0.9, 'continuous': 0.7}


def test_curves_are_written_as_the_official_program_writes_them(tmp_path):
    curve = Curve(
        np.array([2 / 3, 0]), np.array([1 / 3, 0]), np.array([249, 0]), np.array([0.505806, fddb.NEVER]), 3
    )
    fddb_files.write_curves(tmp_path, curve)
    assert (tmp_path / 'DiscROC.txt').read_text() == '0.666667 249 0.505806\n0 0 1.79769e+308\n'
    assert (tmp_path / 'ContROC.txt').read_text() == '0.333333 249\n0 0\n'
    assert fddb_files.read_curve(tmp_path / 'DiscROC.txt').tolist() == [[0, 0], [0.666667, 249]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ['ContROC.txt', 'DiscROC.txt']


def test_no_curve(tmp_path):
    (tmp_path / 'DiscROC.txt').write_text('not a curve\n')
    with pytest.raises(FddbError, match='not a curve'):
        fddb_files.read_curve(tmp_path / 'DiscROC.txt')


def test_written_detections_are_read_back(tmp_path):
    folds = [[f'x{fold}'] for fold in range(1, 11)]
    detections = {
        name: np.array([[1, 2.5, 30, 40.25, 0.123456]] if name == 'x3' else np.zeros((0, 5)))
        for (name,) in folds
    }
    fddb_files.write_detections(tmp_path, folds, detections)
    again = fddb_files.read_detections(tmp_path)
    assert list(again) == [f'x{fold}' for fold in range(1, 11)]
    assert again['x3'].tolist() == [[1, 2.5, 30, 40.25, 0.123456]]


@pytest.fixture(scope='module')
def official(real_data):
    directory = real_data / 'fddb' / 'mtcnn'
    if not directory.is_dir():
        pytest.skip(f'no official FDDB output in {directory}')
    return (
        directory,
        fddb_files.read_annotations(real_data / 'fddb' / 'FDDB-folds'),
        fddb_files.read_detections(directory),
        np.loadtxt(str(directory / 'MTCNNDiscROC.txt')),
        np.loadtxt(str(directory / 'MTCNNContROC.txt')),
    )


def test_the_official_program_s_curves_without_any_image(official):
    folder, annotations, detections, discrete, continuous = official
    curve = fddb.evaluate(annotations, detections)
    assert (len(annotations), curve.faces, len(curve.thresholds)) == (2845, 5171, len(discrete))
    np.testing.assert_allclose(curve.thresholds[:-1], discrete[:-1, 2], rtol=1e-5)
    # At the same threshold; 0.0004 is two of 5,171 faces.
    assert np.abs(curve.discrete - discrete[:, 0]).max() < 0.0004
    assert np.abs(curve.continuous - continuous[:, 0]).max() < 0.0008
    assert np.abs(curve.false_positives - discrete[:, 1]).max() <= 2
    # At the same number of false positives.
    at = np.arange(10, 250)
    apart = {}
    for kind, theirs, bound in (('discrete', discrete, 0.0008), ('continuous', continuous, 0.0005)):
        apart[kind] = np.abs(
            fddb.rates_at(getattr(curve, kind), curve.false_positives, at)
            - fddb.rates_at(theirs[:, 0], theirs[:, 1], at)
        ).max()
        assert 0 < apart[kind] <= bound
    told = fddb.agreement(curve, folder)['largest']
    assert told == pytest.approx(dict(apart, **{'from': 10, 'to': 249}))


def write_official(directory, discrete, continuous):
    directory.mkdir()
    (directory / 'xDiscROC.txt').write_text(discrete)
    (directory / 'xContROC.txt').write_text(continuous)
    return directory


def test_agreement(tmp_path):
    # Rates at 0, 10 and 12 false positives; ours has 11 where the official curve has 12.
    directory = write_official(
        tmp_path / 'official', '0.8 12 0.1\n0.7 10 0.5\n0 0 1\n', '0.6 12\n0.5 10\n0 0\n'
    )
    curve = Curve(np.array([0.8, 0.75, 0]), np.array([0.6, 0.5, 0]), np.array([11, 10, 0]), np.arange(3.0), 9)
    found = fddb.agreement(curve, directory)
    # At 10 discrete 0.05, at 11 discrete 0.1 and continuous 0.1 apart.
    assert found['largest'] == pytest.approx({'discrete': 0.1, 'continuous': 0.1, 'from': 10, 'to': 12})
    assert found['rates'] == {
        '10': {'discrete': [0.7, 0.75], 'continuous': [0.5, 0.5]},
        '12': {'discrete': [0.8, 0.8], 'continuous': [0.6, 0.6]},
    }


def test_no_official_curves(tmp_path):
    curve = Curve(np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(1), 1)
    with pytest.raises(FddbError, match='expected one .DiscROC.txt, found 0'):
        fddb.agreement(curve, tmp_path)
    short = write_official(tmp_path / 'short', '0.5 3 0.1\n', '0.5 3\n')
    with pytest.raises(FddbError, match='end at 3 false positives, before 10'):
        fddb.agreement(curve, short)


def test_a_photo_ends_where_the_detection_of_a_cut_face_ends():
    upright = [60.0, 40.0, np.pi / 2, 100.0, 100.0]  # 60..140 by 40..160
    cut = np.array([[60, 40, 50, 120, 0.9]])
    assert fddb.estimate_size(np.array([upright]), cut) == (111, 450)
    # The same on the other axis: 40..160 by 60..140, cut at a height of 110.
    level = [60.0, 40.0, 0.0, 100.0, 100.0]
    assert fddb.estimate_size(np.array([level]), np.array([[40, 60, 120, 50, 0.9]])) == (450, 111)
    whole = np.array([[60, 40, 80, 120, 0.9]])
    assert fddb.estimate_size(np.array([upright]), whole) == (450, 450)
    further = np.array([[60, 40, 50, 120, 0.9], [300, 300, 20, 20, 0.5]])
    assert fddb.estimate_size(np.array([upright]), further) == (450, 450)
    elsewhere = np.array([[200, 40, 50, 120, 0.9]])
    assert fddb.estimate_size(np.array([upright]), elsewhere) == (450, 450)
    assert fddb.estimate_size(np.array([upright]), np.zeros((0, 5))) == (450, 450)
    assert fddb.estimate_size(np.zeros((0, 5)), cut) == (450, 450)


def test_detect(tmp_path):
    for name in ('a/x', 'b/y'):
        (tmp_path / name).parent.mkdir()
        write_image(tmp_path / (name + '.jpg'), np.zeros((30, 40, 3), np.uint8))
    photos = fddb_files.photo_paths(tmp_path, ['a/x', 'b/y'])
    subject = Scripted(lambda image: [face((1, 2, 11, 22), 0.75)])
    detections, sizes = fddb.detect(subject, photos, progress=False)
    assert detections['b/y'].tolist() == [[1, 2, 10, 20, 0.75]]
    assert sizes == {'a/x': (40, 30), 'b/y': (40, 30)}
    assert fddb_files.read_sizes(photos) == sizes
    (tmp_path / 'b/y.jpg').write_bytes(b'')
    with pytest.raises(FddbError, match='y.jpg: not an image'):
        fddb_files.read_sizes(photos)
    with pytest.raises(ImageError, match='y.jpg'):
        fddb.detect(subject, photos, progress=False)
    with pytest.raises(FddbError, match='1 of 2 photos are missing, c.jpg first'):
        fddb_files.photo_paths(tmp_path, ['a/x', 'c'])
