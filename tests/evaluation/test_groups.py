from pathlib import Path

import numpy as np
import pytest
from scripted import Scripted, face

from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation import groups
from uniface_mx.evaluation.groups import Comparison, Person, age_group, choose_people, read_people
from uniface_mx.image import write_image


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b'')


def test_utkface_names(tmp_path):
    touch(
        tmp_path,
        'part/26_0_4_20170117200025445.jpg.chip.jpg',
        '1_1_2_20161219154842102.jpg',
        '61_3_20170109150557335.jpg',
        'readme.jpg',
    )
    people, unnamed = read_people(tmp_path, 'utkface')
    assert [(person.age, person.origin) for person in people] == [(1, 'asian'), (26, 'other')]
    assert unnamed == 2


def test_all_age_faces_names(tmp_path):
    touch(tmp_path, 'original images/06677A58.jpg', '00000A02.jpg', 'x.jpg')
    people, unnamed = read_people(tmp_path, 'all_age_faces')
    assert [(person.age, person.origin) for person in people] == [(2, 'mostly asian'), (58, 'mostly asian')]
    assert unnamed == 1
    assert [person.age for person in read_people(tmp_path, 'all_age_faces', {'06677A58.jpg'})[0]] == [58]


def test_names_of_a_list_and_of_a_record_set(tmp_path):
    path = tmp_path / 'only.txt'
    path.write_text('part/26_0_4_2017.jpg\n\n1_1_2_2016.jpg \n')
    assert groups.read_names(path, 'utkface') == {'26_0_4_2017.jpg', '1_1_2_2016.jpg'}
    path = tmp_path / 'faces-validation.keys'
    path.write_text(
        'utkface\tdata/26_0_4_2017.jpg\nall_age_faces\toriginal images/1A2.jpg\ncelebA\tx/1_1_1_1.jpg\n'
    )
    assert groups.read_names(path, 'utkface') == {'26_0_4_2017.jpg'}
    assert groups.read_names(path, 'all_age_faces') == {'1A2.jpg'}
    with pytest.raises(UnifaceError, match='none.txt: cannot be read'):
        groups.read_names(tmp_path / 'none.txt', 'utkface')


def test_none_of_the_names_is_there(tmp_path):
    touch(tmp_path, '26_0_4_2017.jpg')
    with pytest.raises(UnifaceError, match='among the 1 that were asked for'):
        read_people(tmp_path, 'utkface', {'27_0_4_2017.jpg'})


@pytest.mark.parametrize(
    'kind, complaint', [('utkface', 'no photo named like'), ('lfw', "unknown collection 'lfw'")]
)
def test_no_people(tmp_path, kind, complaint):
    with pytest.raises(UnifaceError, match=complaint):
        read_people(tmp_path, kind)


def test_no_folder(tmp_path):
    with pytest.raises(UnifaceError, match='no such folder'):
        read_people(tmp_path / 'none', 'utkface')


@pytest.mark.parametrize(
    'age, name', [(0, '0-5'), (5, '0-5'), (6, '6-12'), (39, '20-39'), (60, '60+'), (116, '60+')]
)
def test_age_groups(age, name):
    assert age_group(age) == name


def test_choose_people():
    people = [Person(Path(str(number)), 30 if number % 3 else 3, 'white') for number in range(60)]
    chosen = choose_people(people, 5, seed=1)
    assert [age_group(person.age) for person in chosen].count('0-5') == 5 and len(chosen) == 10
    assert chosen == sorted(chosen, key=people.index) == choose_people(people, 5, seed=1)
    assert chosen != choose_people(people, 5, seed=2)
    assert choose_people(people, 1000) == people


def test_summary_by_hand():
    person = Person(Path('a'), 30, 'white')
    outcomes = [
        Comparison(person, True, True, 0.1, 0.8),
        Comparison(person, True, True, 0.3, 0.6),
        Comparison(person, True, False, None, None),
        Comparison(person, False, True, None, None),
    ]
    figures = groups.summarise(outcomes)
    assert figures['faces'] == 4
    assert (figures['recall']['found'], figures['recall']['share']) == (3, 0.75)
    assert figures['teacher_recall']['share'] == 0.75
    # Wilson's interval of 3 in 4.
    assert figures['recall']['interval'] == pytest.approx((0.3006, 0.9544), abs=1e-4)
    assert (figures['landmark_error']['faces'], figures['landmark_error']['mean']) == (2, pytest.approx(0.2))
    assert figures['cosine_to_teacher']['mean'] == pytest.approx(0.7)


def test_groups_in_order():
    outcomes = [
        Comparison(Person(Path('a'), age, origin), True, True, 0.1, 0.9)
        for age, origin in ((70, 'white'), (8, 'black'), (30, 'white'), (8, 'white'))
    ]
    figures = groups.by_group(outcomes)
    assert list(figures['age']) == ['6-12', '20-39', '60+']
    assert list(figures['origin']) == ['black', 'white']
    assert list(figures['origin_and_age']) == ['black 6-12', 'white 6-12', 'white 20-39', 'white 60+']
    assert {group: part['faces'] for group, part in figures['age'].items()} == {
        '6-12': 2,
        '20-39': 1,
        '60+': 1,
    }


def test_evaluate(tmp_path):
    people = []
    for number in range(3):
        path = tmp_path / f'{number}.png'
        write_image(path, np.full((40, 40, 3), 100 * number, np.uint8))
        people.append(Person(path, 30, 'white'))
    people.append(Person(tmp_path / 'missing.png', 30, 'white'))
    points = np.array([[30, 30], [50, 30], [40, 40], [32, 50], [48, 50]], float)

    def teacher(image):
        return [
            face((0, 0, 9, 9), embedding=[-1, 0]),
            face((20, 20, 60, 60), landmarks=points, embedding=[1, 0]),
        ]

    def model(image):
        assert image.shape == (80, 80, 3)
        if image[40, 40, 0] == 100:
            return []
        return [face((22, 20, 60, 60), landmarks=points + [2, 0], embedding=[0.6, 0.8])]

    figures = groups.evaluate(Scripted(model), Scripted(teacher), people, progress=False)
    assert figures['skipped'] == 1
    assert (figures['all']['faces'], figures['all']['recall']['found']) == (3, 2)
    assert figures['all']['landmark_error']['mean'] == pytest.approx(0.1)
    assert figures['all']['cosine_to_teacher']['mean'] == pytest.approx(0.6)
    assert figures['all']['cosine_to_teacher']['faces'] == 2


def test_who_is_the_person():
    middle = np.array([50.0, 50.0])
    elsewhere, here, large = face((0, 0, 20, 20)), face((42, 40, 60, 60)), face((0, 0, 100, 100))
    teacher = face((40, 40, 60, 60))
    assert groups.find_person([elsewhere, here, large], teacher, middle) is here
    # A face that overlaps the teacher's too little is another, or none.
    assert groups.find_person([elsewhere, large], teacher, middle) is None
    assert groups.find_person([], teacher, middle) is None
    # Without the teacher's face it is the one about the middle.
    assert groups.find_person([elsewhere, large], None, middle) is large
    assert groups.find_person([elsewhere], None, middle) is None


def test_no_readable_photo(tmp_path):
    subject = Scripted(lambda image: [])
    with pytest.raises(UnifaceError, match='none of the 1 photos'):
        groups.evaluate(subject, subject, [Person(tmp_path / 'x', 1, 'white')], progress=False)
