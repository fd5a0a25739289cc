"""The layout's rules: which way imports go, how many rooms the package has, how long a function may be."""

import ast
import re
import subprocess
import sys

from uniface_mx.paths import PACKAGE

REPOSITORY = PACKAGE.parent
# The rooms, lowest first: what is in one imports from itself and from those before it. docs/architecture.md
# has why.
ROOMS = (
    'errors files paths geometry image photos provenance runtime doctor cli.program config nn models backbones '
    'teachers data train deploy evaluation report predictor gallery uniface_mx cli tools'
).split()
MODULES = sorted((REPOSITORY / 'uniface_mx').rglob('*.py')) + sorted((REPOSITORY / 'tools').glob('*.py'))


def dotted(path):
    """The name of a module of the checkout."""
    return '.'.join(path.relative_to(REPOSITORY).with_suffix('').parts).replace('.__init__', '')


NAMES = {dotted(path) for path in MODULES}


def room(module):
    """The room that a module lies in; that of what the package itself offers is ``uniface_mx``."""
    inside = module[len('uniface_mx.') :] if module.startswith('uniface_mx.') else module
    return inside if inside in ROOMS else inside.split('.')[0]


def imported(path):
    """Modules of the checkout that one imports, at whatever place in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in NAMES)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module in NAMES:
            inner = (f'{node.module}.{alias.name}' for alias in node.names)
            yield from (name if name in NAMES else node.module for name in inner)


def test_every_module_lies_in_a_room():
    assert {room(name) for name in NAMES} <= set(ROOMS)


def test_no_import_goes_upwards():
    """But for the package's own: it offers what people use, and loads that when it is asked for."""
    upwards = [
        f'{dotted(path)} imports {other}'
        for path in MODULES
        for other in sorted(set(imported(path)))
        if ROOMS.index(room(other)) > ROOMS.index(room(dotted(path)))
    ]
    assert not upwards, '\n'.join(upwards)


def test_the_package_is_light_to_import():
    code = "import sys, uniface_mx; print(sorted({'mxnet', 'numpy', 'cv2'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, '-c', code], text=True) == '[]\n'


def test_a_newcomer_sees_few_rooms():
    loose = list(PACKAGE.glob('*.py'))
    folders = [path for path in PACKAGE.iterdir() if (path / '__init__.py').exists()]
    assert len(loose) <= 12
    assert len(loose) + len(folders) <= 26


def test_no_function_is_long():
    functions = [
        (f'{dotted(path)}.{node.name}', node.end_lineno - node.lineno + 1)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8')))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    long = [f'{name} has {lines} lines' for name, lines in functions if lines > 80]
    assert not long, '\n'.join(long)


def test_modules_that_the_documentation_names_are_there():
    folders = ('uniface_mx', 'tools', 'tests', 'examples')
    files = [
        f'/{path.relative_to(REPOSITORY)}' for name in folders for path in (REPOSITORY / name).rglob('*.py')
    ]
    missing = [
        f'{document.name}: {name}'
        for document in [*REPOSITORY.glob('*.md'), *(REPOSITORY / 'docs').glob('*.md')]
        for name in re.findall(r'`([a-z_/0-9]+\.py)`', document.read_text(encoding='utf-8'))
        if not any(file.endswith(f'/{name}') for file in files)
    ]
    assert not missing, '\n'.join(missing)
