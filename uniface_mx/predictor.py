"""The former place of `uniface_mx.deploy.predictor`; it goes with the next version."""

import warnings

from uniface_mx.deploy.predictor import *  # noqa: F403

warnings.warn(
    'uniface_mx.predictor is uniface_mx.deploy.predictor now; import from uniface_mx itself',
    DeprecationWarning,
    stacklevel=2,
)
