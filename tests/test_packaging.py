"""An ordinary wheel in a fresh environment: what it carries, and that its programs run without a checkout."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
SOURCES = ('uniface_mx', 'tools', 'experiments', 'symbols')
PROGRAMS = sorted(path.stem for path in (REPOSITORY / 'tools').glob('[!_]*.py'))


def run(*command, cwd):
    """Run a command without the environment of this checkout; its output, also in the failure's message."""
    environment = {key: value for key, value in os.environ.items() if key not in ('PYTHONPATH', 'PYTHONHOME')}
    result = subprocess.run(
        [str(part) for part in command],
        cwd=str(cwd),
        env=environment,
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """A wheel built from a copy of the sources, where no earlier build has left anything."""
    folder = tmp_path_factory.mktemp('wheel')
    without = shutil.ignore_patterns('__pycache__')
    for name in SOURCES:
        if (REPOSITORY / name).is_dir():
            shutil.copytree(REPOSITORY / name, folder / 'source' / name, ignore=without)
    for name in ('setup.py', 'pyproject.toml', 'README.md', 'LICENSE'):
        shutil.copy(REPOSITORY / name, folder / 'source')
    pip = [sys.executable, '-m', 'pip', 'wheel', '--quiet', '--no-deps', '--wheel-dir']
    run(*pip, folder, folder / 'source', cwd=folder)
    return next(folder.glob('*.whl'))


@pytest.fixture(scope='module')
def fresh(wheel, tmp_path_factory):
    """A new environment with the wheel installed; what the wheel depends on is borrowed from this one."""
    folder = tmp_path_factory.mktemp('fresh')
    venv.create(folder, with_pip=True)
    python = folder / 'bin' / 'python'
    run(python, '-m', 'pip', 'install', '--quiet', '--no-deps', '--no-index', wheel, cwd=folder)
    site = run(python, '-c', "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    Path(site, 'borrowed.pth').write_text(sysconfig.get_path('purelib') + '\n')
    return folder


def test_the_package_comes_from_the_wheel(fresh):
    where = run(fresh / 'bin' / 'python', '-c', 'import uniface_mx; print(uniface_mx.__file__)', cwd=fresh)
    assert where.startswith(str(fresh))


def test_every_module_of_the_checkout_is_in_the_wheel(wheel):
    inside = set(zipfile.ZipFile(wheel).namelist())
    modules = {str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / 'uniface_mx').rglob('*.py')}
    assert modules - inside == set()


@pytest.mark.parametrize(
    'folder, pattern',
    [('symbols', '*.json'), ('symbols', '*.params')]
    + [('experiments', '*.yaml'), ('experiments', 'evaluation/*.yaml')],
)
def test_it_carries_graphs_presets_and_weights(fresh, folder, pattern):
    """The installed package finds the same files that lie beside the package in the checkout."""
    program = (
        'import sys, json; from uniface_mx.paths import resource; '
        f'print(json.dumps([str(path) for path in resource({folder!r}).glob({pattern!r})]))'
    )
    installed = [Path(path) for path in json.loads(run(fresh / 'bin' / 'python', '-c', program, cwd=fresh))]
    expected = sorted(path for path in (REPOSITORY / folder).glob(pattern) if path.is_file())
    assert sorted(path.name for path in installed) == [path.name for path in expected]
    assert all(str(path).startswith(str(fresh)) for path in installed)
    contents = [{path.name: path.read_bytes() for path in paths} for paths in (installed, expected)]
    assert contents[0] == contents[1]


@pytest.mark.parametrize('name', PROGRAMS)
def test_every_tool_is_a_program(fresh, name):
    assert 'usage:' in run(fresh / 'bin' / f'uniface-{name.replace("_", "-")}', '--help', cwd=fresh)


def test_a_program_does_its_work(fresh, tmp_path):
    """An export that is small enough for a test: graph, weights and manifest."""
    export = [fresh / 'bin' / 'uniface-export', '--model', 'uniface_a_lite', '--random', '0']
    run(*export, '--out', tmp_path, cwd=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        'uniface_a_lite-symbol.json',
        'uniface_a_lite-0000.params',
        'uniface_a_lite.json',
    }
