import numpy as np
import pytest

from uniface_mx.data.transforms import photometric as p


@pytest.fixture
def image():
    ramp = np.linspace(20, 235, 48).astype(np.uint8)
    return np.stack(np.meshgrid(ramp, ramp) + [np.full((48, 48), 120, np.uint8)], axis=-1)


def test_neutral_arguments_change_nothing(image):
    assert np.array_equal(p.colour(image), image)
    assert p.tone_table(1, 1, 1, (1, 1, 1))[0, :, 0].tolist() == list(range(256))
    assert np.allclose(p.colour_matrix(1, 0), np.eye(3), atol=1e-6)


def test_no_saturation_is_grey_of_the_same_luma():
    red = np.full((2, 2, 3), (200, 0, 0), np.uint8)
    assert p.colour(red, saturation=0)[0, 0].tolist() == [60, 60, 60]  # 0.299 * 200


def test_a_full_turn_of_the_hue_is_none_and_grey_has_no_hue(image):
    assert np.abs(p.colour(image, hue=360).astype(int) - image).max() <= 1
    grey = np.full((2, 2, 3), 90, np.uint8)
    assert np.abs(p.colour(grey, hue=77).astype(int) - 90).max() <= 1


@pytest.mark.parametrize(
    'arguments, expected',
    [
        (dict(brightness=1.5), [96, 150, 255]),
        (dict(contrast=0.5), [96, 114, 164]),  # halves the distance to 127.5
        (dict(gamma=2), [16, 39, 157]),  # 255 (v / 255)^2
        (dict(cast=(0.5, 1, 1)), [32, 100, 200]),
    ],
)
def test_tones(arguments, expected):
    pixel = np.array([[[64, 100, 200]]], np.uint8)
    assert p.colour(pixel, **arguments)[0, 0].tolist() == expected


def test_noise_has_the_deviation_asked_for_and_no_bias():
    grey = np.full((200, 200, 3), 128, np.uint8)
    difference = p.noise(grey, 8, np.random.default_rng(0)).astype(float) - 128
    assert difference.std() == pytest.approx(8, rel=0.02) and abs(difference.mean()) < 0.1


def test_noise_follows_the_generator(image):
    a, b, c = (p.noise(image, 5, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(a, b) and not np.array_equal(a, c)


def test_low_resolution_keeps_the_shape_and_loses_what_is_finer():
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[:, ::2] = 255
    result = p.low_resolution(stripes, 2)
    assert result.shape == stripes.shape and np.abs(result.astype(int) - 127.5).max() <= 1
    blocks = p.low_resolution(np.arange(192, dtype=np.uint8).reshape(8, 8, 3), 4, smooth=False)
    assert len(np.unique(blocks[..., 0])) == 4


def test_blur_spreads_a_point_and_keeps_its_sum():
    point = np.zeros((21, 21, 3), np.uint8)
    point[10, 10] = 250
    result = p.blur(point, 1)
    assert result[10, 10, 0] < 60 and result[10, 11, 0] > 15 and 200 < result[..., 0].sum() < 300


def test_jpeg_keeps_the_channels_in_order_and_loses_more_at_low_quality(image):
    losses = [np.abs(p.jpeg(image, quality).astype(float) - image).mean() for quality in (95, 10)]
    assert losses[0] < 4 and losses[1] > 1.5 * losses[0]


@pytest.mark.parametrize(
    'change',
    [
        lambda i: p.colour(i, hue=5),
        lambda i: p.blur(i, 1),
        lambda i: p.jpeg(i, 50),
        lambda i: p.low_resolution(i, 2),
        lambda i: p.noise(i, 5, np.random.default_rng(0)),
    ],
)
def test_the_argument_is_left_alone_and_the_type_kept(image, change):
    before = image.copy()
    result = change(image)
    assert np.array_equal(image, before) and result.dtype == np.uint8 and result.shape == image.shape
