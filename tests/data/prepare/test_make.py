import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes import MAGENTA, PATTERN, TEACHERS, FakeEmbedding, files_of, paint, points_of, prepare, write_photos
from PIL import ImageFile

from uniface_mx.data.prepare import PrepareError
from uniface_mx.data.prepare.cache import Cache
from uniface_mx.data.prepare.executor import SerialExecutor, open_executor
from uniface_mx.data.prepare.inspection import record_problems
from uniface_mx.data.prepare.label import LabelRules
from uniface_mx.data.prepare.make import NEGATIVES, shard_range
from uniface_mx.data.prepare.sets import merge
from uniface_mx.data.prepare.worker import label_photos
from uniface_mx.data.records import RecordReader
from uniface_mx.data.rows import BOX, EMBEDDING, HAS_EMBEDDING, HAS_LANDMARKS, IGNORE, LANDMARKS
from uniface_mx.errors import UnifaceError
from uniface_mx.image import read_image

TOOL = Path(__file__).parents[3] / 'tools' / 'prepare_data.py'


def run(photos, name, job, options=PATTERN, **more):
    return prepare(f'folder:{photos}{options}', name, job, **more)


def environment():
    paths = [str(Path(__file__).parents[2]), str(TOOL.parents[1])]
    return dict(os.environ, PYTHONPATH=os.pathsep.join(paths), OMP_NUM_THREADS='1')


def command(photos, out, cache, finder=TEACHERS[0]):
    words = ['make', '--source', f'folder:{photos}{PATTERN}', '--out', out, '--cache', cache]
    return [sys.executable, *map(str, [TOOL, *words, '--teacher', finder, TEACHERS[1], '--workers', 0])]


def test_a_record_holds_what_the_teachers_found(prepared, photos):
    reader = RecordReader(prepared, verify=True)
    assert len(reader) == 20
    for record in reader:
        assert record_problems(record) == []
        assert record.image == (photos / record.key).read_bytes()
        assert record.person == 'photos/' + record.key[:2]
        (face,) = record.objects
        # The painted face is (30, 20, 70, 70) in 120x100; JPEG blurs its edge.
        np.testing.assert_allclose(face[BOX] * (120, 100, 120, 100), (30, 20, 70, 70), atol=2)
        box = face[BOX] * np.float32((120, 100, 120, 100))
        np.testing.assert_allclose(face[LANDMARKS].reshape(5, 2) * (120, 100), points_of([box])[0], atol=1e-3)
        assert (face[HAS_LANDMARKS], face[HAS_EMBEDDING], face[IGNORE]) == (1, 1, 0)


def test_an_embedding_is_the_mean_of_the_face_and_its_mirror_image(tmp_path, prepared, photos, job):
    run(photos, tmp_path / 'plain', replace(job, mirror=False))
    mirrored, plain = RecordReader(prepared)[0], RecordReader(tmp_path / 'plain')[0]
    teacher = FakeEmbedding()
    image = read_image(mirrored.image)
    landmarks = mirrored.objects[0, LANDMARKS].reshape(5, 2) * np.float32((120, 100))
    crop = teacher.align(image, np.round(landmarks, 3))
    views = teacher.embed([crop, crop[:, ::-1]])
    np.testing.assert_allclose(plain.objects[0, EMBEDDING], views[0], atol=1e-5)
    np.testing.assert_allclose(mirrored.objects[0, EMBEDDING], views.mean(axis=0), atol=1e-5)
    readers = RecordReader(prepared), RecordReader(tmp_path / 'plain')
    assert [reader.meta.teachers['embeddings']['mirror'] for reader in readers] == [True, False]


def test_the_bytes_do_not_depend_on_the_workers(tmp_path, prepared, photos, job):
    for workers in (1, 2):
        with open_executor(workers) as (executor, _):
            run(photos, tmp_path / 'workers', job, executor=executor, workers=workers)
        assert files_of(tmp_path / 'workers') == files_of(prepared)


