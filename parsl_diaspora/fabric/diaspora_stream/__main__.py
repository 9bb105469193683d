"""``python -m parsl_diaspora.fabric.diaspora_stream FD``: the process that holds the binding."""

from __future__ import annotations

import sys

from parsl_diaspora.fabric.diaspora_stream.side.process import main

if __name__ == "__main__":
    main(int(sys.argv[1]))
