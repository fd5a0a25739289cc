"""A backend that sees bright rectangles instead of faces, and a model made of it."""

import cv2
import numpy as np
from scipy import ndimage

from uniface_mx.deploy.predictor import Predictor

MANIFEST = {
    'name': 'rectangles',
    'input': {'size': 300},
    'max_faces': 16,
    'thresholds': {'score': 0.5, 'graph_iou': 0.45, 'verification': 0.8},
    'files': {'rectangles-0000.params': 'f' * 64},
}
# Landmarks in shares of the box.
POINTS = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])


class Rectangles:
    """Every connected bright area is a face; its red over 255 is the score, its green tells who it is."""

    name, device, export = 'rectangles', 'cpu', 'hands'

    def __init__(self, faces=16):
        self.faces = faces
        self.runs = []

    def has(self, part):
        return True

    def run(self, part, inputs):
        self.runs.append((part, {name: array.shape for name, array in inputs.items()}))
        if part == 'trunk':
            return np.stack([self.detections(image) for image in inputs['data']]), inputs['data']
        return (np.stack([self.embedding(inputs['features'], row) for row in inputs['faces']]),)

    def detections(self, image):
        rows = np.full((self.faces, 15), -1, np.float32)
        labels, _ = ndimage.label(image[0] > 60)
        for number, (vertical, horizontal) in enumerate(ndimage.find_objects(labels)[: self.faces]):
            box = np.array([horizontal.start, vertical.start, horizontal.stop, vertical.stop], np.float32)
            rows[number, 0] = np.max(image[0, vertical, horizontal]) / 255
            rows[number, 1:5] = box
            rows[number, 5:] = (box[:2] + POINTS * (box[2:] - box[:2])).ravel()
        return rows

    def embedding(self, features, row):
        left, top, right, bottom = np.clip(row[1:5], 0, 300).astype(int)
        inside = features[int(row[0]), 1, top:bottom, left:right]
        angle = (np.median(inside) if inside.size else 0) / 255 * np.pi / 2
        return np.r_[np.cos(angle), np.sin(angle), np.zeros(126)].astype(np.float32)

    @staticmethod
    def to_numpy(output):
        return output


def predictor(**options):
    return Predictor(Rectangles(), MANIFEST, **options)


def load_rectangles(monkeypatch):
    """Whatever model is loaded, it is the one of rectangles."""

    def load(cls, prefix, backend='mxnet', device='cpu', **options):
        return predictor(**options)

    monkeypatch.setattr(Predictor, 'load', classmethod(load))


def photo(width, height, *faces):
    """A black photo with rectangles ``(left, top, right, bottom, red, green)``; red and green may be left out."""
    image = np.zeros((height, width, 3), np.uint8)
    for left, top, right, bottom, *colour in faces:
        image[top:bottom, left:right] = (colour + [230, 0][len(colour) :]) + [0]
    return image


def write_video(path, frames, codec='MJPG'):
    """A video of ten RGB frames a second; its path."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 10, frames[0].shape[1::-1])
    for frame in frames:
        writer.write(frame[..., ::-1].copy())
    writer.release()
    return path
