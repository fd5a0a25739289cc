"""The manifest beside an exported model: what goes in, what comes out, and the checksums of its files."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Union

from uniface_mx.errors import UnifaceError
from uniface_mx.files import written_aside
from uniface_mx.paths import resource

FORMAT = 1


class ManifestError(UnifaceError):
    """An exported model that is incomplete, damaged, or written by something else."""


def file_hash(*paths: Union[str, os.PathLike]) -> str:
    """sha256 of a file, or of several one after the other, hexadecimal."""
    digest = hashlib.sha256()
    for path in paths:
        with open(path, 'rb') as file:
            for block in iter(lambda: file.read(1 << 20), b''):
                digest.update(block)
    return digest.hexdigest()


def manifest_path(prefix: Union[str, os.PathLike]) -> Path:
    """``DIR/NAME.json`` for the prefix ``DIR/NAME``."""
    prefix = Path(prefix)
    return prefix.with_name(prefix.name + '.json')


def find_model(model: Union[str, os.PathLike]) -> Path:
    """The prefix of an exported model: ``model`` itself, with or without ``.json``, or that of the model of its name
    that ships.

    Raises
    ------
    ManifestError
        There is neither.
    """
    shipped = resource('symbols')
    if not Path(model).name:
        raise ManifestError('{!r}: is no model; give the prefix of an exported one, as DIR/NAME'.format(str(model)))
    for prefix in (Path(model), shipped / model, Path(re.sub(r'\.json$', '', str(model)))):
        if manifest_path(prefix).is_file():
            return prefix
    names = sorted(path.stem for path in shipped.glob('*.json') if not path.stem.endswith('-symbol'))
    raise ManifestError(
        '{}: no such manifest; give the prefix of an exported model, as DIR/NAME, or the name of one that '
        'ships trained ({})'.format(manifest_path(model), ', '.join(names) or 'there is none')
    )


def write_manifest(prefix: Union[str, os.PathLike], manifest: dict) -> None:
    """Write the manifest of an exported model, with the checksums of the files that it names.

    Parameters
    ----------
    prefix : path
        ``DIR/NAME``.
    manifest : dict
        ``files`` is a list of file names; it becomes their checksums.
    """
    path = manifest_path(prefix)
    content = dict(
        manifest, format=FORMAT, files={name: file_hash(path.parent / name) for name in manifest['files']}
    )
    with written_aside(path) as aside:
        aside.write_text(json.dumps(content, indent=1, sort_keys=True) + '\n')


def read_manifest(prefix: Union[str, os.PathLike], verify: bool = True) -> dict:
    """Read the manifest of an exported model and, with ``verify``, check every file that it names.

    Raises
    ------
    ManifestError
        The manifest or a file is missing, or a file is not the one that was exported.
    """
    path = manifest_path(prefix)
    try:
        manifest = json.loads(path.read_text())
    except FileNotFoundError:
        raise ManifestError(
            '{}: no such manifest; give the prefix of an exported model, as DIR/NAME'.format(path)
        ) from None
    except (OSError, ValueError) as error:
        raise ManifestError('{}: cannot be read as a manifest ({})'.format(path, error)) from None
    if (
        not isinstance(manifest, dict)
        or manifest.get('format') != FORMAT
        or not isinstance(manifest.get('files'), dict)
    ):
        raise ManifestError('{}: not a manifest of format {}; export the model anew'.format(path, FORMAT))
    for name, digest in manifest['files'].items() if verify else ():
        file = path.parent / name
        if Path(name).name != name or not file.is_file():
            raise ManifestError('{}: missing, but {} names it'.format(file, path.name))
        if file_hash(file) != digest:
            raise ManifestError(
                '{}: damaged or changed: not the sha256 that {} names; copy or export it anew'.format(
                    file, path.name
                )
            )
    return manifest
