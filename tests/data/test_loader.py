import json
import os
import threading
from dataclasses import replace
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from uniface_mx.config.augmentation import AugmentSettings, RecordShare
from uniface_mx.data import records
from uniface_mx.data.loader import Canvases, Loader, read_photo
from uniface_mx.data.records import Record, RecordError, RecordReader, RecordWriter
from uniface_mx.data.rows import BOX, EMBEDDING, HAS_EMBEDDING, HAS_LANDMARKS, IGNORE, LANDMARKS, OBJECT_WIDTH
from uniface_mx.image import encode_jpeg

TEACHERS = {'embeddings': {'name': 'made up', 'version': '1', 'sha256': 'a' * 64, 'mirror': True}}


def write(folder, name, count, faces=1, teachers=TEACHERS, tag=0):
    """Photos of 80x60 whose faces' embeddings all hold the value 1 + tag + number."""
    rng = np.random.default_rng(tag)
    with RecordWriter(folder / name, [{'name': name, 'kind': 'folder', 'licence': ''}], teachers) as writer:
        for i in range(count):
            rows = np.zeros((faces, OBJECT_WIDTH), np.float32)
            for j, row in enumerate(rows):
                row[BOX] = (0.1 + 0.3 * j, 0.2, 0.35 + 0.3 * j, 0.7)
                points = [(0.16, 0.4), (0.26, 0.4), (0.2, 0.5), (0.17, 0.6), (0.25, 0.6)]
                row[LANDMARKS] = np.ravel(np.add(points, (0.3 * j, 0)))
                row[[HAS_LANDMARKS, HAS_EMBEDDING]] = 1
                row[EMBEDDING] = 1 + tag + i
            image = encode_jpeg(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8), 90)
            writer.add(Record(image, rows, 80, 60, name, f'photo{i}'))
    return str(folder / name)


@pytest.fixture(scope='module')
def sets(tmp_path_factory):
    folder = tmp_path_factory.mktemp('sets')
    return {
        'one': write(folder, 'one', 23),
        'two': write(folder, 'two', 40, faces=2, tag=100),
        'empty': write(folder, 'empty', 5, faces=0, tag=200),
    }


def canvases(sets, settings=None, **options):
    shares = [RecordShare(sets['one']), RecordShare(sets['two']), RecordShare(sets['empty'], 0, 0, 1)]
    return Canvases(shares, settings or AugmentSettings(), **dict(dict(seed=3, size=120), **options))


def equal(a, b):
    return np.array_equal(a.data, b.data) and np.array_equal(a.label, b.label) and a.keys == b.keys


def first(loader, count):
    stream = iter(loader)
    batches = [next(stream) for _ in range(count)]
    stream.close()
    return batches


def test_a_photo_has_its_label_in_pixels(sets):
    photo = read_photo(RecordReader(sets['two']), 3)
    assert np.allclose(photo.objects[0, BOX], (8, 12, 28, 42)) and (photo.width, photo.height) == (80, 60)


def test_the_reader_reads_what_mxnet_reads(sets):
    reader = RecordReader(sets['two'])
    other = mx.recordio.MXIndexedRecordIO(sets['two'] + '.idx', sets['two'] + '.rec', 'r')
    assert [reader.read(i) for i in range(40)] == [other.read_idx(i) for i in range(40)]


def test_records_that_recordio_splits_are_joined(tmp_path):
    """RecordIO cuts a record where its own magic number occurs, aligned, in the content."""
    content = b'abcd' + b'\x0a\x23\xd7\xce' * 2 + b'efgh\x0a\x23\xd7\xceij'
    name = write(tmp_path, 'split', 1)
    file = mx.recordio.MXIndexedRecordIO(name + '.idx', name + '.rec', 'w')
    file.write_idx(0, content)
    file.close()
    meta = json.loads(Path(name + '.json').read_text())
    meta['files']['.rec']['bytes'] = os.path.getsize(name + '.rec')
    Path(name + '.json').write_text(json.dumps(meta))
    assert RecordReader(name).read(0) == content


@pytest.mark.parametrize('workers', [1, 2, 3])
def test_any_number_of_workers_gives_the_same_stream(sets, workers):
    alone = first(Loader(canvases(sets), 4, workers=0), 5)
    assert all(equal(a, b) for a, b in zip(alone, first(Loader(canvases(sets), 4, workers=workers), 5)))


@hypothesis_settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(position=st.integers(0, 10**6), workers=st.integers(0, 2))
def test_resuming_anywhere_gives_the_same_batches(sets, position, workers):
    source = canvases(sets)
    ahead = first(Loader(source, 2, workers=workers, position=position), 3)
    resumed = first(Loader(canvases(sets), 2, workers=0, position=position + 2), 1)
    assert equal(ahead[2], resumed[0])


