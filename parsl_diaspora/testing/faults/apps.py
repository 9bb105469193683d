"""What the programs of the scenarios compute: next to nothing, but they tell where."""

from __future__ import annotations

from typing import Any

from parsl import python_app

BLACK_HOLE = "_PARSL_DIASPORA_BLACK_HOLE"


@python_app
def hold(seconds: float, begun: str) -> Any:
    """Say that the try has begun, by a file named after this worker, and take some time."""
    import os
    import time
    from pathlib import Path

    Path(begun, f"{time.time_ns()}-{os.getpid()}").touch()
    time.sleep(seconds)
    return os.getpid()


@python_app
def measure(number: int, seconds: float) -> Any:
    """Take some time, on a node that works; fail at once on one that does not."""
    import os
    import time

    if os.environ.get("_PARSL_DIASPORA_BLACK_HOLE"):
        raise OSError(5, "Input/output error", "/scratch")
    time.sleep(seconds)
    return number
