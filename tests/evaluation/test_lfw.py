import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import Scripted, face

from uniface_mx.evaluation import lfw
from uniface_mx.evaluation.lfw import LfwError, perturb, read_pairs
from uniface_mx.evaluation.subject import TeacherSubject, choose_face
from uniface_mx.image import ImageError, write_image
from uniface_mx.teachers import TeacherError, create_teacher

PAIRS = '2\t1\nAnn\t1\t2\nAnn\t1\tBob\t12\nBob\t1\t2\nBob\t1\tCid\t1\n'


@pytest.fixture
def pairs(tmp_path):
    path = tmp_path / 'pairs.txt'
    path.write_text(PAIRS)
    return read_pairs(path)


@pytest.fixture
def photos(tmp_path, pairs):
    """Each person has a colour of their own."""
    root = tmp_path / 'images'
    for name in sorted(set(pairs.first + pairs.second)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(root / name, np.full((60, 80, 3), {'A': 40, 'B': 120, 'C': 200}[name[0]], np.uint8))
    return root


def by_colour(image):
    colour = int(image[image.shape[0] // 2, image.shape[1] // 2, 0])
    vector = np.zeros(3)
    vector[min(range(3), key=lambda i: abs(colour - (40, 120, 200)[i]))] = 1
    return [face((30, 20, 50, 40), embedding=vector)]


def test_read_pairs(pairs):
    assert pairs.first == ['Ann/Ann_0001.jpg', 'Ann/Ann_0001.jpg', 'Bob/Bob_0001.jpg', 'Bob/Bob_0001.jpg']
    assert pairs.second == ['Ann/Ann_0002.jpg', 'Bob/Bob_0012.jpg', 'Bob/Bob_0002.jpg', 'Cid/Cid_0001.jpg']
    assert pairs.same.tolist() == [True, False, True, False]
    assert pairs.fold.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    'text, complaint',
    [
        ('', ':1: expected the number of folds'),
        ('ten 300\n', ':1: expected'),
        ('10\n', ':1: expected'),
        (PAIRS + 'Ann\t1\t3\n', '2 folds of 2 x 1 pairs announced, 5 rows follow'),
        (PAIRS.replace('Ann\t1\t2', 'Ann\t1'), ':2: expected a name and two numbers'),
        (PAIRS.replace('Ann\t1\tBob\t12', 'Ann\t1\t2'), ':3: expected two names'),
        (PAIRS.replace('Bob\t1\t2', 'Bob\tone\t2'), ':4: expected a name and two numbers'),
        ('1 2\n' + 'Ann 1 2\n' * 4, '1 folds'),
    ],
)
def test_malformed_pairs(tmp_path, text, complaint):
    path = tmp_path / 'pairs.txt'
    path.write_text(text)
    with pytest.raises(LfwError, match=complaint):
        read_pairs(path)


def test_no_pairs(tmp_path):
    with pytest.raises(LfwError, match='nowhere.txt: cannot be read'):
        read_pairs(tmp_path / 'nowhere.txt')


def test_missing_photos_are_one_error(photos, pairs):
    (photos / 'Bob/Bob_0012.jpg').unlink()
    (photos / 'Cid/Cid_0001.jpg').unlink()
    with pytest.raises(LfwError, match='2 of the photos .* missing, Bob/Bob_0012.jpg first'):
        lfw.photo_paths(photos, pairs.first + pairs.second)


def test_photos_in_one_folder(tmp_path):
    (tmp_path / 'Ann_0001.jpg').write_bytes(b'')
    assert lfw.photo_paths(tmp_path, ['Ann/Ann_0001.jpg']) == {'Ann/Ann_0001.jpg': tmp_path / 'Ann_0001.jpg'}


def test_unreadable_photo_is_an_error(photos, pairs):
    (photos / 'Bob/Bob_0012.jpg').write_bytes(b'no jpeg')
    found = lfw.photo_paths(photos, pairs.first + pairs.second)
    with pytest.raises(ImageError, match='Bob_0012.jpg'):
        lfw.embed_photos(Scripted(by_colour), found)


def evaluate(subject, photos, pairs, tmp_path, **options):
    found = lfw.photo_paths(photos, pairs.first + pairs.second)
    embedded = lfw.cached_embeddings(tmp_path / 'cache', subject, found, progress=False, **options)
    return lfw.evaluate(pairs, embedded, subject.metric)[0]


def test_a_subject_that_knows_everybody(photos, pairs, tmp_path):
    figures = evaluate(Scripted(by_colour), photos, pairs, tmp_path)
    assert (figures['accuracy'], figures['std'], figures['area']) == (1, 0, 1)
    assert figures['thresholds'] == [0.5, 0.5] and figures['threshold'] == 0.5
    assert (figures['photos'], figures['photos_without_face'], figures['photos_with_several_faces']) == (
        6,
        0,
        0,
    )


def test_euclidean_distance_of_raw_vectors(photos, pairs, tmp_path):
    figures = evaluate(Scripted(by_colour, 'euclidean'), photos, pairs, tmp_path)
    assert figures['accuracy'] == 1
    assert figures['thresholds'] == pytest.approx([-np.sqrt(2) / 2] * 2)


def test_photos_without_face_are_errors(photos, pairs, tmp_path):
    figures = evaluate(
        Scripted(lambda image: [] if image[30, 40, 0] > 160 else by_colour(image)), photos, pairs, tmp_path
    )
    assert figures['folds'] == [1.0, 0.5]
    assert (figures['photos_without_face'], figures['pairs_without_face']) == (1, 1)
    assert figures['without_face'] == ['Cid/Cid_0001.jpg']


def test_a_second_run_reuses_the_embeddings(photos, pairs, tmp_path):
    subject = Scripted(by_colour)
    first = evaluate(subject, photos, pairs, tmp_path)
    assert subject.seen == 6
    assert evaluate(subject, photos, pairs, tmp_path) == first
    assert subject.seen == 6
    for options in ({'rule': 'largest'}, {'limit': 5, 'seed': 1}, {'limit': 5, 'seed': 2}):
        before = subject.seen
        evaluate(subject, photos, pairs, tmp_path, **options)
        assert subject.seen == before + 6
    other = Scripted(by_colour, name='another')
    evaluate(other, photos, pairs, tmp_path)
    assert other.seen == 6


def test_changed_photos_and_changed_code_are_embedded_anew(photos, pairs, tmp_path, monkeypatch):
    subject = Scripted(by_colour)
    evaluate(subject, photos, pairs, tmp_path)
    photo = photos / 'Bob/Bob_0012.jpg'
    content = photo.read_bytes()
    photo.write_bytes(content + b'\x00')
    evaluate(subject, photos, pairs, tmp_path)
    assert subject.seen == 12
    photo.write_bytes(content)
    evaluate(subject, photos, pairs, tmp_path)
    assert subject.seen == 12
    package = tmp_path / 'package'
    package.mkdir()
    (package / 'predictor.py').write_text('better')
    monkeypatch.setattr(lfw, 'PACKAGE', package)
    evaluate(subject, photos, pairs, tmp_path)
    assert subject.seen == 18


def test_a_run_that_was_stopped_goes_on(photos, pairs, tmp_path, monkeypatch):
    monkeypatch.setattr(lfw, 'SHARD', 2)
    whole = evaluate(Scripted(by_colour), photos, pairs, tmp_path / 'whole')
    assert len(list((tmp_path / 'whole' / 'cache').glob('lfw-*.npz'))) == 3
    calls = []

    def stop_at_the_third_shard(image):
        calls.append(1)
        if len(calls) > 4:
            raise KeyboardInterrupt
        return by_colour(image)

    with pytest.raises(KeyboardInterrupt):
        evaluate(Scripted(stop_at_the_third_shard), photos, pairs, tmp_path)
    subject = Scripted(by_colour)
    assert evaluate(subject, photos, pairs, tmp_path) == whole
    assert subject.seen == 2


def test_a_shard_without_any_face(photos, pairs, tmp_path, monkeypatch):
    def all_but_cid(image):
        return [] if image[30, 40, 0] > 160 else by_colour(image)

    whole = evaluate(Scripted(all_but_cid), photos, pairs, tmp_path / 'whole')
    assert whole['photos_without_face'] == 1
    monkeypatch.setattr(lfw, 'SHARD', 1)
    assert evaluate(Scripted(all_but_cid), photos, pairs, tmp_path) == whole
    with pytest.raises(LfwError, match='no pair with a face found in both'):
        evaluate(Scripted(lambda image: [], name='blind'), photos, pairs, tmp_path)


@pytest.mark.parametrize(
    'damage', [lambda content: b'junk', lambda content: content[:-30], lambda content: b'']
)
def test_damaged_cache(photos, pairs, tmp_path, damage):
    evaluate(Scripted(by_colour), photos, pairs, tmp_path)
    (kept,) = (tmp_path / 'cache').glob('*.npz')
    kept.write_bytes(damage(kept.read_bytes()))
    with pytest.raises(LfwError, match='damaged cache'):
        evaluate(Scripted(by_colour), photos, pairs, tmp_path)


def test_choose_face():
    small, large = face((45, 45, 55, 55)), face((0, 0, 60, 60))
    assert choose_face([large, small], (50, 50), 'centre') is small
    assert choose_face([small, large], (50, 50), 'largest') is large
    assert choose_face([], (50, 50), 'centre') is None
    with pytest.raises(ValueError, match='centre or largest'):
        choose_face([small], (50, 50), 'best')


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 25), st.text(max_size=5))
def test_perturbation_moves_the_content_and_pads_with_black(seed, limit, name):
    image = np.random.default_rng(0).integers(1, 255, (60, 70, 3)).astype(np.uint8)
    moved, (x, y) = perturb(image, limit, seed, name)
    again, shift = perturb(image, limit, seed, name)
    np.testing.assert_array_equal(moved, again)
    assert shift == (x, y)
    assert abs(x) <= limit and abs(y) <= limit
    assert abs(moved.shape[1] - 70 - x) <= limit and abs(moved.shape[0] - 60 - y) <= limit
    expected = np.zeros_like(moved)
    for row in range(max(0, y), min(moved.shape[0], 60 + y)):
        columns = np.arange(max(0, x), min(moved.shape[1], 70 + x))
        expected[row, columns] = image[row - y, columns - x]
    np.testing.assert_array_equal(moved, expected)


