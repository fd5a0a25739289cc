"""Tell whether and where MXNet can run on this machine, and what to type if it cannot."""

from __future__ import annotations

import sys

from uniface_mx.cli.program import program
from uniface_mx.doctor import examine

main = program('doctor', __doc__, lambda _: examine(), partly='something is wrong')

if __name__ == '__main__':
    sys.exit(main())
