"""What the programs of the scenarios compute: next to nothing, but they tell where."""

from __future__ import annotations

from typing import Any

from parsl import python_app

from parsl_diaspora import resilience

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


@python_app
@resilience(checkpoint="200ms")
def climb(seconds: float, begun: str) -> Any:
    """Say that the try has begun, and take some time, in steps; where it can, it saves how far it is."""
    import os
    import time
    from pathlib import Path

    from parsl_diaspora import current_task
    from parsl_diaspora.errors import NotInTask

    Path(begun, f"{time.time_ns()}-{os.getpid()}").touch()
    try:
        task = current_task()
    except NotInTask:  # stock Parsl runs this
        task = None
    step = task.restore(0) if task is not None else 0
    while step < seconds * 20:
        time.sleep(0.05)
        step += 1
        if task is not None and task.should_checkpoint():
            task.save(step)
    return step
