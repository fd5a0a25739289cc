"""The doctor and the import on simulated machines: a path of their own, no site-packages, fake metadata."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from uniface_mx import doctor, runtime

REPOSITORY = Path(runtime.__file__).parent.parent


class Machine:
    """Python with nothing installed but what a test puts there."""

    def __init__(self, folder: Path):
        self.site = folder / 'site'
        self.programs = folder / 'bin'
        self.libraries = folder / 'lib'
        for path in (self.site, self.programs, self.libraries):
            path.mkdir()

    def install(self, *wheels):
        """Distributions as ``NAME`` or ``NAME==VERSION``; of ``NAME*`` the files are there, too."""
        for wheel in wheels:
            name, _, version = wheel.rstrip('*').partition('==')
            version = version or ('1.23.5' if name == 'numpy' else '1.9.1')
            info = self.site / f'{name.replace("-", "_")}-{version}.dist-info'
            info.mkdir()
            (info / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n')
            if wheel.endswith('*'):
                self.mxnet('')

    def mxnet(self, code):
        """What MXNet's import runs."""
        (self.site / 'mxnet').mkdir(exist_ok=True)
        (self.site / 'mxnet' / '__init__.py').write_text(code)

    def library(self, soname):
        folder = self.libraries if soname == runtime.DRIVER_LIBRARY else self.site / 'nvidia' / 'some' / 'lib'
        folder.mkdir(parents=True, exist_ok=True)
        if shutil.which('gcc') is None:
            pytest.skip('no gcc to make a library with')
        subprocess.run(['gcc', '-shared', '-x', 'c', '-o', str(folder / soname), '/dev/null'], check=True)

    def nvidia_smi(self, script):
        program = self.programs / 'nvidia-smi'
        program.write_text(f'#!/bin/sh\n{script}\n')
        program.chmod(0o755)

    def python(self, *arguments):
        environment = {
            'PYTHONPATH': f'{self.site}{os.pathsep}{REPOSITORY}',
            'PATH': f'{self.programs}:/usr/bin:/bin',
            'LD_LIBRARY_PATH': str(self.libraries),
        }
        return subprocess.run(
            [sys.executable, '-S', *arguments], env=environment, text=True, capture_output=True, check=False
        )

    def doctor(self):
        return self.python(str(REPOSITORY / 'tools' / 'doctor.py'))


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def problems_in(report):
    return [line for line in report.stdout.splitlines() if line.startswith('PROBLEM')]


def with_gpu_wheel(machine, *missing):
    """MXNet for GPUs, and NVIDIA's libraries, but for some."""
    machine.install('mxnet-cu112*', 'numpy')
    for soname in {runtime.DRIVER_LIBRARY, *runtime.CUDA_11_LIBRARIES} - set(missing):
        machine.library(soname)


AGAIN = 'pip install --force-reinstall'


@pytest.mark.parametrize(
    'wheels, finding, advice',
    [
        (
            'mxnet* mxnet-cu112 numpy',
            'mxnet and mxnet-cu112 are installed together',
            'pip uninstall -y mxnet mxnet-cu112',
        ),
        ('numpy', 'MXNet is not installed', 'pip install mxnet==1.9.1'),
        ('mxnet numpy', 'mxnet has lost its files', f'{AGAIN} --no-deps mxnet==1.9.1'),
        ('mxnet* numpy==1.24.0', 'numpy 1.24.0 is too new', "pip install 'numpy<1.24'"),
        ('mxnet*', 'NumPy is not installed', "pip install 'numpy<1.24'"),
        (None, 'mxnet-cu112 needs libcudnn.so.8', f'{AGAIN} nvidia-cudnn-cu11==8.9.6.50'),
    ],
)
def test_a_broken_machine_is_named_by_doctor_and_import_alike(machine, wheels, finding, advice):
    if wheels:
        machine.install(*wheels.split())
    else:
        with_gpu_wheel(machine, 'libcudnn.so.8')
    report = machine.doctor()
    problems = problems_in(report)
    assert report.returncode == 1 and report.stderr == ''
    assert len(problems) == 1
    assert finding in problems[0] and f'`{advice}`' in problems[0]
    assert machine.python('-m', 'uniface_mx.doctor').stdout == report.stdout
    broken = machine.python('-c', 'import uniface_mx')
    assert broken.returncode == 1
    assert broken.stderr.splitlines()[-1] == 'ImportError: ' + problems[0].split(maxsplit=1)[1]


