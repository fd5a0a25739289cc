"""A face pasted at nine places of a canvas, through the trunk: its regions are the same."""

import cv2
import mxnet as mx
import numpy as np
import pytest

from uniface_mx.models import get_model
from uniface_mx.models.randomize import randomize
from uniface_mx.nn.attention import RoiRegions
from uniface_mx.nn.normalize import CHANNEL_MEAN

FACE = 96
POINTS = FACE * np.array([[0.3, 0.35], [0.7, 0.35], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
# Steps are whole cells of the 9x9 level. That level sees so far that a canvas of 300 pixels would be all
# border: Model C's map is cut out of a larger one.
CASES = {'uniface_a_lite': (300, 70), 'uniface_c_lite': (723, 262)}


@pytest.fixture(scope='module', params=sorted(CASES))
def maps(request):
    """A network, its maps of nine canvases, their side, and the face's places on them."""
    side, first = CASES[request.param]
    net = get_model(request.param)
    randomize(net, seed=1)
    random = np.random.RandomState(0)
    face = cv2.GaussianBlur(random.uniform(0, 255, (FACE, FACE, 3)), (0, 0), 3)
    face = np.clip((face - face.mean()) * 6 + 128, 0, 255)
    places = [(x, y) for y in (first, first + 32, first + 64) for x in (first, first + 32, first + 64)]
    found = []
    for x, y in places:
        canvas = np.ones((side, side, 3)) * CHANNEL_MEAN
        canvas[y : y + FACE, x : x + FACE] = face
        found.append(net.network(mx.nd.array(canvas.transpose(2, 0, 1)[None]))[3])
    return net.recognition.regions._frame, mx.nd.concat(*found, dim=0), side, places


@pytest.mark.parametrize('roi_op', ['pool', 'align'])
def test_a_face_at_nine_places_gives_the_same_regions(maps, roi_op):
    frame, features, side, places = maps
    regions = RoiRegions(frame, side, roi_op, landmarks=True)

    def cut(shift_x, shift_y):
        rows = []
        for number, place in enumerate(places):
            corner = np.array(place) + (shift_x * frame.stride, shift_y * frame.stride)
            rows.append(np.concatenate([[number], corner, corner + FACE, (corner + POINTS).ravel()]))
        return [region.asnumpy() for region in regions(features, mx.nd.array(rows))]

    means = [region.mean(axis=0) for region in cut(0, 0)]

    def distances(shift_x, shift_y):
        return np.array([np.abs(region - mean).mean() for region, mean in zip(cut(shift_x, shift_y), means)])

    same = distances(0, 0)
    for shift in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        assert np.all(distances(*shift) > 5 * same), (same, distances(*shift))
