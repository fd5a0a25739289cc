"""Where figures come from: command, date, revision, versions and machine; and JSON that holds them."""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Union

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
        command = ['git', '-C', str(here), *arguments]
        return subprocess.check_output(command, stderr=subprocess.DEVNULL, text=True).strip()

    try:
        # An environment may lie within a repository that has nothing to do with this package.
        git('ls-files', '--error-unmatch', Path(__file__).name)
        changes = git('status', '--porcelain', '--untracked-files=no', '--', ':/', *WRITTEN)
        return {'commit': git('rev-parse', 'HEAD'), 'modified': bool(changes)}
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
        model = re.search(r'^model name\s*:\s*(.*\S)', Path('/proc/cpuinfo').read_text(), re.MULTILINE)
        description['processor'] = model.group(1) if model else description['processor']
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
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f'{type(value).__name__} cannot be written as JSON')


def write_json(path: Union[str, Path], content: Any) -> Path:
    """Write arrays and paths too as strict JSON, numbers that are not finite as null; aside, then into place."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = json.loads(json.dumps(content, default=_plain), parse_constant=lambda _: None)
    with written_aside(path) as aside:
        aside.write_text(json.dumps(plain, indent=1) + '\n', encoding='utf-8')
    return path
