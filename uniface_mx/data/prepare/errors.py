"""The error of data preparation."""

from uniface_mx.errors import UnifaceError


class PrepareError(UnifaceError):
    """A preparation that cannot go on: bad options, too many bad photos, teachers that disagree."""
