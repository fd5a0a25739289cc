"""Subjects with known answers, for the tests of evaluations."""

import numpy as np

from uniface_mx.deploy.predictor import Face
from uniface_mx.evaluation.subject import Subject


def face(box, score=0.9, landmarks=None, embedding=None):
    box = np.asarray(box, np.float32)
    landmarks = np.tile((box[:2] + box[2:]) / 2, (5, 1)) if landmarks is None else landmarks
    embedding = None if embedding is None else np.asarray(embedding, np.float32)
    return Face(box, score, np.asarray(landmarks, np.float32), embedding)


class Scripted(Subject):
    """Answers each image with what ``answer(image)`` says, and counts the images."""

    def __init__(self, answer, metric='cosine', name='scripted'):
        self.answer, self.metric, self.name, self.seen = answer, metric, name, 0
        self.identity = {'name': name}

    def __call__(self, images):
        self.seen += len(images)
        return [self.answer(image) for image in images]
