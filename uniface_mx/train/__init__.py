"""Training (sections III.E and IV.A): the step, the loop around it, schedules, checkpoints, validation."""

from __future__ import annotations

from uniface_mx.errors import UnifaceError


class TrainError(UnifaceError):
    """A run that cannot begin or go on; the message says what to do."""