def test_the_position_counts_what_was_handed_out_not_what_was_made(sets):
    loader = Loader(canvases(sets), 2, workers=2, ahead=6)
    before = first(loader, 3)
    assert loader.position == 3
    after = first(loader, 1)
    assert equal(after[0], Loader(canvases(sets), 2).make(3)) and not equal(after[0], before[2])


def test_another_seed_gives_another_stream(sets):
    assert not equal(Loader(canvases(sets), 4).make(0), Loader(canvases(sets, seed=4), 4).make(0))


def test_two_processes_see_together_what_one_sees(sets):
    whole = Loader(canvases(sets), 4).make(5)
    parts = [Loader(canvases(sets), 2, shard=(k, 2)).make(5) for k in (0, 1)]
    assert np.array_equal(whole.data, np.concatenate([part.data for part in parts]))
    assert whole.keys == parts[0].keys + parts[1].keys


def test_weights_are_honoured_and_every_record_is_shown(sets):
    settings = replace(
        AugmentSettings.none(), letterbox=0.0, mosaic=1.0, mosaic_cells=(2,), mosaic_weights=(1,)
    )
    source = Canvases(
        [RecordShare(sets['one'], tile=2), RecordShare(sets['two'], tile=1)], settings, seed=0, size=60
    )
    shown = [key for i in range(500) for key in source.canvas(i)[2]]
    assert len(shown) == 1000
    ones = sum('one' in os.path.basename(key.split(',')[0]) for key in shown)
    assert ones == pytest.approx(1000 * 46 / 86, abs=1)
    counts = {key: shown.count(key) for key in set(shown)}
    assert len(counts) == 63 and max(counts.values()) <= 25 and min(counts.values()) >= 10
    two = [n for key, n in counts.items() if os.path.basename(key).startswith('two')]
    assert max(two) - min(two) <= 1


def test_a_share_of_zero_is_never_shown(sets):
    settings = replace(AugmentSettings(), letterbox=0, crop=0.5, mosaic=0.5)
    source = Canvases(
        [RecordShare(sets['one'], photo=1, tile=0), RecordShare(sets['two'], photo=0, tile=1)],
        settings,
        size=60,
    )
    for i in range(40):
        names = source.canvas(i)[2]
        assert len({os.path.basename(name).split('.')[0] for name in names}) == 1
        assert len(names) == 1 or 'two.rec' in names[0]


def test_an_unshuffled_pass_shows_each_record_once_and_ends(sets):
    source = Canvases([RecordShare(sets['one'])], AugmentSettings.none(), seed=None, size=80)
    loader = Loader(source, 5, workers=2)
    batches = list(loader)
    assert len(batches) == len(loader) == 5 and [b.count for b in batches] == [5, 5, 5, 5, 3]
    values = np.concatenate([b.label[: b.count, 0, 18] for b in batches])
    assert values.tolist() == list(range(1, 24))
    assert (batches[-1].label[3:] == -1).all() and not batches[-1].data[3:].any()
    assert list(loader) == []


def test_of_too_many_faces_the_largest_to_learn_stay(sets, monkeypatch):
    source = Canvases([RecordShare(sets['two'])], AugmentSettings.none(), seed=None, size=80)
    rows = np.zeros((4, OBJECT_WIDTH), np.float32)
    rows[:, BOX] = [(0, 0, side, side) for side in (10, 30, 50, 20)]
    rows[2, IGNORE] = 1
    monkeypatch.setattr(source, 'canvas', lambda index: (np.zeros((80, 80, 3), np.uint8), rows, ['x'], []))
    batch = source.batch([0], 2, 1)
    assert batch.label[0, :, BOX][:, 2].tolist() == [30, 20] and batch.overflow == 2


def test_photos_without_faces_are_seen_behind_the_others(sets):
    settings = replace(
        AugmentSettings(),
        letterbox=0,
        crop=0,
        background_probability=1,
        size_edges=(24, 25),
        size_weights=(1,),
    )

    def drawn(*shares):
        source = Canvases(shares, settings, seed=3, size=120)
        return np.stack([source.canvas(index)[0] for index in range(5)])

    one, behind = RecordShare(sets['one']), RecordShare(sets['empty'], 0, 0, 1)
    assert not np.array_equal(drawn(one, behind), drawn(one))


def test_rows_beyond_the_limit_are_counted(sets):
    source = Canvases([RecordShare(sets['two'])], AugmentSettings.none(), seed=None, size=80)
    batch = Loader(source, 3, max_faces=1).make(0)
    assert batch.overflow == 3 and (batch.label[:, 0, IGNORE] == 0).all()
    padded = Loader(source, 1, max_faces=4).make(0)
    assert (padded.label[0, 2:] == -1).all() and padded.label[0, 1, HAS_EMBEDDING] == 1
    assert padded.overflow == 0


def damaged(tmp_path, change):
    """Record 2 of six spoiled by `change(bytes of the file, begin, end)`, sizes unchanged."""
    name = write(tmp_path, 'bad', 6)
    offsets = [int(line.split('\t')[1]) for line in open(name + '.idx')]
    content = bytearray(open(name + '.rec', 'rb').read())
    change(content, offsets[2], offsets[3])
    with open(name + '.rec', 'wb') as file:
        file.write(content)
    return name


