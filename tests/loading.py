"""Programs of ``tools/`` as modules, wherever the tests are run from."""

import importlib.util
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[1] / 'tools'


def load_tool(name):
    """The module of ``tools/NAME.py``."""
    spec = importlib.util.spec_from_file_location('tool_' + name, str(TOOLS / (name + '.py')))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
