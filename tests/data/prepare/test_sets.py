import shutil
from dataclasses import replace

import pytest
from fakes import PATTERN, TEACHERS, files_of, prepare, write_photos

from uniface_mx.data.prepare import PrepareError
from uniface_mx.data.prepare.sets import merge, split
from uniface_mx.data.records import RecordError, RecordReader


@pytest.fixture
def other(tmp_path, photos, job):
    """A set of another source: two photos of the first and eight of its own."""
    folder = write_photos(tmp_path / 'other', 8, faces=((40, 30, 90, 90),))
    for key in ('00_000.jpg', '03_011.jpg'):
        shutil.copy(str(photos / key), str(folder / ('x' + key)))
    name = str(tmp_path / 'b')
    prepare(f'folder:{folder}', name, job)
    return name


def test_merge_keeps_order_names_and_labels_and_leaves_duplicates_out(tmp_path, prepared, other):
    meta = merge([prepared, other], str(tmp_path / 'all'))
    records = list(RecordReader(tmp_path / 'all', verify=True))
    first, second = list(RecordReader(prepared)), list(RecordReader(other))
    assert [r.key for r in records] == [r.key for r in first + second[:8]]
    assert [r.source for r in records] == ['photos'] * 20 + ['other'] * 8
    assert [r.person for r in records] == [r.person for r in first] + [None] * 8
    assert all((a.objects == b.objects).all() and a.image == b.image for a, b in zip(records, first + second))
    assert meta.sources[1]['skipped']['duplicate'] == [
        'other/x00_000.jpg = photos/00_000.jpg',
        'other/x03_011.jpg = photos/03_011.jpg',
    ]


def test_a_set_merged_alone_is_itself(tmp_path, prepared):
    merge([prepared], str(tmp_path / 'again'))
    assert files_of(tmp_path / 'again') == files_of(prepared)


def test_other_teachers_do_not_mix(tmp_path, photos, prepared, job):
    changed = replace(job, teachers=(TEACHERS[0], "fakes:FakeEmbedding?version='2'"))
    prepare(f'folder:{photos}?name=b', tmp_path / 'b', changed)
    with pytest.raises(RecordError, match=r'b\.rec: its embeddings come from fake-embedding \(version 2'):
        merge([prepared, str(tmp_path / 'b')], str(tmp_path / 'all'))
    assert not list(tmp_path.glob('all*'))


def test_sources_of_one_name_that_differ(tmp_path, photos, prepared, job):
    prepare(f'folder:{photos}{PATTERN}', tmp_path / 'b', replace(job, size=50))
    with pytest.raises(PrepareError, match="source 'photos' differs .*options"):
        merge([prepared, str(tmp_path / 'b')], str(tmp_path / 'all'))


def test_split_keeps_people_together_and_every_photo(tmp_path, prepared):
    metas = split(prepared, {'train': 0.6, 'test': 0.4})
    parts = {part: list(RecordReader(f'{prepared}-{part}', verify=True)) for part in metas}
    people = {part: {record.person for record in records} for part, records in parts.items()}
    assert not people['train'] & people['test'] and len(people['train'] | people['test']) == 7
    assert sorted(r.key for records in parts.values() for r in records) == [
        r.key for r in RecordReader(prepared)
    ]
    assert 0 < len(parts['test']) < len(parts['train'])


def test_a_split_moves_nobody_when_photos_come_and_go(tmp_path, prepared):
    split(prepared, {'a': 0.5, 'b': 0.5})
    whole = {record.person for record in RecordReader(prepared + '-a')}
    merge([prepared + '-b', prepared + '-a'], str(tmp_path / 'turned'))
    split(str(tmp_path / 'turned'), {'a': 0.5, 'b': 0.5})
    assert {record.person for record in RecordReader(tmp_path / 'turned-a')} == whole
    split(prepared, {'a': 0.5, 'b': 0.5}, salt='another')
    assert {record.person for record in RecordReader(prepared + '-a')} != whole


def test_shares_are_kept_where_nobody_is_named(tmp_path, photos, job):
    folder = write_photos(tmp_path / 'many', 120, size=(50, 50), faces=((10, 5, 45, 45),))
    prepare(f'folder:{folder}', tmp_path / 'many', job)
    metas = split(str(tmp_path / 'many'), {'a': 0.7, 'b': 0.2, 'c': 0.1})
    total = sum(meta.records for meta in metas.values())
    assert metas['a'].records == pytest.approx(0.7 * total, abs=0.15 * total)
    assert metas['c'].records == pytest.approx(0.1 * total, abs=0.1 * total)


@pytest.mark.parametrize(
    'parts', [{'a': 1.0}, {'a': 0.5, 'b': 0.4}, {'a': 1.2, 'b': -0.2}, {'a': float('nan'), 'b': 0.5}]
)
def test_shares_that_make_no_whole(prepared, parts):
    with pytest.raises(PrepareError, match='add up to 1'):
        split(prepared, parts)
