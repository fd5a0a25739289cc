"""The former place of `uniface_mx.deploy.gallery`; it goes with the next version."""

import warnings

from uniface_mx.deploy.gallery import *  # noqa: F403

warnings.warn(
    'uniface_mx.gallery is uniface_mx.deploy.gallery now; import from uniface_mx itself',
    DeprecationWarning,
    stacklevel=2,
)