def test_shards_merged_are_one_run(tmp_path, photos, job):
    shutil.copy(str(photos / '00_001.jpg'), str(photos / '05_000.jpg'))
    (photos / '03_999.jpg').write_bytes(b'broken')
    run(photos, tmp_path / 'one', job, max_bad=0.5)
    names = [str(tmp_path / f'part{i}') for i in (1, 2, 3)]
    for i, name in enumerate(names, 1):
        run(photos, name, job, shard=i, shards=3, max_bad=0.5)
    assert len(RecordReader(tmp_path / 'one')) == 20
    merge(names, str(tmp_path / 'merged'))
    assert files_of(tmp_path / 'merged') == files_of(tmp_path / 'one')


def test_ranges_of_shards():
    assert [shard_range(10, i, 3) for i in (1, 2, 3)] == [(0, 3), (3, 6), (6, 10)]
    for shard in (0, 4):
        with pytest.raises(PrepareError):
            shard_range(10, shard, 3)


def test_nothing_is_looked_at_twice(tmp_path, photos, job):
    log = tmp_path / 'log'
    job = replace(job, teachers=(f'fakes:FakeFinder?log={log}', TEACHERS[1]))
    cache = Cache(tmp_path / 'cache')
    first = run(photos, tmp_path / 'a', job, cache=cache)
    assert first.new_answers == 60
    for changed in (
        job,
        replace(job, size=50, quality=70),
        replace(job, mirror=False),
        replace(job, rules=LabelRules(0.5, 0.6, 10)),
    ):
        again = run(photos, tmp_path / 'a', changed, cache=cache)
        assert again.new_answers == 0
    assert len(log.read_text().splitlines()) == 20
    other = replace(job, teachers=(job.teachers[0], "fakes:FakeEmbedding?version='2'"))
    assert run(photos, tmp_path / 'a', other, cache=cache).new_answers == 20


def test_killed_at_ten_random_moments(tmp_path):
    """What ten kills leave behind stays where it is, and the eleventh run ends in the same bytes."""
    photos = write_photos(tmp_path / 'photos', 80)
    (photos / '03_999.jpg').write_bytes(b'broken')
    finder = TEACHERS[0] + '?seconds=0.05'
    chance = random.Random(5)
    aside = tmp_path / '.killed.rec.part'

    def start(name):
        return subprocess.Popen(
            command(photos, tmp_path / name, tmp_path / (name + '.cache'), finder=finder),
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def began():
        return aside.stat().st_mtime_ns if aside.exists() and kept() else None

    def kept():
        cache = tmp_path / 'killed.cache'
        return len(Cache(cache)) if cache.exists() else 0

    assert start('whole').wait(300) == 0
    for kill in range(10):
        before, deadline = began(), time.monotonic() + 60
        process = start('killed')
        # Half of the moments lie in the imports or soon after, the others in the work.
        while kill % 2 and began() == before and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.7))
        process.kill()
        assert process.wait(60) == -signal.SIGKILL
    assert aside.exists() and not list(tmp_path.glob('killed*.rec'))
    # Something was kept, and something was left to do.
    assert 0 < kept() < len(Cache(tmp_path / 'whole.cache'))
    assert start('killed').wait(300) == 0
    assert not list(tmp_path.glob('.*.part'))
    for ending in ('', NEGATIVES):
        assert files_of(f'{tmp_path / "killed"}{ending}') == files_of(f'{tmp_path / "whole"}{ending}')