def test_a_missing_driver_is_named(machine):
    machine.install('mxnet-cu112*', 'numpy')
    report = machine.doctor()
    if 'libcuda.so.1: MISSING' not in report.stdout:
        pytest.skip("this machine has NVIDIA's driver")
    assert report.returncode == 1
    assert "mxnet-cu112 needs libcuda.so.1, which comes with NVIDIA's driver" in report.stdout


def test_every_problem_is_reported_at_once(machine):
    machine.install('mxnet*', 'mxnet-cu112', 'numpy==2.1.0')
    assert len(problems_in(machine.doctor())) == 2


def test_a_sound_machine(machine):
    machine.install('mxnet*', 'numpy', 'mxnet-model-server==1.0.0')
    report = machine.doctor()
    assert report.returncode == 0, report.stdout
    assert 'CPU only' in report.stdout and 'PROBLEM' not in report.stdout
    assert machine.python('-c', 'import uniface_mx').returncode == 0


def test_what_mxnet_says_itself_is_reported(machine):
    machine.install('mxnet*', 'numpy')
    machine.mxnet("raise OSError('libgomp.so.1: cannot open')")
    report = machine.doctor()
    assert report.returncode == 1
    assert 'MXNet cannot be imported (OSError: libgomp.so.1: cannot open)' in report.stdout


def with_gpu(machine, script):
    with_gpu_wheel(machine)
    machine.nvidia_smi(script)


def test_libraries_are_loaded_before_mxnet(machine):
    with_gpu(machine, 'exit 9')
    names = list(runtime.CUDA_11_LIBRARIES)
    machine.mxnet(f"maps = open('/proc/self/maps').read()\nassert all(name in maps for name in {names})\n")
    result = machine.python('-c', 'import uniface_mx, mxnet')
    assert result.returncode == 0, result.stderr


def test_a_hopper_gpu_is_a_problem_for_the_doctor_and_not_for_the_import(machine):
    with_gpu(machine, "echo 'NVIDIA GeForce RTX 4090, 8.9'; echo 'NVIDIA H100 PCIe, 9.0'")
    report = machine.doctor()
    problems = problems_in(report)
    assert report.returncode == 1
    assert '5.0, 6.0, 7.0, 8.0, 8.6; no Hopper' in report.stdout
    assert len(problems) == 1
    assert 'mxnet-cu112 holds no machine code for NVIDIA H100 PCIe (compute capability 9.0)' in problems[0]
    assert machine.python('-c', 'import uniface_mx').returncode == 0


def test_a_gpu_that_can_be_used(machine):
    with_gpu(machine, "echo 'NVIDIA TITAN X (Pascal), 6.1'")
    report = machine.doctor()
    assert report.returncode == 0, report.stdout
    assert 'NVIDIA TITAN X (Pascal), compute capability 6.1' in report.stdout


def test_what_nvidia_smi_complains_about_is_shown(machine):
    with_gpu(machine, "echo 'couldn'\"'\"'t communicate with the driver'; exit 9")
    assert "nvidia-smi says: couldn't communicate with the driver" in machine.doctor().stdout


@pytest.mark.parametrize('capability', [(5, 0), (5, 2), (6, 1), (7, 5), (8, 0), (8, 9)])
def test_machine_code_runs_within_its_major_version(capability):
    assert doctor.runs_on(capability)


@pytest.mark.parametrize('capability', [(3, 5), (9, 0), (10, 0), (12, 0)])
def test_machine_code_does_not_run_on_another_major_version(capability):
    assert not doctor.runs_on(capability)


def test_machine_code_does_not_run_on_an_older_minor_version():
    assert not doctor.runs_on((8, 0), [(8, 6)])


@pytest.mark.parametrize(
    'name, cuda', [('mxnet', None), ('mxnet-native', None), ('mxnet-cu112', '112'), ('mxnet-cu102mkl', '102')]
)
def test_cuda_version_of_a_distribution(name, cuda):
    assert runtime.cuda_version(name) == cuda
