import numpy as np
import pytest
from scripted import Scripted, face

from uniface_mx.evaluation.subject import Enlarged, ModelSubject, TeacherSubject, about_model, similarities
from uniface_mx.models.files import ModelFiles
from uniface_mx.teachers.base import Detections, EmbeddingTeacher, LandmarkTeacher

POINTS = np.array([[3, 3], [6, 3], [5, 5], [3, 7], [6, 7]], np.float32)


class Finds(LandmarkTeacher):
    name, version, sha256 = 'finds', '1', 'aa'

    def detect(self, images):
        return [
            (
                Detections.empty()
                if image.max() == 0
                else Detections(
                    np.array([[1, 1, 9, 9]], np.float32), np.array([0.75], np.float32), POINTS[None]
                )
            )
            for image in images
        ]


class Embeds(EmbeddingTeacher):
    name, version, sha256, dim = 'embeds', '2', 'bb', 2

    def align(self, image, landmarks):
        return image

    def embed(self, crops):
        return np.array([[crop[0, 0, 0], 4] for crop in crops], np.float32)


def photo():
    image = np.full((10, 10, 3), 9, np.uint8)
    image[0, 0], image[0, -1] = 2, 6
    return image


def test_teachers():
    subject = TeacherSubject(Finds(), Embeds())
    none, (face,) = subject([np.zeros((10, 10, 3), np.uint8), photo()])
    assert none == []
    assert (face.box.tolist(), face.score, face.landmarks.tolist()) == ([1, 1, 9, 9], 0.75, POINTS.tolist())
    assert face.embedding.tolist() == [4, 4]
    assert subject.metric == 'euclidean'
    assert TeacherSubject(Finds(), Embeds(), mirror=False)([photo()])[0][0].embedding.tolist() == [2, 4]


def test_teachers_around_a_mean():
    subject = TeacherSubject(Finds(), Embeds(), centre=[1, 0])
    assert subject([photo()])[0][0].embedding == pytest.approx([0.6, 0.8])
    assert subject.metric == 'cosine'


def test_teachers_without_embedding():
    assert TeacherSubject(Finds())([photo()])[0][0].embedding is None


def test_the_identity_tells_teachers_apart():
    made = [
        TeacherSubject(Finds()),
        TeacherSubject(Finds(), Embeds()),
        TeacherSubject(Finds(), Embeds(), mirror=False),
        TeacherSubject(Finds(), Embeds(), centre=[1, 0]),
        TeacherSubject(Finds(), Embeds(), centre=[0, 1]),
    ]
    assert len({str(sorted(subject.identity.items())) for subject in made}) == len(made)


def test_model(tmp_path):
    prefix = tmp_path / 'lite'

    def export(content):
        (tmp_path / 'lite-0000.params').write_bytes(content)
        ModelFiles(prefix).write_manifest({'files': ['lite-0000.params']})
        return ModelSubject(lambda images: [[] for _ in images], prefix, {'backend': 'mxnet'})

    subject = export(b'1')
    assert (subject.name, subject.metric, subject([photo()])) == ('lite', 'cosine', [[]])
    assert subject.identity['backend'] == 'mxnet'
    assert export(b'1').identity == subject.identity != export(b'2').identity


def test_similarities():
    a, b = np.array([[3.0, 0], [0, 2]]), np.array([[3.0, 4], [0, -2]])
    assert similarities(a, b, 'cosine').tolist() == pytest.approx([0.6, -1])
    assert similarities(a, b, 'euclidean').tolist() == [-4, -4]
    with pytest.raises(ValueError, match='cosine'):
        similarities(a, b, 'manhattan')


def test_enlarged_photos_give_boxes_of_the_photo():
    def answer(image):
        assert image.shape == (15, 25, 3)
        return [face((5, 3, 15, 12), landmarks=np.full((5, 2), 5), embedding=[1, 2])]

    subject = Enlarged(Scripted(answer), 2.5)
    ((found,),) = subject([np.zeros((6, 10, 3), np.uint8)])
    assert found.box == pytest.approx([2, 1.2, 6, 4.8])
    assert found.landmarks == pytest.approx(np.full((5, 2), 2))
    assert found.embedding.tolist() == [1, 2]
    assert subject.identity == {'name': 'scripted', 'enlarged': 2.5}


def test_what_a_result_says_of_a_model(tmp_path):
    def told(training):
        ModelFiles(tmp_path / 'm').write_manifest({'files': [], 'name': 'm', 'training': training})
        return about_model(tmp_path / 'm', 'name', 'training', 'licence')

    config = {'training': {'iterations': 12500, 'seed': 1}, 'losses': {'contrast': 0.3}}
    run = {'iteration': 12000, 'records': {'points': {'faces': 5}}}
    assert told(dict(run, config=config))['training'] == {
        'iteration': 12000,
        'records': {'points': {'faces': 5}},
        'iterations': 12500,
        'seed': 1,
        'contrast': 0.3,
    }
    assert told('a million photos') == {'name': 'm', 'training': 'a million photos'}
    assert told(None) == {'name': 'm'}
