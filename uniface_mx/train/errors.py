"""What can go wrong in a training run."""

from __future__ import annotations

from uniface_mx.errors import UnifaceError


class TrainError(UnifaceError):
    """A run that cannot begin or go on; the message says what to do."""
