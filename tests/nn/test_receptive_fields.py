"""Where cells look: measured on the real network, by the gradient of cells with respect to the image."""

import mxnet as mx
import numpy as np
import pytest

from uniface_mx.models import get_model
from uniface_mx.nn.anchors import REDUCTION, STEM_LAYERS, map_frame, receptive_centre

# Larger than the network's own input, so that the field of a cell of the third level ends before the border;
# and such that a cell of each level lies in the middle: with an image goes its mirror image, where max-pools
# choose the other way.
SIDE, IMAGES = 723, 4


@pytest.fixture(scope='module')
def gradients():
    """Centre of mass (x, y) of the gradient of blocks of cells, and where the blocks' middle should lie.

    Weights are not negative and sum to 1 in every filter, batch norm does nothing: so nothing cancels.
    Max-pools choose by chance; it is averaged over random images, their mirror images, and the cells of a
    block.
    """
    net = get_model('uniface_a_lite').network
    net.initialize(mx.init.MSRAPrelu(slope=0))
    levels = net.bottom_up(mx.nd.zeros((1, 3, SIDE, SIDE)))
    net.recognition_map(*levels)
    for name, parameter in net.collect_params('(trunk|extra|topdown).*weight').items():
        weight = parameter.data().abs()
        # Coarser levels reach F_r by nearest-neighbour upsampling, which says nothing about places.
        silent = 'lateral' in name and 'lateral0' not in name
        parameter.set_data(weight * 0 if silent else weight / weight.sum() * len(weight))
    net.apply(
        lambda block: block._kwargs.update(use_global_stats=True) if hasattr(block, 'running_mean') else None
    )

    blocks = {}
    for level in range(3):
        origin, step = receptive_centre(STEM_LAYERS + (REDUCTION,) * level)
        first = levels[level].shape[2] // 2 - 1
        blocks[level] = (first, 3, origin + step * (first + 1))
    frame = map_frame(upsampling=4)
    # Two cells on each axis: an upsampled cell lies on either side of the one that it was made of.
    blocks['F_r'] = (177, 2, frame.origin + frame.stride * 178)

    sums = dict.fromkeys(blocks, 0)
    for _ in range(IMAGES):
        image = mx.nd.random.uniform(0, 1, (1, 3, SIDE, SIDE))
        image = mx.nd.concat(image, image.flip(axis=2), dim=0)
        image = mx.nd.concat(image, image.flip(axis=3), dim=0)
        image.attach_grad()
        with mx.autograd.record():
            levels = net.bottom_up(image)
            maps = {0: levels[0], 1: levels[1], 2: levels[2], 'F_r': net.recognition_map(*levels)}
            answers = {
                key: maps[key][:, :, first : first + count, first : first + count].sum()
                for key, (first, count, _) in blocks.items()
            }
        for key, answer in answers.items():
            answer.backward(retain_graph=True)
            gradient = image.grad.asnumpy().sum(axis=(0, 1)).astype(np.float64)
            assert gradient.min() >= 0
            sums[key] = sums[key] + gradient
    places = np.arange(SIDE) + 0.5
    return {
        key: (
            np.array([(sums[key].sum(axis=axis) * places).sum() for axis in (0, 1)]) / sums[key].sum(),
            middle,
        )
        for key, (_, _, middle) in blocks.items()
    }


@pytest.mark.parametrize('key', [0, 1, 2, 'F_r'])
def test_cells_look_where_their_anchors_lie(gradients, key):
    centre, expected = gradients[key]
    assert np.abs(centre - expected).max() <= 0.5, centre - expected


@pytest.mark.parametrize('key', [0, 1, 2])
def test_the_usual_formula_would_be_off(gradients, key):
    """(k + 0.5) of the map's share of the input is what SSD says."""
    centre, expected = gradients[key]
    cells = 36 // 2**key
    cell = (expected - 9.5) / (8 * 2**key)
    usual = (cell + 0.5) * 300 / cells
    assert np.abs(centre - usual).min() > 2
