"""Which MXNet this machine has, whether it can be imported, and the CUDA libraries it needs.

Nothing here imports MXNet or NumPy, so that it can tell why they fail.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import re
import sys
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Iterator, List, Mapping, Optional, Tuple

MXNET_DISTRIBUTION = re.compile(r'mxnet(-native|-mkl|-cu(?P<cuda>\d+)(mkl)?)?$')
NUMPY_BELOW = (1, 24)
PYTHON_BELOW = (3, 12)

# What libmxnet.so of mxnet-cu112 asks the loader for, in the order in which they need each other, and the
# wheel that brings it. CUDA 11.8's libraries carry the sonames of 11.2, and know GPUs from Maxwell to Ada.
CUDA_11_LIBRARIES = {
    'libcudart.so.11.0': 'nvidia-cuda-runtime-cu11==11.8.89',
    'libnvToolsExt.so.1': 'nvidia-nvtx-cu11==11.8.86',
    'libnvrtc.so.11.2': 'nvidia-cuda-nvrtc-cu11==11.8.89',
    'libcublas.so.11': 'nvidia-cublas-cu11==11.11.3.6',
    'libcusolver.so.11': 'nvidia-cusolver-cu11==11.4.1.48',
    'libcurand.so.10': 'nvidia-curand-cu11==10.3.0.86',
    'libcufft.so.10': 'nvidia-cufft-cu11==10.9.0.58',
    'libnccl.so.2': 'nvidia-nccl-cu11==2.21.5',
    'libcudnn.so.8': 'nvidia-cudnn-cu11==8.9.6.50',
}
DRIVER_LIBRARY = 'libcuda.so.1'

# Whether somebody chose the number of threads before this package did.
THREADS_CHOSEN = 'OMP_NUM_THREADS' in os.environ
SIBLINGS = 'sys/devices/system/cpu/cpu{}/topology/thread_siblings_list'
QUOTA = 'sys/fs/cgroup/cpu.max'


def cores(root: Path = Path('/')) -> int:
    """Physical cores that this process may use, a container's quota considered; `root` of the file system."""

    def read(path: str) -> str:
        try:
            return (root / path).read_text().strip()
        except OSError:
            return ''

    found = len({read(SIBLINGS.format(number)) or number for number in os.sched_getaffinity(0)})
    quota, _, period = read(QUOTA).partition(' ')
    return max(1, min(found, int(quota) // int(period)) if quota.isdigit() else found)


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Environment variables as they are to be within the `with` block, and as they were behind it."""
    before = {name: os.environ[name] for name in variables if name in os.environ}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]
        os.environ.update(before)


def installed(distribution: str) -> Optional[str]:
    """A distribution's version, or None."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def mxnet_distributions() -> List[str]:
    """Names of the installed distributions that carry the import package ``mxnet``, sorted."""
    names = {(dist.metadata['Name'] or '').lower().replace('_', '-') for dist in metadata.distributions()}
    return sorted(name for name in names if MXNET_DISTRIBUTION.match(name))


def cuda_version(distribution: str) -> Optional[str]:
    """CUDA version in the name of an MXNet distribution: ``mxnet-cu112`` has ``'112'``, ``mxnet`` None."""
    return MXNET_DISTRIBUTION.match(distribution).group('cuda')


def cpu_instead(distribution: str) -> str:
    """What to type to have MXNet for a CPU in place of the installed one."""
    return f'type `pip uninstall -y {distribution} && pip install mxnet==1.9.1`'


def python_problem() -> Optional[str]:
    """What is wrong with this Python, and what to do, or None."""
    major, minor = sys.version_info[:2]
    if (major, minor) < PYTHON_BELOW:
        return None
    lacks = f'MXNet 1.9.1 does not run on Python {major}.{minor}, which lacks distutils'
    return f'{lacks}: make the environment with Python 3.8 to 3.11, e.g. type `python3.11 -m venv .venv`.'


def mxnet_problem() -> Optional[str]:
    """What is wrong with the installed MXNet, and what to do, or None."""
    names = mxnet_distributions()
    cpu_or_gpu = '`pip install mxnet==1.9.1` for a CPU or `pip install mxnet-cu112==1.9.1` for a GPU.'
    if len(names) > 1:
        both = f'{" and ".join(names)} are installed together and overwrite each other'
        return f'{both}: type `pip uninstall -y {" ".join(names)}`, then {cpu_or_gpu}'
    if importlib.util.find_spec('mxnet') is not None:
        return None
    if names:
        anew = f'`pip install --force-reinstall --no-deps {names[0]}==1.9.1`'
        return f'{names[0]} has lost its files: type {anew}.'
    return f'MXNet is not installed: type {cpu_or_gpu}'


def numpy_problem() -> Optional[str]:
    """What is wrong with the installed NumPy, and what to do, or None."""
    advice = "type `pip install 'numpy<1.24'`."
    version = installed('numpy')
    if version is None:
        return f'NumPy is not installed: {advice}'
    if tuple(int(part) for part in re.findall(r'\d+', version)[:2]) < NUMPY_BELOW:
        return None
    return f'numpy {version} is too new for MXNet 1.9.1, which needs a version below 1.24: {advice}'


def load_library(soname: str) -> Tuple[Optional[str], str]:
    """Load a library from the ``nvidia-*`` wheels, else from the system.

    Returns
    -------
    (where, error): the path, or the name where the system's loader found it; or None and the loader's words.
    """
    spec = importlib.util.find_spec('nvidia')
    folders = (spec and spec.submodule_search_locations) or ()
    paths = (path for folder in folders for path in sorted(Path(folder).glob(f'*/lib/{soname}')))
    where = str(next(paths, soname))
    try:
        ctypes.CDLL(where, mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        return None, str(error)
    return where, ''


def required_libraries() -> Tuple[str, ...]:
    """NVIDIA's libraries to load before the installed MXNet, in order; empty for a build without CUDA."""
    names = mxnet_distributions()
    if len(names) == 1 and (cuda_version(names[0]) or '').startswith('11'):
        return (DRIVER_LIBRARY, *CUDA_11_LIBRARIES)
    return ()


def library_problem() -> Optional[str]:
    """Load NVIDIA's libraries; the first that cannot be loaded is the problem.

    A loaded library satisfies every later request for its soname: neither CUDA nor LD_LIBRARY_PATH is needed.
    """
    for soname in required_libraries():
        where, error = load_library(soname)
        if where is None:
            name = mxnet_distributions()[0]
            reason = f'cannot be loaded ({error})'
            advice = f'type `pip install --force-reinstall {CUDA_11_LIBRARIES.get(soname)}`.'
            if soname == DRIVER_LIBRARY:
                reason = "comes with NVIDIA's driver (450.80 or newer)"
                advice = f'install it, or for a CPU {cpu_instead(name)}.'
            return f'{name} needs {soname}, which {reason}: {advice}'
    return None


def problems() -> List[str]:
    """A sentence for each thing that keeps MXNet from being imported, with what to type; loads libraries."""
    checks = (python_problem, mxnet_problem, numpy_problem, library_problem)
    return [problem for problem in (check() for check in checks) if problem]
