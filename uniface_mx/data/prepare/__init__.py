"""From sources of photos to record sets: teachers' looks, labels, duplicates, and tools on finished sets."""

from uniface_mx.data.prepare.errors import PrepareError

__all__ = ['PrepareError']
