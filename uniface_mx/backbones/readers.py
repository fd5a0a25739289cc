"""Which reader reads which file."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from uniface_mx.backbones.gluon import read_gluon
from uniface_mx.backbones.source import Source
from uniface_mx.backbones.tfjs import read_tfjs
from uniface_mx.backbones.tfjs_files import is_tfjs
from uniface_mx.backbones.torchvision import is_torch, read_torchvision
from uniface_mx.errors import UnifaceError

READERS = {'gluon': read_gluon, 'torchvision': read_torchvision, 'tfjs': read_tfjs}


def detect_kind(path: str) -> str:
    """The key of `READERS` that a file or folder is for, by name and first bytes.

    Raises
    ------
    UnifaceError
        There is no such file.
    """
    if not Path(path).exists():
        raise UnifaceError(f'{path}: no such file')
    if is_tfjs(Path(path)):
        return 'tfjs'
    return 'torchvision' if is_torch(path) else 'gluon'


def read_source(path: str, kind: Optional[str] = None, scaling: Optional[str] = None) -> Source:
    """Read a pretrained Inception-v3.

    Parameters
    ----------
    path : str
        Gluon's ``.params``, torchvision's ``.pth``, or TensorFlow.js files (see `read_tfjs_model`).
    kind : str, optional
        Key of `READERS`; by default `detect_kind` tells.
    scaling : str, optional
        Key of `SCALINGS`, for weights that were trained with another scaling than their kind usually is.

    Raises
    ------
    UnifaceError
        The file cannot be read as what it should be.
    """
    source = READERS[kind or detect_kind(path)](path)
    return source._replace(scaling=scaling) if scaling else source
