"""Apps of the tests of pools of executors; workers import them from here."""

from __future__ import annotations

from parsl import python_app

from parsl_diaspora import resilience


@python_app(executors=["pool"])
def square(number: int, seconds: float = 0.0) -> int:
    """Sleep for a while, so that many of them need no core."""
    import time

    time.sleep(seconds)
    return number * number


@python_app(executors=["pool"])
def once(directory: str, number: int, seconds: float) -> int:
    """Leave a trace each time that it begins."""
    import os
    import time
    import uuid

    open(os.path.join(directory, f"{number}-{uuid.uuid4().hex}"), "w").close()
    time.sleep(seconds)
    return number


@python_app(executors=["pool"])
@resilience(idempotent=True)
def straggler(directory: str, number: int) -> tuple[int, str]:
    """Quick, but for the first begin of the one with a number from 1000 on, which takes very long."""
    import os
    import time

    mine = os.path.join(directory, f"{number}-{os.environ['PARSL_WORKER_POOL_ID']}")
    first = number >= 1000 and not os.listdir(directory)
    open(mine, "w").close()
    time.sleep(60.0 if first else 0.05)
    return number, os.environ["PARSL_WORKER_POOL_ID"]


@python_app(executors=["pool"])
@resilience(idempotent=True)
def two_stragglers(directory: str, number: int) -> int:
    """Quick, but for those with a number from 1000 on, which take very long wherever they begin."""
    import os
    import time

    open(os.path.join(directory, f"{number}-{os.environ['PARSL_WORKER_POOL_ID']}"), "w").close()
    time.sleep(60.0 if number >= 1000 else 0.05)
    return number


@python_app(executors=["pool"])
@resilience(near="north")
def near_north() -> str:
    """The executor that this try is at."""
    from parsl_diaspora import current_task

    return current_task().executor


@python_app(executors=["pool"])
def where() -> str:
    """The executor that this try is at."""
    from parsl_diaspora import current_task

    return current_task().executor