def test_perturbations_differ_by_seed_and_by_photo_and_use_the_whole_range():
    image = np.ones((250, 250, 3), np.uint8)
    shifts = {perturb(image, 60, seed, name)[1] for seed in range(30) for name in ('a', 'b')}
    assert len(shifts) > 55
    seen = np.array([perturb(image, 60, 0, str(number))[1] for number in range(2000)])
    assert seen.min() == -60 and seen.max() == 60
    assert abs(seen.mean()) < 2


def test_a_photo_cannot_lose_all_of_itself():
    with pytest.raises(LfwError, match='cannot lose'):
        for seed in range(50):
            perturb(np.ones((8, 8, 3), np.uint8), 60, seed, 'a')


def test_in_a_perturbed_photo_the_subject_is_where_the_middle_has_gone(tmp_path):
    """Two faces; the subject's is in the middle of the original photo, wherever the crop puts it."""
    image = np.zeros((100, 100, 3), np.uint8)
    image[45:55, 45:55, 0] = 255
    image[45:55, 85:95, 1] = 255
    write_image(tmp_path / 'a.png', image)

    def answer(seen):
        faces = []
        for channel in (0, 1):
            rows, columns = np.nonzero(seen[..., channel] > 128)
            if len(rows):
                faces.append(
                    face(
                        (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1),
                        embedding=np.eye(2)[channel],
                    )
                )
        return faces

    several = 0
    for seed in range(40):
        embedded = lfw.embed_photos(Scripted(answer), {'a.png': tmp_path / 'a.png'}, limit=40, seed=seed)
        assert embedded.vectors.tolist() == [[1, 0]]
        several += int(embedded.several[0])
    assert several > 10


