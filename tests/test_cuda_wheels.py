"""The cu112 extra without a system CUDA. It downloads 2 GB, so it runs only where UNIFACE_CU112 is set."""

import os
import shutil
import subprocess
import venv
from pathlib import Path

import pytest

from uniface_mx import runtime

REPOSITORY = Path(__file__).resolve().parent.parent

# The driver's functions that libmxnet.so and NVIDIA's libraries bind by name.
DRIVER_FUNCTIONS = (
    'cuDeviceGet',
    'cuDevicePrimaryCtxRetain',
    'cuGetErrorString',
    'cuGraphKernelNodeGetParams',
    'cuGraphNodeGetType',
    'cuLaunchKernel',
    'cuModuleGetFunction',
    'cuModuleLoadData',
    'cuModuleLoadDataEx',
    'cuModuleUnload',
)
CONVOLVE = """
import uniface_mx, mxnet as mx
assert mx.runtime.Features().is_enabled("CUDA")
print(mx.nd.Convolution(mx.nd.ones((1, 3, 8, 8)), mx.nd.ones((4, 3, 3, 3)), no_bias=True, num_filter=4,
                        kernel=(3, 3)).sum().asscalar())
"""

pytestmark = pytest.mark.skipif(
    not os.environ.get('UNIFACE_CU112'), reason='downloads 2 GB: set UNIFACE_CU112=1'
)


def run(python, *arguments, **environment):
    clean = {key: value for key, value in os.environ.items() if key not in ('PYTHONPATH', 'LD_LIBRARY_PATH')}
    return subprocess.run(
        [str(python), *arguments],
        env={**clean, **environment},
        cwd='/',
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


@pytest.fixture(scope='module')
def python(tmp_path_factory):
    folder = tmp_path_factory.mktemp('cu112')
    venv.create(folder, with_pip=True)
    installed = run(folder / 'bin' / 'python', '-m', 'pip', 'install', '--quiet', f'{REPOSITORY}[cu112]')
    assert installed.returncode == 0, installed.stdout
    yield folder / 'bin' / 'python'
    shutil.rmtree(folder)


def test_every_library_but_the_drivers_comes_from_the_wheels(python):
    report = run(python, '-m', 'uniface_mx.doctor').stdout
    lines = [line.split(maxsplit=1)[1] for line in report.splitlines() if line.startswith('library')]
    found = dict(line.split(': ', 1) for line in lines)
    assert set(found) == {runtime.DRIVER_LIBRARY, *runtime.CUDA_11_LIBRARIES}
    for soname in runtime.CUDA_11_LIBRARIES:
        assert found[soname].startswith(str(python.parent.parent)) and found[soname].endswith(soname), report


def test_with_a_driver_by_name_alone_mxnet_loads_and_computes(python, tmp_path):
    source = ''.join(f'int {name}(void) {{ return 100; }}\n' for name in DRIVER_FUNCTIONS)
    (tmp_path / 'driver.c').write_text(source)
    subprocess.run(
        ['gcc', '-shared', '-fPIC', '-Wl,-soname,libcuda.so.1', '-o', 'libcuda.so.1', 'driver.c'],
        cwd=str(tmp_path),
        check=True,
    )
    result = run(python, '-c', CONVOLVE, LD_LIBRARY_PATH=str(tmp_path))
    assert result.returncode == 0 and result.stdout.split()[-1] == '3888.0', result.stdout
    without = run(python, '-c', 'import mxnet', LD_LIBRARY_PATH=str(tmp_path))
    assert without.returncode != 0 and 'cannot open shared object file' in without.stdout
