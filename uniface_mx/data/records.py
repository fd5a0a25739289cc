"""Record sets: photos with their faces' boxes, landmarks and embeddings in MXNet's detection layout.

A record set NAME is four files: `NAME.rec` and `NAME.idx` (RecordIO as `mx.image.ImageDetIter` and
`gluoncv.data.RecordFileDetection` read it), `NAME.keys` (one line a record: where the photo came from) and
`NAME.json` (what is in it, which teachers labelled it, and the sha256 of the other files). A record's label
is

    header width, object width, schema version, source id, person id or -1, image width, image height,

and then a row of `uniface_mx.data.rows` for each face. The record's `id` is its number, its `id2` the
picture's 64-bit perceptual hash.
"""

from __future__ import annotations

import json
import os
import struct
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple, Union

import cv2
import mxnet as mx
import numpy as np

from uniface_mx.data.rows import EMBEDDING_DIM, OBJECT_WIDTH, count_faces, embeddings
from uniface_mx.errors import UnifaceError, last_line
from uniface_mx.files import file_hash

SCHEMA_VERSION = 1
HEADER_WIDTH = 7

_MX_HEADER = struct.Struct('<IfQQ')
_MAGIC = struct.pack('<I', 0xCED7230A)
_SUFFIXES = ('.rec', '.idx', '.keys', '.json')

Name = Union[str, os.PathLike]


class RecordError(UnifaceError):
    """A record set that cannot be used: damaged, of another schema, or labelled by another teacher."""


@dataclass(frozen=True, eq=False)
class Record:
    """One photo of a record set.

    Parameters
    ----------
    image : bytes
        The photo as a JPEG file without EXIF.
    objects : (G, 146) float32
        One row a face, coordinates divided by width and height.
    width, height : int
        Of the photo, in pixels.
    source : str
        Name of the source.
    key : str
        Of the photo in its source.
    person : str or None
        Whom the photo shows, `SOURCE/NAME`.
    picture : int
        64-bit perceptual hash.
    """

    image: bytes
    objects: np.ndarray
    width: int
    height: int
    source: str = ''
    key: str = ''
    person: Optional[str] = None
    picture: int = 0

    def decode(self) -> np.ndarray:
        """The photo as (H, W, 3) uint8 RGB.

        Raises
        ------
        RecordError
            The JPEG is damaged or has another size than the record says.
        """
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        image = cv2.imdecode(np.frombuffer(self.image, np.uint8), flags)
        where = f'{self.source} {self.key}'
        if image is None:
            raise RecordError(f'{where}: the JPEG cannot be decoded')
        height, width = image.shape[:2]
        if (width, height) != (self.width, self.height):
            raise RecordError(
                f'{where}: the JPEG is {width}x{height}, the record says {self.width}x{self.height}'
            )
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


@dataclass
class RecordMeta:
    """What `NAME.json` says.

    Parameters
    ----------
    records, faces, ignored, landmarks, embeddings : int
        Photos; faces to learn; faces marked to be ignored; faces with landmarks; faces with an embedding.
    sources : list of dict
        `name`, `kind` and `licence` of each source; the place in the list is the source id. Preparation adds
        `landmark_teacher`, `options`, `counts` and what was `skipped`.
    persons : list of str
        `SOURCE/NAME`; the place in the list is the person id.
    teachers : dict
        `embeddings` with the teacher's `name`, `version` and `sha256`, and `mirror`: are they
        mirror averages.
    mean_embedding : list of float
        128 values; empty without embeddings.
    files : dict
        Suffix to `bytes` and `sha256`.
    """

    schema: int = SCHEMA_VERSION
    records: int = 0
    faces: int = 0
    ignored: int = 0
    landmarks: int = 0
    embeddings: int = 0
    sources: List[Dict[str, Any]] = field(default_factory=list)
    persons: List[str] = field(default_factory=list)
    teachers: Dict[str, Any] = field(default_factory=dict)
    mean_embedding: List[float] = field(default_factory=list)
    files: Dict[str, Any] = field(default_factory=dict)