def test_average():
    runs = [
        dict(accuracy=a, std=0.1, standard_error=0.03, area=0.9, photos_without_face=n)
        for a, n in ((0.9, 1), (0.8, 2))
    ]
    assert lfw.average(runs) == pytest.approx(
        {
            'accuracy': 0.85,
            'std': 0.1,
            'standard_error': 0.03,
            'area': 0.9,
            'photos_without_face': 1.5,
            'std_over_seeds': np.sqrt(0.005),
        }
    )
    assert lfw.average(runs[:1])['std_over_seeds'] is None


def test_the_official_pairs(real_data):
    path = real_data / 'lfw' / 'pairs.txt'
    if not path.is_file():
        pytest.skip(f'no {path}')
    pairs = read_pairs(path)
    assert len(pairs.same) == 6000 and np.bincount(pairs.fold).tolist() == [600] * 10
    assert pairs.same.sum() == 3000
    names = set(pairs.first) | set(pairs.second)
    assert len(lfw.photo_paths(path.parent / 'images', names)) == 7701


def test_random_embeddings_on_the_official_pairs(real_data):
    path = real_data / 'lfw' / 'pairs.txt'
    if not path.is_file():
        pytest.skip(f'no {path}')
    pairs = read_pairs(path)
    names = sorted(set(pairs.first) | set(pairs.second))
    vectors = np.random.default_rng(0).normal(size=(len(names), 128)).astype(np.float32)
    embedded = lfw.Embedded(names, np.ones(len(names), bool), vectors, np.zeros(len(names), bool))
    figures, _ = lfw.evaluate(pairs, embedded, 'cosine')
    # Six thousand throws of a coin: two standard errors are 1.3 points.
    assert figures['accuracy'] == pytest.approx(0.5, abs=0.02)
    # A vector for each person, with noise: told apart by the cosine, whatever the vectors' length.
    people = {name.split('/')[0]: i for i, name in enumerate(names)}
    known = np.array([vectors[people[name.split('/')[0]]] for name in names]) + 0.3 * vectors
    known *= np.random.default_rng(1).uniform(0.5, 2, (len(names), 1))
    assert lfw.evaluate(pairs, embedded._replace(vectors=known), 'cosine')[0]['accuracy'] > 0.999