def spoil_magic(content, begin, end):
    content[begin] ^= 1


def spoil_label(content, begin, end):
    content[begin + 8 + 24 + 8] ^= 64


def spoil_image(content, begin, end):
    image = content.index(b'\xff\xd8', begin)
    content[image : image + 40] = bytes(40)


def spoil_length(content, begin, end):
    content[begin + 4 : begin + 8] = (1 << 20).to_bytes(4, 'little')


@pytest.mark.parametrize('change', [spoil_magic, spoil_label, spoil_image, spoil_length])
@pytest.mark.parametrize('workers', [0, 2])
def test_a_damaged_record_is_an_error_that_names_it(tmp_path, change, workers):
    name = damaged(tmp_path, change)
    source = Canvases([RecordShare(name)], AugmentSettings.none(), seed=None, size=60)
    with pytest.raises(RecordError, match=r'bad\.rec, record 2: '):
        list(Loader(source, 2, workers=workers))


@pytest.mark.parametrize('change', [spoil_magic, spoil_label, spoil_image, spoil_length])
def test_or_it_is_skipped_and_counted(tmp_path, change):
    name = damaged(tmp_path, change)
    source = Canvases([RecordShare(name)], AugmentSettings.none(), seed=None, size=60, skip_bad=True)
    batches = list(Loader(source, 3, workers=2))
    first, second = (batch.bad for batch in batches)
    assert first[:2] == [[], []] and len(first[2]) == 1 and 'record 2' in first[2][0] and not any(second)
    assert (batches[0].label[:, 0, 0] == [0, 0, -1]).all() and not batches[0].data[2].any()


def test_no_thread_outlives_its_stream(sets):
    stream = iter(Loader(canvases(sets), 2, workers=2))
    next(stream)
    assert any(t.name.startswith('loader') for t in threading.enumerate())
    stream.close()
    assert not any(t.name.startswith('loader') for t in threading.enumerate())


def test_sets_of_different_teachers_are_refused(sets, tmp_path):
    other = write(tmp_path, 'other', 2, teachers={'embeddings': dict(TEACHERS['embeddings'], name='another')})
    with pytest.raises(RecordError, match='another'):
        Canvases([RecordShare(sets['one']), RecordShare(other)], AugmentSettings())


def test_a_background_with_faces_is_refused(sets):
    with pytest.raises(RecordError, match=r'two\.rec.*background'):
        Canvases([RecordShare(sets['one']), RecordShare(sets['two'], background=1)], AugmentSettings())


@pytest.mark.parametrize('share, use', [(dict(photo=0), 'photo'), (dict(tile=0), 'tile')])
def test_a_use_without_records_is_refused(sets, share, use):
    with pytest.raises(RecordError, match='ask for a ' + use):
        Canvases([RecordShare(sets['one'], **share)], AugmentSettings())


def test_missing_and_truncated_files(sets, tmp_path):
    with pytest.raises(RecordError, match='nothing'):
        RecordReader(str(tmp_path / 'nothing'))
    name = write(tmp_path, 'short', 3)
    with open(name + '.rec', 'r+b') as file:
        file.truncate(100)
    with pytest.raises(RecordError, match='short.rec'):
        RecordReader(name)


@pytest.mark.parametrize('text', ['0\t0\n', 'x\n1\n2\n'])
def test_a_damaged_index(tmp_path, text, monkeypatch):
    name = write(tmp_path, 'index', 3)
    path = records.record_path(name, '.idx')
    path.write_text(text.ljust(path.stat().st_size, '\n'))
    with pytest.raises(RecordError, match='index.idx'):
        RecordReader(name)


def test_shards_must_make_sense(sets):
    with pytest.raises(ValueError, match='shard'):
        Loader(canvases(sets), 2, shard=(2, 2))


def test_an_interrupt_ends_the_threads_and_leaves_the_position(sets):
    loader = Loader(canvases(sets), 2, workers=2)
    stream = iter(loader)
    next(stream)
    with pytest.raises(KeyboardInterrupt):
        stream.throw(KeyboardInterrupt)
    assert loader.position == 1 and not any(t.name.startswith('loader') for t in threading.enumerate())


def test_a_set_without_records_adds_nothing(sets, tmp_path):
    nothing = write(tmp_path, 'nothing', 0)
    shares = [RecordShare(nothing), RecordShare(sets['one'])]
    source = Canvases(shares, AugmentSettings.none(), seed=None, size=60)
    assert len(source) == 23 and len(list(Loader(source, 8))) == 3
    assert 'one.rec' in Canvases(shares, AugmentSettings(), size=60).canvas(5)[2][0]
    with pytest.raises(RecordError, match='ask for a photo'):
        Canvases(shares[:1], AugmentSettings.none())
