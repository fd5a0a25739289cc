"""What teachers found in photos, kept so that no photo needs a second look.

Everything a teacher says is a function of the photo's bytes, of the teacher and of its arguments (the boxes
to refine, the landmarks to align by). The cache keeps the results of these functions as float32 values, and
knows nothing of sources, labels and records.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Tuple, Union

import numpy as np

from uniface_mx.data.prepare import PrepareError

Entry = Tuple[bytes, bytes, bytes]


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Wait for others who open a database here: SQLite gives up at once when two switch one to WAL together."""
    descriptor = os.open(str(folder), os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class Cache:
    """A file of entries (photo's sha256, what was asked, answer).

    SQLite in WAL mode: several processes of one machine may share the file, and a kill at any moment loses
    only what was not yet added. It is not for network file systems: give each machine a cache of its own.

    Parameters
    ----------
    path : str or Path or None
        Made if missing. None keeps the entries in memory.

    Raises
    ------
    PrepareError
        The file is no cache, or cannot be made.
    """

    def __init__(self, path: Optional[Union[str, os.PathLike]]) -> None:
        try:
            if path is None:
                self._open(':memory:')
            else:
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                with _one_at_a_time(Path(path).parent):
                    self._open(str(path))
        except (OSError, sqlite3.Error) as error:
            raise PrepareError(f'{path}: cannot be used as a cache ({error})') from None

    def _open(self, path: str) -> None:
        self._database = sqlite3.connect(path, timeout=600)
        self._database.execute('PRAGMA journal_mode=WAL')
        self._database.execute('PRAGMA synchronous=NORMAL')
        self._database.execute(
            'CREATE TABLE IF NOT EXISTS found (photo BLOB, question BLOB, answer BLOB, '
            'PRIMARY KEY (photo, question)) WITHOUT ROWID'
        )

    def get(self, photo: bytes) -> Dict[bytes, bytes]:
        """All answers on the photo with this sha256, by question."""
        return dict(self._database.execute('SELECT question, answer FROM found WHERE photo = ?', (photo,)))

    def add(self, entries: List[Entry]) -> None:
        """Keep all `entries` or, when killed, none. An entry that is there already stays."""
        with self._database:
            self._database.executemany('INSERT OR IGNORE INTO found VALUES (?, ?, ?)', entries)

    def __len__(self) -> int:
        return self._database.execute('SELECT count(*) FROM found').fetchone()[0]

    def close(self) -> None:
        """Close the file for good."""
        self._database.close()


class Answers:
    """The answers on one photo: those known, and those that had to be found.

    Parameters
    ----------
    photo : bytes
        sha256 of the photo's bytes.
    known : dict
        From `Cache.get`.
    """

    def __init__(self, photo: bytes, known: Dict[bytes, bytes]) -> None:
        self.photo, self._known = photo, known
        self.new: List[Entry] = []

    @staticmethod
    def question(function: str, teacher: str, arguments: np.ndarray) -> bytes:
        """The name of a question: a hash of a function's name, a teacher's identity and float32 arguments."""
        words = f'{function}\n{teacher}\n'.encode()
        return hashlib.sha256(words + np.ascontiguousarray(arguments, '<f4').tobytes()).digest()[:16]

    def get(self, question: bytes, width: int) -> Optional[np.ndarray]:
        """(n, width) float32 answer, or None."""
        data = self._known.get(question)
        return None if data is None else np.frombuffer(data, '<f4').reshape(-1, width)

    def put(self, question: bytes, answer: np.ndarray) -> np.ndarray:
        """Note a new answer."""
        data = np.ascontiguousarray(answer, '<f4').tobytes()
        self._known[question] = data
        self.new.append((self.photo, question, data))
        return answer

    def ask(self, question: bytes, width: int, find: Callable[[], np.ndarray]) -> np.ndarray:
        """The known answer, or the one that `find` gives."""
        answer = self.get(question, width)
        return self.put(question, find()) if answer is None else answer
