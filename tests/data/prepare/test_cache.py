import sqlite3
import subprocess
import sys

import numpy as np
import pytest

from uniface_mx.data.prepare import PrepareError
from uniface_mx.data.prepare.cache import Answers, Cache

PHOTO, OTHER = b'p' * 32, b'o' * 32


def test_what_was_added_is_there_when_opened_again(tmp_path):
    cache = Cache(tmp_path / 'new' / 'cache')
    cache.add([(PHOTO, b'q1', b'one'), (PHOTO, b'q2', b''), (OTHER, b'q1', b'three')])
    cache.close()
    again = Cache(tmp_path / 'new' / 'cache')
    assert again.get(PHOTO) == {b'q1': b'one', b'q2': b''}
    assert again.get(b'x' * 32) == {}
    assert len(again) == 3


def test_the_first_answer_stays(tmp_path):
    cache = Cache(None)
    cache.add([(PHOTO, b'q', b'first')])
    cache.add([(PHOTO, b'q', b'second')])
    assert cache.get(PHOTO) == {b'q': b'first'}


def test_all_or_nothing():
    cache = Cache(None)
    cache.add([(PHOTO, b'p', b'earlier')])
    with pytest.raises(sqlite3.Error):
        cache.add([(PHOTO, b'q', b'a'), (PHOTO, b'r', object())])
    assert cache.get(PHOTO) == {b'p': b'earlier'}


def test_several_processes_write_at_once(tmp_path):
    path = tmp_path / 'cache'
    code = (
        'import sys; from uniface_mx.data.prepare.cache import Cache\n'
        'cache = Cache(sys.argv[1])\n'
        'for i in range(100): cache.add([(bytes([int(sys.argv[2]), i]), b"q", b"a")])'
    )
    workers = [subprocess.Popen([sys.executable, '-c', code, str(path), str(i)]) for i in range(3)]
    assert [worker.wait(300) for worker in workers] == [0, 0, 0]
    assert len(Cache(path)) == 300


def test_a_killed_writer_loses_only_what_it_had_not_added(tmp_path):
    path = tmp_path / 'cache'
    code = (
        'import os, signal, sys; from uniface_mx.data.prepare.cache import Cache\n'
        'cache = Cache(sys.argv[1])\n'
        'cache.add([(b"p", b"q", b"a")])\n'
        'cache._database.execute("BEGIN")\n'
        'cache._database.execute("INSERT INTO found VALUES (?, ?, ?)", (b"x", b"y", b"z"))\n'
        'os.kill(os.getpid(), signal.SIGKILL)'
    )
    assert subprocess.run([sys.executable, '-c', code, str(path)]).returncode == -9
    cache = Cache(path)
    assert cache.get(b'p') == {b'q': b'a'} and len(cache) == 1


def test_not_a_cache(tmp_path):
    (tmp_path / 'file').write_bytes(b'no database at all' * 100)
    for path in (tmp_path / 'file', tmp_path / 'file' / 'below', tmp_path):
        with pytest.raises(PrepareError, match='cannot be used as a cache'):
            Cache(path)


def test_questions_differ_by_function_teacher_and_arguments():
    boxes = np.arange(4.0).reshape(1, 4)
    questions = {
        Answers.question(*args)
        for args in [
            ('detect', 't', boxes),
            ('refine', 't', boxes),
            ('refine', 'u', boxes),
            ('refine', 't', boxes + 1e-3),
            ('refine', 't', boxes[:0]),
        ]
    }
    assert len(questions) == 5
    assert Answers.question('refine', 't', boxes) == Answers.question('refine', 't', boxes.astype(np.float32))


def test_a_known_answer_is_not_sought():
    answers = Answers(PHOTO, {b'q': np.arange(6, dtype='<f4').tobytes()})
    np.testing.assert_array_equal(answers.ask(b'q', 3, lambda: 1 / 0), [[0, 1, 2], [3, 4, 5]])
    assert answers.new == []
    answers.ask(b'r', 2, lambda: np.ones((1, 2)))
    np.testing.assert_array_equal(answers.ask(b'r', 2, lambda: 1 / 0), [[1, 1]])
    assert answers.new == [(PHOTO, b'r', np.ones(2, '<f4').tobytes())]
