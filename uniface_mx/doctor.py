"""What is wrong with this machine, what to type, and where MXNet can run: ``python -m uniface_mx.doctor``."""

from __future__ import annotations

import importlib
import platform
import subprocess
import sys
from importlib import metadata
from typing import List, NamedTuple, Optional, Sequence, Tuple

from uniface_mx import runtime

Capability = Tuple[int, int]

# Machine code in the wheels of MXNet 1.9.1, by CUDA version; none of them carries PTX for newer GPUs.
COMPILED_FOR = {
    '112': ((5, 0), (6, 0), (7, 0), (8, 0), (8, 6)),
    '117': ((5, 0), (6, 0), (7, 0), (8, 0), (8, 6)),
}


class Gpu(NamedTuple):
    """A GPU, as its driver describes it."""

    name: str
    capability: Capability


def runs_on(capability: Capability, compiled: Sequence[Capability]) -> bool:
    """Whether a GPU can run machine code compiled for any of the capabilities: same major, no newer minor."""
    return any(capability[0] == major and capability[1] >= minor for major, minor in compiled)


def parse_gpus(listing: str) -> List[Gpu]:
    """GPUs in the output of ``nvidia-smi --query-gpu=name,compute_cap --format=csv,noheader``."""
    gpus = []
    for line in listing.strip().splitlines():
        name, capability = line.rsplit(',', 1)
        major, minor = capability.strip().split('.')
        gpus.append(Gpu(name.strip(), (int(major), int(minor))))
    return gpus


def find_gpus() -> List[Gpu]:
    """The machine's NVIDIA GPUs as its driver lists them.

    Raises
    ------
    LookupError
        There is no driver, or it does not tell; the message says which.
    """
    query = ['nvidia-smi', '--query-gpu=name,compute_cap', '--format=csv,noheader']
    try:
        answer = subprocess.run(
            query, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False
        )
    except (OSError, subprocess.SubprocessError):
        raise LookupError('none, for there is no working nvidia-smi') from None
    listing = answer.stdout.decode(errors='replace').strip()
    if answer.returncode:
        raise LookupError(f'unknown, nvidia-smi says: {listing}')
    return parse_gpus(listing)


def gpu_problem(gpu: Gpu, distribution: str, compiled: Sequence[Capability]) -> Optional[str]:
    """Why an MXNet compiled for these capabilities does not run there, or None."""
    if runs_on(gpu.capability, compiled):
        return None
    major, minor = gpu.capability
    return (
        f'{distribution} holds no machine code for {gpu.name} (compute capability {major}.{minor}): use '
        f'an older GPU, or type `pip uninstall -y {distribution} && pip install mxnet==1.9.1` for a CPU.'
    )


def import_problem() -> Optional[str]:
    """What MXNet itself says when it is imported."""
    try:
        importlib.import_module('mxnet')
    except Exception as error:  # whatever it is, it is the finding
        return (
            f'MXNet cannot be imported ({type(error).__name__}: {error}): type '
            '`pip install --force-reinstall --no-deps '
            f'{" ".join(runtime.mxnet_distributions()) or "mxnet"}==1.9.1`.'
        )
    return None


def say(what: str, text: str) -> None:
    """Print a line of the report."""
    print(f'{what:<10}{text}')


def devices(distribution: str) -> List[str]:
    """Print the GPUs that are here and what the installed MXNet runs on; a problem for each it cannot use."""
    gpus = []
    try:
        gpus = find_gpus()
    except LookupError as error:
        say('GPU', str(error))
    for gpu in gpus:
        say('GPU', f'{gpu.name}, compute capability {gpu.capability[0]}.{gpu.capability[1]}')
    cuda = runtime.cuda_version(distribution)
    if cuda is None:
        say('runs on', 'CPU only; NVIDIA GPUs need mxnet-cu112 in its place')
        return []
    compiled = COMPILED_FOR.get(cuda)
    if compiled is None:
        say('runs on', f'CPU and GPUs; their kinds are known of cu{" and cu".join(COMPILED_FOR)} only')
        return []
    say(
        'runs on',
        f'CPU, and GPUs from Maxwell to Ada: machine code for compute capabilities '
        f'{", ".join(f"{major}.{minor}" for major, minor in compiled)}; no Hopper (9.0) or newer',
    )
    return [problem for problem in (gpu_problem(gpu, distribution, compiled) for gpu in gpus) if problem]


def libraries() -> None:
    """Print where each CUDA library was found."""
    for soname in runtime.required_libraries():
        where, error = runtime.load_library(soname)
        say('library', f'{soname}: {where or "MISSING, " + error}')


def installed(name: str) -> str:
    """A distribution's version, or that there is none."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return 'not installed'


def examine() -> int:
    """Print the report; 1 where something keeps MXNet from running here or from using a GPU, else 0."""
    say('python', f'{platform.python_version()} on {platform.machine()}, {sys.executable}')
    say('numpy', installed('numpy'))
    names = runtime.mxnet_distributions()
    say('mxnet', ', '.join(f'{name} {installed(name)}' for name in names) or 'not installed')
    libraries()
    problems = runtime.problems() or list(filter(None, [import_problem()]))
    if len(names) == 1:
        problems += devices(names[0])
    for problem in problems:
        say('PROBLEM', problem)
    if not problems:
        say('ok', 'uniface_mx can be used')
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(examine())
