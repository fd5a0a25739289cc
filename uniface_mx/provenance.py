"""Where figures come from: command, date, revision, versions and machine; and JSON that holds them."""

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

from uniface_mx.files import written_aside

# What runs and reports write into the source tree.
WRITTEN = tuple(':(top,exclude)experiments/' + name for name in ('results', 'figures', 'RESULTS.md'))
ABSOLUTE = re.compile(r'(?<![\w.*])/(?:[^/\s?&=,:]+/)+')
PACKAGES = 'mxnet mxnet-cu112 numpy opencv-python opencv-python-headless scipy onnxruntime dlib-bin'.split()


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
    """A command without this machine's folders.

    Paths below the working folder are relative to it, of other absolute paths the name stays, ``.../NAME``.
    """
    here = os.getcwd() + os.sep
    return [ABSOLUTE.sub('.../', str(word).replace(here, '')) for word in command]


def provenance(command: Optional[Sequence[str]] = None) -> Dict[str, Any]:
    """Where figures come from.

    The command (``sys.argv`` by default) as `portable` gives it, date, revision, versions and machine.
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
