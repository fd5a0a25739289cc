"""TensorFlow.js model files: a folder of them, or an npm package that has them as JavaScript."""

from __future__ import annotations

import base64
import json
import re
import tarfile
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Callable, Dict, Match, NamedTuple, Sequence

import numpy as np

from uniface_mx.errors import UnifaceError

MODEL_FILES = ('model.json', 'model.min.js')
SHARD_ENDINGS = ('', '.bin', '.min.js')
MAX_FILE = 1 << 28
# A string as it is; a key, true, false or a fraction as JavaScript's minifiers shorten them.
SHORTENED = re.compile(r'("(?:[^"\\]|\\.)*")|([A-Za-z_$][\w$]*)(?=:)|(![01])|(?<!\d)(\.\d)')
BYTES = re.compile(rb'exports="([A-Za-z0-9+/=]*)"')

# What a damaged file makes its readers raise, JSON's, base64's and UTF-8's errors being values' errors.
DAMAGED = (ValueError, KeyError, IndexError, TypeError, AttributeError, EOFError, tarfile.TarError)

Files = Dict[str, Callable[[], bytes]]


class TfjsModel(NamedTuple):
    """Layers of a Keras model as its file describes them, its output's name, and its weights."""

    layers: Dict[str, dict]
    output: str
    tensors: Dict[str, np.ndarray]


def _folder(path: Path) -> Files:
    models = (
        [path] if path.name in MODEL_FILES else [file for name in MODEL_FILES for file in path.rglob(name)]
    )
    files = (file for model in models for file in model.parent.iterdir() if file.is_file())
    return {file.as_posix(): file.read_bytes for file in files}


def _package(archive: tarfile.TarFile) -> Files:
    members = (member for member in archive if member.isfile() and member.size <= MAX_FILE)
    return {member.name: partial(_extract, archive, member) for member in members}


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    return archive.extractfile(member).read()


def _parse_model(name: str, content: bytes) -> dict:
    text = content.decode()
    if not name.endswith('.js'):
        return json.loads(text)

    def lengthened(match: Match[str]) -> str:
        string, key, boolean, fraction = match.groups()
        if key:
            return f'"{key}"'
        if boolean:
            return 'true' if boolean == '!0' else 'false'
        return string or '0' + fraction

    start = text.index('exports={modelTopology') + len('exports=')
    return json.JSONDecoder().raw_decode(SHORTENED.sub(lengthened, text[start:]))[0]


def _parse_shard(name: str, content: bytes) -> bytes:
    script = name.endswith('.js')
    return base64.b64decode(BYTES.search(content).group(1), validate=True) if script else content


def _split(content: bytes, entries: Sequence[dict]) -> Dict[str, np.ndarray]:
    tensors, start = {}, 0
    for entry in entries:
        quantization = entry.get('quantization', {})
        stored = np.dtype(quantization.get('dtype', entry['dtype'])).newbyteorder('<')
        count = int(np.prod(entry['shape'], dtype=np.int64))
        values = np.frombuffer(content, stored, count, start).reshape(entry['shape'])
        start += count * stored.itemsize
        if 'scale' in quantization:
            values = values * float(quantization['scale']) + float(quantization['min'])
        tensors[entry['name']] = values.astype(np.float32)
    if start != len(content):
        raise UnifaceError(f'its weights take {start} bytes, its files have {len(content)}')
    return tensors


def _read(files: Files) -> TfjsModel:
    models = [name for name in files if PurePosixPath(name).name in MODEL_FILES]
    chosen = [name for name in models if PurePosixPath(name).parent.name == 'inception_v3'] or models
    if len(chosen) != 1:
        raise UnifaceError(
            f'{len(chosen)} files {" or ".join(MODEL_FILES)} in it; name the folder of one model'
        )
    content = _parse_model(chosen[0], files[chosen[0]]())
    folder = PurePosixPath(chosen[0]).parent
    tensors = {}
    for group in content['weightsManifest']:
        shards = []
        for shard in group['paths']:
            names = [str(folder / (shard + ending)) for ending in SHARD_ENDINGS]
            present = [name for name in names if name in files]
            if not present:
                raise UnifaceError(f'{names[0]} is missing')
            shards.append(_parse_shard(present[0], files[present[0]]()))
        tensors.update(_split(b''.join(shards), group['weights']))
    config = content['modelTopology']['model_config']['config']
    return TfjsModel(
        {layer['name']: layer for layer in config['layers']}, config['output_layers'][0][0], tensors
    )


def is_tfjs(path: Path) -> bool:
    """Whether a path is a folder, a model file or an npm package."""
    return path.is_dir() or path.name in MODEL_FILES or path.name.endswith('.tgz')


def read_tfjs_model(path: Path) -> TfjsModel:
    """Read a Keras model that was converted to TensorFlow.js.

    Parameters
    ----------
    path : Path
        A folder with ``model.json`` and its shards somewhere in it, that file itself, or a ``.tgz`` that
        ``npm pack`` brought. The files may be JavaScript (``model.min.js``, shards in base64); nothing of it
        is run. Of several models, the one in a folder ``inception_v3`` is taken.

    Returns
    -------
    TfjsModel
        Weights dequantized, float32, in Keras' layouts and under its names.

    Raises
    ------
    UnifaceError
        There is no such model, or more than one, or it is damaged.
    """
    try:
        if path.name.endswith('.tgz'):
            with tarfile.open(str(path)) as archive:
                return _read(_package(archive))
        return _read(_folder(path))
    except UnifaceError as error:
        raise UnifaceError(f'{path}: {error}') from None
    except OSError as error:
        raise UnifaceError(f'{path}: {error.strerror or error}') from None
    except DAMAGED as error:
        raise UnifaceError(
            f'{path}: is no Keras model in TensorFlow.js files, or damaged ({error!r})'
        ) from None
