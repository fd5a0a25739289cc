"""From sources of photos to record sets: teachers' looks, labels, duplicates, and tools on finished sets."""

from __future__ import annotations

from uniface_mx.errors import UnifaceError


class PrepareError(UnifaceError):
    """A preparation that cannot go on: bad options, too many bad photos, teachers that disagree."""
