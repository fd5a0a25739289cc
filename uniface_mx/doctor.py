"""What is wrong with this machine, what to type, and where MXNet can run: ``python -m uniface_mx.doctor``."""

from __future__ import annotations

import importlib
import platform
import subprocess
import sys
from typing import List, Optional, Sequence, Tuple

from uniface_mx import runtime

Capability = Tuple[int, int]

# Machine code in the wheels of MXNet 1.9.1 for these versions of CUDA; neither carries PTX for newer GPUs.
KNOWN_CUDA = ('112', '117')
COMPILED_FOR = ((5, 0), (6, 0), (7, 0), (8, 0), (8, 6))


def runs_on(capability: Capability, compiled: Sequence[Capability] = COMPILED_FOR) -> bool:
    """Whether a GPU can run machine code compiled for any of the capabilities: same major, no newer minor."""
    return any(capability[0] == major and capability[1] >= minor for major, minor in compiled)


def find_gpus() -> List[Tuple[str, Capability]]:
    """Print names and compute capabilities of the GPUs that NVIDIA's driver lists, or why it lists none."""
    query = 'nvidia-smi --query-gpu=name,compute_cap --format=csv,noheader'.split()
    pipes = {'stdout': subprocess.PIPE, 'stderr': subprocess.STDOUT}
    try:
        answer = subprocess.run(query, **pipes, timeout=60, check=False, errors='replace')
    except (OSError, subprocess.SubprocessError):
        say('GPU', 'none, for there is no working nvidia-smi')
        return []
    if answer.returncode:
        say('GPU', f'unknown, nvidia-smi says: {answer.stdout.strip()}')
        return []
    gpus = []
    for line in answer.stdout.strip().splitlines():
        name, capability = map(str.strip, line.rsplit(',', 1))
        say('GPU', f'{name}, compute capability {capability}')
        gpus.append((name, tuple(map(int, capability.split('.')))))
    return gpus


def import_problem() -> Optional[str]:
    """What MXNet itself says when it is imported."""
    try:
        importlib.import_module('mxnet')
    except Exception as error:  # whatever it is, it is the finding
        names = ' '.join(runtime.mxnet_distributions()) or 'mxnet'
        advice = f'type `pip install --force-reinstall --no-deps {names}==1.9.1`.'
        return f'MXNet cannot be imported ({type(error).__name__}: {error}): {advice}'
    return None


def say(what: str, text: str) -> None:
    """Print a line of the report."""
    print(f'{what:<10}{text}')


def devices(distribution: str) -> List[str]:
    """Print the GPUs that are here and what the installed MXNet runs on; a problem for each it cannot use."""
    gpus = find_gpus()
    cuda = runtime.cuda_version(distribution)
    if cuda is None:
        say('runs on', 'CPU only; NVIDIA GPUs need mxnet-cu112 in its place')
        return []
    if cuda not in KNOWN_CUDA:
        say('runs on', f'CPU and GPUs; their kinds are known of cu{" and cu".join(KNOWN_CUDA)} only')
        return []
    compiled = f'machine code for compute capabilities {", ".join(map(_dotted, COMPILED_FOR))}'
    say('runs on', f'CPU, and GPUs from Maxwell to Ada: {compiled}; no Hopper (9.0) or newer')
    lacks = f'{distribution} holds no machine code for'
    advice = f'use an older GPU, or {runtime.cpu_instead(distribution)} for a CPU.'
    return [
        f'{lacks} {name} (compute capability {_dotted(capability)}): {advice}'
        for name, capability in gpus
        if not runs_on(capability)
    ]


def _dotted(capability: Capability) -> str:
    return '.'.join(map(str, capability))


def examine() -> int:
    """Print the report; 1 where something keeps MXNet from running here or from using a GPU, else 0."""
    say('python', f'{platform.python_version()} on {platform.machine()}, {sys.executable}')
    say('numpy', runtime.installed('numpy') or 'not installed')
    names = runtime.mxnet_distributions()
    say('mxnet', ', '.join(f'{name} {runtime.installed(name)}' for name in names) or 'not installed')
    for soname in runtime.required_libraries():
        where, error = runtime.load_library(soname)
        say('library', f'{soname}: {where or "MISSING, " + error}')
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
