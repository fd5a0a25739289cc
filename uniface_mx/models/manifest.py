"""The manifest beside an exported model: what goes in, what comes out, and the checksums of its files."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Union

from uniface_mx.errors import UnifaceError
from uniface_mx.files import file_hash, written_aside
from uniface_mx.paths import resource

FORMAT = 1


class ManifestError(UnifaceError):
    """An exported model that is incomplete, damaged, or written by something else."""


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
        raise ManifestError(f'{str(model)!r}: is no model; give the prefix of an exported one, as DIR/NAME')
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
            f'{path}: no such manifest; give the prefix of an exported model, as DIR/NAME'
        ) from None
    except (OSError, ValueError) as error:
        raise ManifestError(f'{path}: cannot be read as a manifest ({error})') from None
    if (
        not isinstance(manifest, dict)
        or manifest.get('format') != FORMAT
        or not isinstance(manifest.get('files'), dict)
    ):
        raise ManifestError(f'{path}: not a manifest of format {FORMAT}; export the model anew')
    for name, digest in manifest['files'].items() if verify else ():
        file = path.parent / name
        if Path(name).name != name or not file.is_file():
            raise ManifestError(f'{file}: missing, but {path.name} names it')
        if file_hash(file) != digest:
            raise ManifestError(
                f'{file}: damaged or changed: not the sha256 that {path.name} names; copy or export it anew'
            )
    return manifest