def record_path(name: Name, suffix: str) -> Path:
    """`NAME.suffix` for a record set given as NAME or as any of its files."""
    name = str(name)
    stem, ending = os.path.splitext(name)
    return Path((stem if ending in _SUFFIXES else name) + suffix)


def load_meta(name: Name) -> RecordMeta:
    """Read `NAME.json`.

    Raises
    ------
    RecordError
        No such set, not JSON, another schema version, or values of the wrong type.
    """
    path = record_path(name, '.json')
    try:
        values = json.loads(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise RecordError(f'{path}: {error.strerror}; a record set needs its .json') from None
    except ValueError as error:
        raise RecordError(f'{path}: not JSON ({error}); prepare the set again') from None
    if not isinstance(values, dict) or 'schema' not in values:
        raise RecordError(f'{path}: not the description of a record set')
    if values['schema'] != SCHEMA_VERSION:
        raise RecordError(
            f'{path}: schema version {values["schema"]!r}, this package reads {SCHEMA_VERSION}: '
            'prepare the set again or use the package that wrote it'
        )
    known = {key: type(default) for key, default in vars(RecordMeta()).items()}
    for key, kind in known.items():
        if type(values.get(key)) is not kind:
            raise RecordError(f"{path}: '{key}' is missing or no {kind.__name__}")
    return RecordMeta(**{key: values[key] for key in known})


def require_teachers(meta: RecordMeta, teachers: Dict[str, Any], name: Name) -> None:
    """Refuse a record set whose embeddings come from another teacher than a checkpoint's or another set's.

    Landmark teachers may differ: their labels mean the same. `teachers` are as in `RecordMeta.teachers`, and `name` is
    the record set's, for the message.

    Raises
    ------
    RecordError
        Which teacher was expected, and which found.
    """
    expected, found = teachers.get('embeddings'), meta.teachers.get('embeddings')
    if expected != found and meta.embeddings:
        raise RecordError(
            f'{record_path(name, ".rec")}: its embeddings come from {_teacher(found)}, expected are those of '
            f'{_teacher(expected)}; they cannot be mixed: prepare the set with that teacher'
        )


def _teacher(teacher: Optional[Dict[str, Any]]) -> str:
    if not teacher:
        return 'no teacher'
    mirror = '' if teacher.get('mirror', True) else ', no mirror average'
    name, version, weights = (teacher.get(key) for key in ('name', 'version', 'sha256'))
    return f'{name} (version {version}, weights {weights:.12}{mirror})'


def mean_embedding(metas: Sequence[RecordMeta]) -> np.ndarray:
    """The mean teacher embedding over several record sets, (128,) float32."""
    total = sum(meta.embeddings for meta in metas)
    if not total:
        raise RecordError('no record set has an embedding')
    parts = [np.array(meta.mean_embedding, np.float64) * meta.embeddings for meta in metas if meta.embeddings]
    return (np.sum(parts, 0) / total).astype(np.float32)


def pack_record(record: Record, index: int = 0, source: int = 0, person: int = -1) -> bytes:
    """A record as the bytes that RecordIO stores."""
    header = (HEADER_WIDTH, OBJECT_WIDTH, SCHEMA_VERSION, source, person, record.width, record.height)
    label = np.concatenate([np.array(header, np.float32), np.asarray(record.objects, np.float32).ravel()])
    return _MX_HEADER.pack(label.size, 0.0, index, record.picture) + label.tobytes() + record.image


def unpack_label(data: bytes, where: str = 'record') -> Tuple[np.ndarray, np.ndarray, bytes, int]:
    """What a record's bytes hold.

    Returns
    -------
    header : (7,) float32
    objects : (G, 146) float32
    image : bytes
    picture : int

    Raises
    ------
    RecordError
        The bytes are no record of this schema.
    """
    if len(data) < _MX_HEADER.size:
        raise RecordError(f'{where}: truncated')
    count, _, _, picture = _MX_HEADER.unpack_from(data)
    start = _MX_HEADER.size + 4 * count
    if count < HEADER_WIDTH or start > len(data):
        raise RecordError(f'{where}: no label of a photo with faces')
    label = np.frombuffer(data, '<f4', count, _MX_HEADER.size)
    if not np.isfinite(label[:HEADER_WIDTH]).all():
        raise RecordError(f'{where}: damaged label')
    if label[2] != SCHEMA_VERSION:
        raise RecordError(f'{where}: schema version {label[2]:g}, this package reads {SCHEMA_VERSION}')
    if (label[0], label[1]) != (HEADER_WIDTH, OBJECT_WIDTH) or (count - HEADER_WIDTH) % OBJECT_WIDTH:
        raise RecordError(f'{where}: damaged label')
    return label[:HEADER_WIDTH], label[HEADER_WIDTH:].reshape(-1, OBJECT_WIDTH), data[start:], picture


class RecordWriter:
    """Writes a record set aside, and renames it into place when the `with` block ends without an exception.

    Parameters
    ----------
    name : str or Path
        Of the record set.
    sources : list of dict
        `name`, `kind` and `licence` of the sources that records may name.
    teachers : dict
        As in `RecordMeta.teachers`.
    """

    def __init__(self, name: Name, sources: Sequence[Dict[str, Any]], teachers: Dict[str, Any]) -> None:
        self.name = name
        self.meta = RecordMeta(sources=list(sources), teachers=teachers)
        self._source_ids = {source['name']: i for i, source in enumerate(sources)}
        self._person_ids: Dict[str, int] = {}
        self._sum = np.zeros(EMBEDDING_DIM)

    def _aside(self, suffix: str) -> Path:
        path = record_path(self.name, suffix)
        return path.with_name(f'.{path.name}.part')

    def __enter__(self) -> RecordWriter:
        try:
            record_path(self.name, '.rec').parent.mkdir(parents=True, exist_ok=True)
            self._keys = open(str(self._aside('.keys')), 'w', encoding='utf-8', newline='\n')
        except OSError as error:
            raise self._unwritten(error.strerror) from None
        self._file = mx.recordio.MXIndexedRecordIO(str(self._aside('.idx')), str(self._aside('.rec')), 'w')
        return self

    def add(self, record: Record) -> None:
        """Append a record.

        Raises
        ------
        RecordError
            The disk is full, or fails.
        """
        meta, objects = self.meta, record.objects
        person = -1
        if record.person is not None:
            person = self._person_ids.setdefault(record.person, len(self._person_ids))
        packed = pack_record(record, meta.records, self._source_ids[record.source], person)
        try:
            self._file.write_idx(meta.records, packed)
            self._keys.write(f'{record.source}\t{record.key}\n')
        except (mx.MXNetError, OSError) as failure:
            raise self._unwritten(last_line(failure)) from None
        meta.records += 1
        for name, number in count_faces(objects).items():
            setattr(meta, name, getattr(meta, name) + number)
        for row in embeddings(objects):
            self._sum += row

    def __exit__(self, kind: Optional[type], *error: Any) -> None:
        try:
            written = self._file.tell()
            self._file.close()
            self._keys.close()
            if kind is None:
                self._finish(written)
        except (mx.MXNetError, OSError) as failure:
            raise self._unwritten(last_line(failure)) from None
        finally:
            for suffix in _SUFFIXES:
                with suppress(FileNotFoundError):
                    self._aside(suffix).unlink()

    def _unwritten(self, reason: str) -> RecordError:
        return RecordError(f'{record_path(self.name, ".rec")}: cannot be written ({reason})')

    def _finish(self, written: int) -> None:
        # MXNet does not notice when the last block finds no room.
        if self._aside('.rec').stat().st_size != written:
            raise OSError('incomplete, is the disk full?')
        meta = self.meta
        meta.persons = list(self._person_ids)
        if meta.embeddings:
            meta.mean_embedding = (self._sum / meta.embeddings).tolist()
        for suffix in _SUFFIXES[:3]:
            path = self._aside(suffix)
            meta.files[suffix] = {'bytes': path.stat().st_size, 'sha256': file_hash(path)}
        self._aside('.json').write_text(
            json.dumps(asdict(meta), indent=1, sort_keys=True) + '\n', encoding='utf-8'
        )
        # The .json goes last: until it is there, sizes disagree and readers refuse the set.
        for suffix in _SUFFIXES:
            os.replace(str(self._aside(suffix)), str(record_path(self.name, suffix)))


class RecordReader:
    """Random access to a record set, by several threads at once if need be: no read moves a file position.

    Parameters
    ----------
    name : str or Path
        NAME, or any of its files.
    verify : bool
        Compare the files' sha256 with NAME.json, and not only their sizes.

    Raises
    ------
    RecordError
        A file is missing, or not the one that NAME.json describes.
    """

    def __init__(self, name: Name, verify: bool = False) -> None:
        self.name = str(record_path(name, ''))
        self.meta = load_meta(name)
        description = record_path(name, '.json')
        for suffix in _SUFFIXES[:3]:
            path, expected = record_path(name, suffix), self.meta.files.get(suffix, {})
            if not path.is_file():
                raise RecordError(f'{path}: no such file; it belongs to {description}')
            size = path.stat().st_size
            if size != expected.get('bytes'):
                raise RecordError(
                    f'{path}: {size} bytes where {description} says {expected.get("bytes")}: '
                    'it is incomplete or another file; prepare the set again'
                )
            if verify and file_hash(path) != expected.get('sha256'):
                raise RecordError(
                    f'{path}: its sha256 is not the one in {description}: '
                    'the file is damaged; prepare the set again'
                )
        self.path = record_path(name, '.rec')
        self._offsets = self._read_index()
        self._file = open(str(self.path), 'rb')
        self._keys: Optional[List[str]] = None

    def __len__(self) -> int:
        return self.meta.records

    def __iter__(self) -> Iterator[Record]:
        return (self[i] for i in range(len(self)))

    def read(self, index: int) -> bytes:
        """The stored bytes of record `index`; RecordIO splits one where its magic number occurs."""
        if not 0 <= index < len(self):
            raise IndexError(f'{self.path} has {len(self)} records, no number {index}')
        chunks, offset, flag = [], int(self._offsets[index]), 1
        where = f'{self.path}, record {index}'
        while flag in (1, 2):
            head = os.pread(self._file.fileno(), 8, offset)
            if len(head) < 8 or head[:4] != _MAGIC:
                raise RecordError(
                    f'{where}: damaged, no record begins at byte {offset}; '
                    'prepare the set again, or skip such records'
                )
            flag, length = divmod(struct.unpack('<I', head[4:])[0], 1 << 29)
            chunk = os.pread(self._file.fileno(), length, offset + 8)
            if len(chunk) < length:
                raise RecordError(f'{where}: the file ends before it; prepare the set again')
            chunks.append(chunk)
            offset += 8 + -(-length // 4) * 4
        return _MAGIC.join(chunks)

    def __getitem__(self, index: int) -> Record:
        where = f'{self.path}, record {index}'
        header, objects, image, picture = unpack_label(self.read(index), where)
        source, person, width, height = (int(value) for value in header[3:])
        if not (0 <= source < len(self.meta.sources) and -1 <= person < len(self.meta.persons)):
            raise RecordError(f'{where}: unknown source {source} or person {person}')
        name = None if person < 0 else self.meta.persons[person]
        source = self.meta.sources[source]['name']
        return Record(image, objects, width, height, source, self.key(index), name, picture)

    def key(self, index: int) -> str:
        """The photo's key in its source."""
        if self._keys is None:
            path = record_path(self.name, '.keys')
            lines = path.read_text(encoding='utf-8').split('\n')[:-1]
            if len(lines) != len(self):
                raise RecordError(f'{path}: {len(lines)} lines for {len(self)} records')
            self._keys = [line.partition('\t')[2] for line in lines]
        return self._keys[index]

    def _read_index(self) -> np.ndarray:
        path = record_path(self.name, '.idx')
        try:
            lines = path.read_text(encoding='ascii').splitlines()
            offsets = np.array([int(line.split('\t')[1]) for line in lines], np.int64)
        except (ValueError, IndexError, OverflowError):
            raise RecordError(f'{path}: damaged index; prepare the set again') from None
        if len(offsets) != len(self):
            raise RecordError(f'{path}: {len(offsets)} lines for {len(self)} records; prepare the set again')
        return offsets

    def close(self) -> None:
        """Close the file for good."""
        self._file.close()
