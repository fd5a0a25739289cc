"""UniFace: boxes, landmarks and embeddings of all faces in a photo, by one MXNet network."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any, List

from uniface_mx import runtime

if TYPE_CHECKING:
    from uniface_mx.deploy.export import export_model
    from uniface_mx.deploy.gallery import Gallery
    from uniface_mx.deploy.predictor import Face, Predictor
    from uniface_mx.models import get_model

__version__ = '0.1.0'
__all__ = ['Face', 'Gallery', 'Predictor', 'export_model', 'get_model']

# What is loaded when it is asked for, so that a program that needs none of it starts at once.
_HOMES = {
    'Face': 'deploy.predictor',
    'Gallery': 'deploy.gallery',
    'Predictor': 'deploy.predictor',
    'export_model': 'deploy.export',
    'get_model': 'models',
}

# MXNet takes half of what it takes for hyper-threads, even where each is a core.
os.environ.setdefault('OMP_NUM_THREADS', str(runtime.cores()))

# MXNet says on standard error whenever it fuses a graph.
os.environ.setdefault('MXNET_SUBGRAPH_VERBOSE', '0')

_problems = runtime.problems()
if _problems:
    if sys.argv[:1] == ['-m']:
        # Python still looks for the module that `python -m uniface_mx.NAME` names: only the doctor could run.
        from uniface_mx import doctor

        sys.exit(doctor.main([]))
    raise ImportError(_problems[0], name=__name__)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(f'{__name__}.{_HOMES[name]}'), name)


def __dir__() -> List[str]:
    return sorted({*globals(), *__all__})
