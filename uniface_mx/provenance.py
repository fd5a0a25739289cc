"""Result files: what a run measured, on what, with what, so that a report needs nobody's memory.

A result is one JSON file, ``DIRECTORY/NAME.json``, with these keys:

``format``    1
``name``      what was measured: ``lfw``, ``fddb``, ``landmarks``, ``speed``, ...
``subject``   whom it is about: ``{"name": "uniface_a_lite", ...}``, with the sha256 of its files
``data``      what it was measured on: ``{"name": "LFW", "images": 7701, ...}``
``metrics``   the figures; their keys belong to the evaluation that wrote them
``command``   the program's arguments
``date``, ``revision``, ``versions``, ``machine``   as :func:`provenance` has them
"""

from __future__ import annotations

import datetime
import json
import math
import os
import platform
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

import numpy as np

from uniface_mx.errors import UnifaceError
from uniface_mx.files import written_aside

FORMAT = 1
# What runs and reports write into the source tree.
WRITTEN = tuple(':(top,exclude)experiments/' + name for name in ('results', 'figures', 'RESULTS.md'))
ABSOLUTE = re.compile(r'(?<![\w.*])/(?:[^/\s?&=,:]+/)+')
REQUIRED = ('format', 'name', 'subject', 'data', 'metrics')
PACKAGES = (
    'mxnet',
    'mxnet-cu112',
    'numpy',
    'opencv-python',
    'opencv-python-headless',
    'scipy',
    'onnxruntime',
    'dlib-bin',
)


class ResultError(UnifaceError):
    """A result file that cannot be read, or was written by something else."""


def git_revision() -> Dict[str, Any]:
    """Commit of the source tree this package runs from; ``{'commit': None}`` where there is none.

    ``modified`` tells whether files differ from it; results, which one run after another changes, do not
    count.
    """
    here = Path(__file__).resolve().parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ['git', '-C', str(here), *arguments],
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ).stdout.strip()

    try:
        # An environment may lie within a repository that has nothing to do with this package.
        git('ls-files', '--error-unmatch', Path(__file__).name)
        return {
            'commit': git('rev-parse', 'HEAD'),
            'modified': bool(git('status', '--porcelain', '--untracked-files=no', '--', ':/', *WRITTEN)),
        }
    except (OSError, subprocess.CalledProcessError):
        return {'commit': None}


def versions() -> Dict[str, str]:
    """Versions of Python and of the installed packages that figures depend on."""
    found = {'python': platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            pass
    return found


def machine() -> Dict[str, Any]:
    """Processor, its usable cores, memory in GiB and system; no host name."""
    usable = getattr(os, 'sched_getaffinity', None)
    description: Dict[str, Any] = {
        'processor': platform.processor() or platform.machine(),
        'cores': len(usable(0)) if usable else os.cpu_count(),
        'system': f'{platform.system()} {platform.machine()}',
    }
    try:
        for line in Path('/proc/cpuinfo').read_text().splitlines():
            if line.startswith('model name'):
                description['processor'] = line.split(':', 1)[1].strip()
                break
        memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
        description['memory_gib'] = round(memory / 2**30, 1)
    except (OSError, ValueError, AttributeError):
        pass
    return description


def portable(command: Sequence[str]) -> List[str]:
    """A command without this machine's folders: paths below the working folder are relative to it, of other
    absolute paths only the last part stays, ``.../NAME``.
    """
    here = os.getcwd() + os.sep
    return [ABSOLUTE.sub('.../', str(word).replace(here, '')) for word in command]


def provenance(command: Optional[Sequence[str]] = None) -> Dict[str, Any]:
    """Where figures come from: the command (``sys.argv`` by default) as `portable` gives it, date, revision, versions
    and machine.
    """
    return {
        'command': portable(sys.argv if command is None else command),
        'date': datetime.datetime.now(datetime.timezone.utc).strftime('%Y-%m-%dT%H:%M:%SZ'),
        'revision': git_revision(),
        'versions': versions(),
        'machine': machine(),
    }


def _plain(value: Any) -> Any:
    """Turn arrays, paths and non-finite numbers into what strict JSON can hold (not finite -> null)."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def write_json(path: Union[str, Path], content: Any) -> Path:
    """Write strict JSON aside, then move it into place."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as aside:
        aside.write_text(json.dumps(_plain(content), indent=1, allow_nan=False) + '\n', encoding='utf-8')
    return path


def write_result(
    directory: Union[str, Path],
    name: str,
    *,
    subject: Mapping[str, Any],
    data: Mapping[str, Any],
    metrics: Mapping[str, Any],
    command: Optional[Sequence[str]] = None,
) -> Path:
    """Write ``directory/name.json`` in the form this module's docstring gives.

    Parameters
    ----------
    directory : path
        Made if missing; by custom ``experiments/results/SUBJECT``.
    name : str
        What was measured.
    subject, data, metrics : mapping
        JSON values, NumPy arrays and paths; numbers that are not finite become ``null``.
    command : sequence of str, optional
        The program's arguments; ``sys.argv`` by default. It is kept as :func:`portable` gives it.
    """
    return write_json(
        Path(directory) / (name + '.json'),
        {
            'format': FORMAT,
            'name': name,
            'subject': subject,
            'data': data,
            'metrics': metrics,
            **provenance(command),
        },
    )


def read_result(path: Union[str, Path]) -> Dict[str, Any]:
    """Read one result file; :class:`ResultError` if it is broken or not a result."""
    try:
        result = json.loads(Path(path).read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise ResultError(f'{path}: not a readable result file ({error})') from error
    missing = [key for key in REQUIRED if key not in result] if isinstance(result, dict) else list(REQUIRED)
    if missing:
        raise ResultError(f'{path}: not a result file, it lacks {", ".join(missing)}')
    if result['format'] != FORMAT:
        raise ResultError(f'{path}: result format {result["format"]}, this version reads {FORMAT}')
    return result


def read_results(root: Union[str, Path]) -> List[Dict[str, Any]]:
    """All results in ``root/*/*.json``, sorted by path, each with its ``path`` added.

    JSON files that lack a ``format`` key altogether (training logs, summaries) are passed over.
    """
    found = []
    for path in sorted(Path(root).glob('*/*.json')):
        try:
            content = json.loads(path.read_text(encoding='utf-8'))
        except (OSError, UnicodeDecodeError, ValueError) as error:
            raise ResultError(f'{path}: not a readable result file ({error})') from error
        if isinstance(content, dict) and 'format' in content:
            found.append(dict(read_result(path), path=path))
    return found
