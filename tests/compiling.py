"""The C examples, compiled as their heads say."""

import os
import subprocess
from pathlib import Path

import mxnet as mx
import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / 'examples' / 'c'


def compile_example(name, folder):
    """Path of the program; the test is skipped where there is no C compiler, and fails at a warning."""
    compiler = os.environ.get('CC', 'cc')
    library = Path(mx.libinfo.find_lib_path()[0]).parent
    command = [compiler, '-O2', '-Wall', '-Wextra', '-Werror', '-I' + mx.libinfo.find_include_path()]
    command += [str(EXAMPLES / (name + '.c')), '-o', str(folder / name)]
    command += [f'-L{library}', '-lmxnet', f'-Wl,-rpath,{library}', '-lm']
    try:
        subprocess.run(command, check=True)
    except FileNotFoundError:
        pytest.skip(f'no C compiler: {compiler}')
    return folder / name