def test_an_interrupt_is_clean_and_the_next_run_goes_on(tmp_path, photos):
    finder = TEACHERS[0] + '?seconds=0.5'
    tool = command(photos, tmp_path / 'out', tmp_path / 'cache', finder=finder)
    # What a shell starts in the background ignores SIGINT, and so do the tests' children then.
    process = subprocess.Popen(
        tool,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not (tmp_path / 'cache').exists() or not len(Cache(tmp_path / 'cache')):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130 and 'goes on where it was' in error and 'Traceback' not in error
    assert not list(tmp_path.glob('*.rec')) and not list(tmp_path.glob('.*.part'))
    before = len(Cache(tmp_path / 'cache'))
    quiet = dict(stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    done = subprocess.run(tool, env=environment(), **quiet)
    assert f'20 photos, {60 - before} new answers' in done.stdout


def test_dask_with_a_killed_worker(tmp_path, prepared, photos, job):
    distributed = pytest.importorskip('distributed')
    job = replace(job, teachers=('fakes:FakeFinder?seconds=0.1', TEACHERS[1]))
    options = dict(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50)
    with distributed.LocalCluster(**options) as cluster:
        with open_executor(dask=cluster.scheduler_address) as (executor, workers):
            assert workers == 2
            pids = list(executor._client.run(os.getpid).values())
            killed = []

            def kill_one(outcomes):
                for outcome in outcomes:
                    if not killed:
                        os.kill(pids[0], signal.SIGKILL)
                        killed.append(pids[0])
                    yield outcome

            run(photos, tmp_path / 'dask', job, executor=executor, workers=2, progress=kill_one)
    assert len(set(pids)) == 2 and killed
    assert files_of(tmp_path / 'dask') == files_of(prepared)


def test_bad_photos_are_skipped_counted_and_listed(tmp_path, photos, job, monkeypatch):
    # As gluoncv.data does.
    monkeypatch.setattr(ImageFile, 'LOAD_TRUNCATED_IMAGES', True)
    (photos / 'a.jpg').write_bytes(b'no image')
    data = (photos / '00_000.jpg').read_bytes()
    (photos / 'b.jpg').write_bytes(data[: len(data) // 2])
    (photos / 'c.jpg').write_bytes(b'')
    cv2.imwrite(str(photos / 'd.png'), np.zeros((20, 200, 3), np.uint8))
    cv2.imwrite(str(photos / 'e.png'), np.zeros((200, 200, 3), np.uint8))
    (photos / 'f.jpg').symlink_to(photos / 'nowhere.jpg')
    summary = run(photos, tmp_path / 'out', replace(job, max_pixels=30000), '', max_bad=1)
    assert summary.skipped == {
        'broken': ['a.jpg', 'b.jpg', 'c.jpg'],
        'tiny': ['d.png'],
        'huge': ['e.png'],
        'missing': ['f.jpg'],
    }
    assert summary.bad == 6 and summary.photos == 26
    meta = RecordReader(tmp_path / 'out').meta
    assert meta.sources[0]['skipped'] == summary.skipped and meta.sources[0]['counts']['photos'] == 26


def test_too_many_bad_photos_stop_the_run(tmp_path, photos, job):
    for i in range(3):
        (photos / f'{i}.jpg').write_bytes(b'no image')
    with pytest.raises(PrepareError, match='3 of the first 23 photos .*--max-bad 0.1'):
        run(photos, tmp_path / 'out', job, max_bad=0.1, options='')
    assert not list(tmp_path.glob('out*'))
    run(photos, tmp_path / 'out', job, max_bad=0.15, options='')


def test_too_many_bad_photos_stop_the_run_before_its_end(tmp_path, job):
    folder = tmp_path / 'bad'
    folder.mkdir()
    for i in range(300):
        (folder / f'{i:03}.jpg').write_bytes(b'no image')
    with pytest.raises(PrepareError, match='100 of the first 100'):
        run(folder, tmp_path / 'out', job, options='')


def test_photos_without_a_face(tmp_path, job):
    folder = write_photos(tmp_path / 'empty', 3, faces=())
    cv2.imwrite(str(folder / 'unsure.jpg'), paint(9, color=MAGENTA)[..., ::-1])
    summary = run(folder, tmp_path / 'faces', job)
    assert summary.photos == 4 - 1
    assert summary.skipped['no face seen'] == ['00_000.jpg', '00_001.jpg', '00_002.jpg']
    assert len(RecordReader(tmp_path / 'faces')) == len(RecordReader(tmp_path / 'faces-negatives')) == 0
    cv2.imwrite(str(folder / 'sure.jpg'), paint(10)[..., ::-1])
    summary = run(folder, tmp_path / 'none', job, '?faces=0')
    assert summary.skipped == {'a face seen where the source has none': ['sure.jpg']}
    assert len(RecordReader(tmp_path / 'none')) == 0
    records = list(RecordReader(tmp_path / 'none-negatives'))
    assert [len(record.objects) for record in records] == [0, 0, 0, 1]
    assert records[3].objects[0, IGNORE] == 1


def test_an_unsure_face_beside_a_sure_one_is_ignored(tmp_path, job):
    folder = tmp_path / 'two'
    folder.mkdir()
    image = paint(3, faces=((10, 20, 50, 70),))
    image[20:70, 70:110] = MAGENTA
    cv2.imwrite(str(folder / 'a.png'), image[..., ::-1])
    run(folder, tmp_path / 'out', job, '')
    record = RecordReader(tmp_path / 'out')[0]
    boxes = record.objects[:, BOX] * (120, 100, 120, 100)
    np.testing.assert_allclose(boxes, [(10, 20, 50, 70), (70, 20, 110, 70)])
    assert record.objects[:, [IGNORE, HAS_EMBEDDING]].tolist() == [[0, 1], [1, 0]]


def test_large_photos_are_stored_smaller_with_the_same_label(tmp_path, photos, prepared, job):
    run(photos, tmp_path / 'small', replace(job, size=60))
    small, whole = RecordReader(tmp_path / 'small')[0], RecordReader(prepared)[0]
    assert (small.width, small.height) == (60, 50) and small.decode().shape == (50, 60, 3)
    np.testing.assert_array_equal(small.objects, whole.objects)


def test_duplicates_are_left_out(tmp_path, photos, prepared, job):
    image = cv2.imread(str(photos / '01_004.jpg'))
    cv2.imwrite(str(photos / '07_001.jpg'), image, [cv2.IMWRITE_JPEG_QUALITY, 60])
    cv2.imwrite(str(photos / '07_002.jpg'), cv2.resize(image, (240, 200)))
    summary = run(photos, tmp_path / 'out', job)
    assert summary.skipped == {
        'duplicate': ['photos/07_001.jpg = photos/01_004.jpg', 'photos/07_002.jpg = photos/01_004.jpg']
    }
    assert files_of(tmp_path / 'out')[0] == files_of(prepared)[0]


def test_people_that_sources_share(tmp_path, photos, job):
    run(photos, tmp_path / 'out', job, people='celeba')
    assert RecordReader(tmp_path / 'out').meta.persons == [f'celeba/{i:02}' for i in range(7)]


@pytest.mark.parametrize(
    'teachers, message',
    [
        (('fakes:FakeFinder', 'fakes:FakeFinder'), 'a landmark teacher and an embedding teacher'),
        (('nobody', 'dlib'), "unknown teacher 'nobody'"),
        (('fakes:Nobody', 'fakes:FakeEmbedding'), 'no class Nobody'),
        (('fakes:FakeFinder?seconds', 'fakes:FakeEmbedding'), 'not OPTION=VALUE'),
        (('fakes:FakeFinder?colour=1', 'fakes:FakeEmbedding'), "no option 'colour'"),
        (('fakes:FakeFinder?seconds=[1', 'fakes:FakeEmbedding'), "is no value for 'seconds'"),
        (('mtcnn_pypi?min_face=abc', 'fakes:FakeEmbedding'), "teacher 'mtcnn_pypi.min_face=abc': "),
        (('mtcnn_pypi?thresholds=0.6', 'fakes:FakeEmbedding'), "teacher 'mtcnn_pypi.thresholds=0.6': "),
    ],
)
def test_wrong_teachers(tmp_path, photos, job, teachers, message):
    with pytest.raises(UnifaceError, match=message):
        run(photos, tmp_path / 'out', replace(job, teachers=teachers))


def test_workers_with_other_teachers(tmp_path, photos, job):
    class Elsewhere(SerialExecutor):
        def submit(self, fn, *args):
            if fn is label_photos:
                args = (args[0], replace(job, teachers=(TEACHERS[0], "fakes:FakeEmbedding?version='2'")))
            return super().submit(fn, *args)

    with pytest.raises(PrepareError, match='different teachers'):
        run(photos, tmp_path / 'out', job, executor=Elsewhere())
    assert not list(tmp_path.glob('out*'))
