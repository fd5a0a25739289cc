"""``python -m uniface_mx.doctor``: what is wrong with this machine, what to type, and which devices MXNet can run on."""
from __future__ import annotations

import argparse
import ctypes
import importlib.util
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence, Tuple

from . import runtime

Capability = Tuple[int, int]

# Machine code in the wheels of MXNet 1.9.1, by CUDA version; none of them carries PTX for newer GPUs.
COMPILED_FOR = {
    "112": ((5, 0), (6, 0), (7, 0), (8, 0), (8, 6)),
    "117": ((5, 0), (6, 0), (7, 0), (8, 0), (8, 6)),
}
GENERATIONS = {5: "Maxwell", 6: "Pascal", 7: "Volta, Turing", 8: "Ampere, Ada"}


class Gpu(NamedTuple):
    name: str
    capability: Capability


def runs_on(capability: Capability, compiled: Sequence[Capability]) -> bool:
    """Whether a GPU can run machine code compiled for any of the capabilities: same major, no newer minor."""
    return any(capability[0] == major and capability[1] >= minor for major, minor in compiled)


def parse_gpus(listing: str) -> List[Gpu]:
    """GPUs in the output of ``nvidia-smi --query-gpu=name,compute_cap --format=csv,noheader``."""
    gpus = []
    for line in listing.strip().splitlines():
        name, capability = line.rsplit(",", 1)
        major, minor = capability.strip().split(".")
        gpus.append(Gpu(name.strip(), (int(major), int(minor))))
    return gpus


def find_gpus() -> List[Gpu]:
    """The machine's NVIDIA GPUs as its driver lists them; none where there is no driver."""
    query = ["nvidia-smi", "--query-gpu=name,compute_cap", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=30, check=True)
        return parse_gpus(answer.stdout.decode())
    except (OSError, ValueError, subprocess.SubprocessError):
        return []


def gpu_problem(gpu: Gpu, distribution: str, compiled: Sequence[Capability]) -> Optional[str]:
    if runs_on(gpu.capability, compiled):
        return None
    major, minor = gpu.capability
    return (f"{distribution} holds no machine code for {gpu.name} (compute capability {major}.{minor}): use an older GPU, "
            f"or type `pip uninstall -y {distribution} && pip install mxnet==1.9.1` for a CPU.")


def load_mxnet() -> Optional[str]:
    """Load ``libmxnet.so`` itself, without running any of MXNet's Python; the loader's message where that fails."""
    folder = Path(importlib.util.find_spec("mxnet").origin).parent
    library = folder / "libmxnet.so"
    if not library.exists():
        return None
    try:
        ctypes.CDLL(str(library))
    except OSError as error:
        return f"MXNet's library cannot be loaded: {error}; type `pip install --force-reinstall --no-deps " \
               f"{runtime.mxnet_distributions()[0]}==1.9.1` if the file is damaged, or install what it names."
    return None


def devices(distribution: str, say) -> List[str]:
    """Print what the installed MXNet runs on, beside the GPUs that are here; returns the GPUs that it cannot use."""
    cuda = runtime.cuda_version(distribution)
    gpus = find_gpus()
    for gpu in gpus:
        say("GPU", f"{gpu.name}, compute capability {gpu.capability[0]}.{gpu.capability[1]}")
    if not gpus:
        say("GPU", "none found by nvidia-smi")
    if cuda is None:
        say("runs on", "CPU only; for NVIDIA GPUs install uniface-mx[cu112] in an environment of its own")
        return []
    compiled = COMPILED_FOR.get(cuda)
    if compiled is None:
        say("runs on", f"CPU, and GPUs unknown to this program: it knows the builds for CUDA {', '.join(COMPILED_FOR)}")
        return []
    say("runs on", "CPU, and GPUs of compute capability " + ", ".join(
        f"{major}.{minor} and up within {GENERATIONS[major]}" if (major, minor) != (8, 6) else "8.6 to 8.9"
        for major, minor in compiled) + "; no Hopper (9.0) or newer")
    return [problem for problem in (gpu_problem(gpu, distribution, compiled) for gpu in gpus) if problem]


def libraries(say) -> None:
    """Print where each CUDA library was found."""
    for soname in runtime.required_libraries():
        where, error = runtime.load_library(soname)
        say("library", f"{soname}: {where or 'MISSING, ' + error}")


def installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Print the report; returns 1 where something keeps MXNet from running here, else 0."""
    argparse.ArgumentParser(prog="python -m uniface_mx.doctor", description=__doc__).parse_args(argv)

    def say(what: str, text: str) -> None:
        print(f"{what:<10}{text}")

    say("python", f"{platform.python_version()} on {platform.machine()}, {sys.executable}")
    say("numpy", installed("numpy"))
    names = runtime.mxnet_distributions()
    say("mxnet", ", ".join(f"{name} {installed(name)}" for name in names) or "not installed")
    libraries(say)
    problems = runtime.problems()
    if len(names) == 1:
        problems += devices(names[0], say)
    if not problems:
        problems += [problem for problem in [load_mxnet()] if problem]
    for problem in problems:
        say("PROBLEM", problem)
    if not problems:
        say("ok", "MXNet can be imported")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
