import numpy as np
import pytest

from uniface_mx.data.sources import SourceError, open_source
from uniface_mx.data.sources.voc import TURNS
from uniface_mx.image import read_image

OBJECT = """
  <object>
    <name>{}</name><pose>Unspecified</pose><truncated>0</truncated><difficult>{}</difficult>
    <bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>
  </object>"""


def voc(objects, filename='a.jpg', size=(100, 80)):
    """The text of a VOC annotation with (class, difficult, four corners) objects."""
    return """<annotation verified="yes">
  <folder>data</folder><filename>{}</filename><path>C:\\data\\{}</path>
  <source><database>Unknown</database></source>
  <size><width>{}</width><height>{}</height><depth>3</depth></size>
  <segmented>0</segmented>{}
</annotation>""".format(filename, filename, *size, ''.join(OBJECT.format(*row) for row in objects))


@pytest.fixture
def write_voc(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return write


def test_classes(tmp_path, write_image, write_voc):
    write_image('JPEGImages/a.jpg')
    write_image('JPEGImages/b.png')
    write_image('JPEGImages/not_annotated.png')
    objects = [('without_mask', 0, 10, 12, 30, 42), ('with_mask', 0, 40, 10, 60, 35), ('dog', 0, 1, 1, 9, 9)]
    write_voc('Annotations/a.xml', voc([*objects, ('without_mask', 1, 70, 10, 90, 30.5)]))
    write_voc('Annotations/b.xml', voc([('dog', 0, 1, 1, 9, 9)], 'renamed.jpg'))
    source = open_source(f'voc:{tmp_path}?face=without_mask&masked=with_mask,worn_wrongly')
    a, b = source
    assert (a.key, b.key) == ('JPEGImages/a.jpg', 'JPEGImages/b.png')
    np.testing.assert_array_equal(a.boxes, [[10, 12, 30, 42], [40, 10, 60, 35], [70, 10, 90, 30.5]])
    assert a.masked.tolist() == [False, True, False] and a.ignore.tolist() == [False, False, True]
    assert a.landmarks is None and b.boxes.shape == (0, 4) and b.masked.shape == (0,)
    assert not source.complete and not source.teacher_box and source.issues == []


def test_other_folders_and_an_image_that_is_missing(tmp_path, write_image, write_voc):
    write_image('data/images/a.png')
    write_voc('data/xml/a.xml', voc([('face', 0, 10, 12, 30, 42)], 'whatever.png'))
    write_voc('data/xml/b.xml', voc([('face', 0, 10, 12, 30, 42)], 'gone.jpg'))
    source = open_source(f'voc:{tmp_path}?annotations=data/xml&images=data/images&complete=1')
    assert source.keys == ['data/images/a.png', 'data/images/gone.jpg'] and source.complete
    assert not source[1].path.exists() and len(source[1].boxes) == 1


def test_box_without_area_is_listed(tmp_path, write_image, write_voc):
    write_image('JPEGImages/a.jpg')
    write_voc('Annotations/a.xml', voc([('face', 0, 10, 12, 10, 42), ('face', 0, 10, 12, 101, 42)]))
    source = open_source(f'voc:{tmp_path}')
    np.testing.assert_array_equal(source[0].boxes, [[10, 12, 101, 42]])
    ((key, reason),) = source.issues
    assert key == 'JPEGImages/a.jpg' and reason == 'face 0: its box (10, 12, 10, 42) has no area in the image'


@pytest.mark.parametrize('orientation', [1, 3, 5, 6, 7, 8])
@pytest.mark.parametrize('size', [(40, 60), (60, 40)])
def test_boxes_of_images_that_exif_turns(tmp_path, write_image, write_voc, orientation, size):
    # The image is stored 40 wide and 60 high, with a bright patch that the box must hold after the turn.
    from PIL import Image

    path = write_image('JPEGImages/a.png', 40, 60, orientation)
    with Image.open(path) as stored:
        exif, picture = stored.getexif(), Image.new('L', (40, 60))
    picture.paste(255, (5, 8, 15, 28))
    picture.save(path, exif=exif)
    shown = read_image(path)[..., 0]
    rows, columns = np.nonzero(shown)
    around = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    turned = orientation in TURNS
    stated_as_stored = size == (40, 60)
    written = [5, 8, 15, 28] if turned and stated_as_stored else around
    write_voc('Annotations/a.xml', voc([('face', 0, *written)], 'a.png', size))
    np.testing.assert_array_equal(open_source(f'voc:{tmp_path}')[0].boxes, [around])


@pytest.mark.parametrize(
    'text, message',
    [
        (voc([('face', 0, 1, 2, 3, 4)])[:-20], r'a\.xml: .*line \d+'),
        ('', r'a\.xml: .*line 1'),
        (
            voc([('face', 0, 1, 2, 3, 4), ('face', 0, 1, 2, 'three', 4)]),
            r'a\.xml: object 2: expected a bndbox',
        ),
        (voc([('face', 0, 1, 2, 'nan', 4)]), r'a\.xml: object 1'),
        (voc([('face', 0, 1, 2, 3, 4)]).replace('xmax', 'right'), r'a\.xml: object 1'),
        (voc([('person', 0, 1, 2, 3, 4)]), 'none of the classes face occurs; there are: person'),
        (voc([]), 'there are: no objects'),
    ],
)
def test_malformed(tmp_path, write_image, write_voc, text, message):
    write_image('JPEGImages/a.jpg')
    write_voc('Annotations/a.xml', text)
    with pytest.raises(SourceError, match=message):
        open_source(f'voc:{tmp_path}')


def test_filename_that_leaves_the_folder(tmp_path, write_image, write_voc):
    write_image('JPEGImages/b.jpg')
    write_voc('Annotations/a.xml', voc([('face', 0, 1, 2, 3, 4)], '../../secret.jpg'))
    with pytest.raises(SourceError, match='below the root'):
        open_source(f'voc:{tmp_path}')


def test_two_images_or_annotations_for_one(tmp_path, write_image, write_voc):
    write_image('JPEGImages/a.jpg')
    write_voc('Annotations/a.xml', voc([('face', 0, 1, 2, 3, 4)]))
    write_voc('Annotations/b.xml', voc([('face', 0, 1, 2, 3, 4)]))
    with pytest.raises(SourceError, match='second annotation'):
        open_source(f'voc:{tmp_path}')
    write_image('JPEGImages/a.png')
    with pytest.raises(SourceError, match='two images'):
        open_source(f'voc:{tmp_path}')


@pytest.mark.parametrize(
    'spec, images, boxes, masked',
    [
        (
            'facemask_ilc?annotations=annotations&face=without_mask&masked=with_mask,with_incorrect_mask',
            1750,
            4813,
            3162,
        ),
        ('mask_wearing?annotations=labels&images=images&face=bad&masked=good,none', 679, 3922, 3255),
        (
            'mask853?annotations=data/xml&images=data/images&face=without_mask&masked=with_mask,'
            'mask_weared_incorrect',
            853,
            4072,
            3355,
        ),
    ],
)
def test_real_sets(real_sets, spec, images, boxes, masked):
    source = open_source(f'voc:{real_sets}/{spec}')
    found = list(source)
    assert len(found) == images
    assert sum(len(image.boxes) for image in found) == boxes
    assert sum(image.masked.sum() for image in found) == masked
    assert source.issues == []