def shortened(source, each):
    """The official pairs with so many of each kind a fold, in their form."""
    rows = source.read_text().splitlines()[1:]
    starts = [600 * fold + 300 * kind for fold in range(10) for kind in (0, 1)]
    return f'10\t{each}\n' + '\n'.join(row for start in starts for row in rows[start : start + each])


def test_the_teachers_accuracy_by_another_reading_of_the_protocol(real_data, tmp_path):
    """A few pairs of each fold, in plain loops: 30 a kind and 60 in all."""
    source = real_data / 'lfw' / 'pairs.txt'
    if not source.is_file():
        pytest.skip(f'no {source}')
    try:
        teachers = TeacherSubject(create_teacher('mtcnn_pypi'), create_teacher('dlib'))
    except TeacherError as error:
        pytest.skip(str(error))
    text = shortened(source, 3)
    (tmp_path / 'pairs.txt').write_text(text)
    pairs = read_pairs(tmp_path / 'pairs.txt')
    embedded = lfw.embed_photos(
        teachers, lfw.photo_paths(source.parent / 'images', {*pairs.first, *pairs.second})
    )
    assert embedded.found.all()
    figures, _ = lfw.evaluate(pairs, embedded, teachers.metric)

    vectors = dict(zip(embedded.names, embedded.vectors.astype(float).tolist()))
    known = []
    for number, line in enumerate(text.splitlines()[1:]):
        words = line.split()
        others = words[0] if len(words) == 3 else words[2]
        a, b = (
            vectors[f'{name}/{name}_{digits:0>4}.jpg']
            for name, digits in ((words[0], words[1]), (others, words[-1]))
        )
        distance = sum((x - y) ** 2 for x, y in zip(a, b)) ** 0.5
        known.append((number // 6, distance, len(words) == 3))
    accuracies = []
    for fold in range(10):
        nine = sorted((distance, same) for one, distance, same in known if one != fold)
        limits = [0] + [(low[0] + high[0]) / 2 for low, high in zip(nine, nine[1:])] + [9]
        right = [sum((distance <= limit) == same for distance, same in nine) for limit in limits]
        best = [limit for limit, count in zip(limits, right) if count == max(right)]
        limit = best[(len(best) - 1) // 2]
        tenth = [(distance <= limit) == same for one, distance, same in known if one == fold]
        accuracies.append(sum(tenth) / len(tenth))
    assert figures['folds'] == pytest.approx(accuracies)
    assert figures['accuracy'] == pytest.approx(sum(accuracies) / 10)
    assert figures['accuracy'] > 0.9


def test_the_threshold_that_one_stranger_of_a_hundred_passes():
    cosines = np.concatenate([np.arange(100) / 200, np.full(100, 0.9)])
    names = ['a'] + [f'b{number}' for number in range(200)]
    vectors = np.vstack([[1, 0], np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1)])
    pairs = lfw.Pairs(['a'] * 200, names[1:], np.arange(200) >= 100, np.arange(200) % 2)
    embedded = lfw.Embedded(names, np.ones(201, bool), vectors, np.zeros(201, bool))
    figures, _ = lfw.evaluate(pairs, embedded, 'cosine')
    assert figures['strict_threshold'] == pytest.approx(0.495)
