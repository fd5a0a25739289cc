"""Where real data and the package's own files lie."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def data_root() -> Path:
    """Folder with the real data: ``$UNIFACE_DATA``, by default ``../shared/data`` beside the checkout.

    It need not exist.
    """
    return Path(os.environ.get('UNIFACE_DATA') or PACKAGE.parent.parent / 'shared' / 'data').expanduser()


def resource(name: str) -> Path:
    """A folder that the project carries (``symbols`` or ``experiments``).

    It lies inside an installed package, and beside the package in a checkout.
    """
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name
