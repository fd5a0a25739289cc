"""UniFace: boxes, landmarks and embeddings of all faces in a photo, by one MXNet network."""

import os
import sys
from pathlib import Path

from uniface_mx import runtime

__version__ = '0.2.0'

# MXNet takes half of what it takes for hyper-threads, even where each is a core.
os.environ.setdefault('OMP_NUM_THREADS', str(runtime.cores()))

# MXNet says on standard error whenever it fuses a graph.
os.environ.setdefault('MXNET_SUBGRAPH_VERBOSE', '0')

_problems = runtime.problems()
if _problems:
    if Path((sys.argv or [''])[0]).stem in ('-m', 'doctor', 'uniface-doctor'):
        # '-m': Python still looks for the module that `python -m uniface_mx.NAME` names; only the doctor
        # could run.
        from uniface_mx import doctor

        sys.exit(doctor.examine())
    raise ImportError(_problems[0], name=__name__)


def get_model(name, **overrides):
    """Build one of the paper's models by name; see :func:`uniface_mx.models.get_model`."""
    from uniface_mx.models import get_model as build

    return build(name, **overrides)
