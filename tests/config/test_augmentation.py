import pytest

from uniface_mx.config.augmentation import AugmentError, AugmentSettings
from uniface_mx.data.transforms.canvas import canvas_kinds


@pytest.mark.parametrize(
    'values, message',
    [
        (dict(letterbox=0, crop=0, mosaic=0), 'all 0'),
        (dict(crop=-1), 'negative'),
        (dict(mosaic_cells=(1, 2)), 'mosaic_weights'),
        (dict(mosaic_cells=(0,), mosaic_weights=(1,)), 'mosaic_cells'),
        (dict(mosaic_weights=(0, 0, 0, 0, 0)), 'mosaic_weights'),
        (dict(size_edges=(24, 48)), 'size_weights'),
        (dict(size_edges=(24, 20, 96, 144, 300)), 'size_edges'),
        (dict(flip_probability=1.5), 'flip_probability'),
        (dict(keep_visible=0.05), 'drop_visible'),
        (dict(crop_scale=(0.9, 0.2)), 'crop_scale'),
        (dict(max_expand=0.5), 'max_expand'),
        (dict(jpeg_quality=(0, 50)), 'jpeg_quality'),
        (dict(brightness=1.0), 'brightness'),
        (dict(crop_overlaps=()), 'crop_overlaps'),
        (dict(low_resolution_max=0.5), 'low_resolution_max'),
        (dict(max_zoom=0), 'max_zoom'),
    ],
)
def test_senseless_settings_are_errors_that_name_the_setting(values, message):
    with pytest.raises(AugmentError, match=message):
        AugmentSettings(**values)


def test_kinds_and_their_shares():
    kinds, weights = canvas_kinds(
        AugmentSettings(letterbox=0.2, crop=0.3, mosaic=0.5, mosaic_cells=(1, 4), mosaic_weights=(1, 4))
    )
    assert kinds == [('letterbox', 1), ('crop', 1), ('mosaic', 1), ('mosaic', 4)]
    assert weights == pytest.approx([0.2, 0.3, 0.1, 0.4])
