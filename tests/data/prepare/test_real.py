"""The real teachers on the real photos, where both are installed."""

import fakes
import numpy as np
import pytest

from uniface_mx.data.prepare.inspection import check
from uniface_mx.data.prepare.worker import Job, open_teachers
from uniface_mx.data.records import RecordReader
from uniface_mx.data.rows import BOX, HAS_EMBEDDING, HAS_LANDMARKS, LANDMARKS
from uniface_mx.data.sources import open_source
from uniface_mx.teachers import TeacherError

TEACHERS = ('mtcnn_pypi?thresholds=[0.6,0.7,0.6]', 'dlib')


@pytest.fixture(scope='module')
def teachers():
    try:
        open_teachers(TEACHERS)
    except TeacherError as error:
        pytest.skip(str(error))
    return TEACHERS


def prepare(spec, out, teachers):
    source = open_source(spec)
    fakes.prepare(spec, out, Job(teachers, source.complete, source.teacher_box))
    assert check(str(out)) == {}
    return list(RecordReader(out))


def test_crowds(real_data, tmp_path, teachers):
    """Annotated boxes stay; of the larger faces most have points, which lie in the box, and an embedding."""
    records = prepare(f'wider64:{real_data / "wider64"}?part=:4', tmp_path / 'crowds', teachers)
    objects = np.concatenate([record.objects for record in records])
    pixels = np.concatenate([np.tile((r.width, r.height), (len(r.objects), 1)) for r in records])
    assert len(records) == 4 and len(objects) > 40
    sides = (objects[:, BOX][:, 2:] - objects[:, BOX][:, :2]) * pixels
    large = sides.min(axis=1) > 16
    assert objects[large, HAS_EMBEDDING].mean() > 0.5
    shown = objects[objects[:, HAS_LANDMARKS] == 1]
    centres = shown[:, LANDMARKS].reshape(-1, 5, 2).mean(axis=1)
    assert ((centres > shown[:, BOX][:, :2]) & (centres < shown[:, BOX][:, 2:])).all()


def test_one_person_is_nearer_to_herself_than_to_others(real_data, tmp_path, teachers):
    folder = real_data / 'celeba_photos' / 'images'
    people = sorted(path.name for path in folder.iterdir())[:6]
    pattern = f'^(?P<person>{"|".join(people)})/'
    source = f'folder:{folder}?pattern={pattern}&part=:80:4'
    records = [r for r in prepare(source, tmp_path / 'people', teachers) if r.objects[0, HAS_EMBEDDING]]
    vectors = np.stack([r.objects[0, 18:] for r in records])
    same = np.array([[a.person == b.person for a in records] for b in records])
    distances = np.linalg.norm(vectors[:, None] - vectors, axis=2)
    upper = np.triu(np.ones_like(same), 1)
    assert np.median(distances[same & upper]) < 0.55 < 0.7 < np.median(distances[~same & upper])
