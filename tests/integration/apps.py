"""Apps of the integration tests; workers import them from here."""

from __future__ import annotations

from typing import Any

from parsl import bash_app, python_app

from parsl_diaspora import resilience


@python_app
def spin(number: int, seconds: float) -> int:
    """Compute for a while, so that the process is busy in the kernel's eyes."""
    import time

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(500))
    return number * number


@python_app
def where() -> tuple[str, int]:
    """The executor and the attempt that this try belongs to."""
    from parsl_diaspora import current_task

    here = current_task()
    return here.executor, here.attempt


@python_app
def die_until(path: str, deaths: int) -> int:
    """Kill the own worker the first few times."""
    import os
    import signal

    with open(path, "ab") as file:
        file.write(b".")
    if os.path.getsize(path) <= deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    return os.path.getsize(path)


@python_app
def crash_until(path: str, crashes: int) -> int:
    """Crash the own worker the first few times."""
    import ctypes
    import os

    with open(path, "ab") as file:
        file.write(b".")
    if os.path.getsize(path) <= crashes:
        ctypes.string_at(0)
    return os.path.getsize(path)


@python_app
def place() -> str:
    """The manager that this try is at."""
    import os
    import time

    time.sleep(0.05)
    return os.environ["PARSL_WORKER_POOL_ID"]


@python_app
def needs_module() -> str:
    """Import a module that only some sites have."""
    import only_at_one_site  # type: ignore[import-not-found]

    return str(only_at_one_site.NAME)


@python_app
def allocate(size: int) -> int:
    """Take so many bytes, without touching them."""
    return len(bytes(size))


@python_app
def divide(number: int) -> float:
    """Fail for 0, everywhere."""
    return 1 / number


@python_app
def raise_unpicklable() -> None:
    """Raise an exception that cannot be rebuilt from its arguments."""

    class Unbuildable(Exception):
        def __init__(self, one: int, two: int) -> None:
            super().__init__(f"{one} and {two}")

    raise Unbuildable(1, 2)


@python_app
def return_stranger() -> Any:
    """Return an object whose class only some sites have."""
    import only_at_one_site  # type: ignore[import-not-found]

    return only_at_one_site.Found()


@python_app
def return_generator() -> Any:
    """Return what cannot be pickled."""
    return (number for number in range(3))


@python_app
@resilience(non_retryable=(KeyError,))
def raise_key_error() -> None:
    """Raise what the decorator lists as final."""
    raise KeyError("listed")


@python_app
def raise_non_retryable() -> None:
    """Raise what says itself that it is final."""
    from parsl_diaspora import NonRetryable

    raise NonRetryable("the calibration file is empty", type="BadInput")


@python_app
def flaky(path: str, failures: int) -> int:
    """Fail the first few times, wherever that is."""
    import os

    with open(path, "ab") as file:
        file.write(b".")
    if os.path.getsize(path) <= failures:
        raise RuntimeError("not yet")
    return os.path.getsize(path)


@python_app
def too_long(walltime: int = 1) -> None:
    """Run over the walltime."""
    import time

    for _ in range(1000):
        time.sleep(0.05)


@python_app
def add(one: Any, other: Any) -> Any:
    """Depend on two others."""
    return one + other


@bash_app
def shell(command: str) -> str:
    """Run a shell command."""
    return command


@python_app
def tell_nodes(
    number: int,
    seconds: float,
    parsl_resource_specification: dict[str, Any] = {},  # noqa: B006 - as Parsl has it
) -> dict[str, str]:
    """What the executor has told a multi-node task, after a while."""
    import os
    import time

    time.sleep(seconds)
    told = {name: value for name, value in os.environ.items() if name.startswith("PARSL_")}
    return {**told, "number": str(number)}


@bash_app
def shell_on_nodes(
    command: str,
    parsl_resource_specification: dict[str, Any] = {},  # noqa: B006 - as Parsl has it
) -> str:
    """Run a shell command that starts a multi-node program."""
    return command


@python_app
def wait_for_order(kind: str, seconds: float) -> tuple[int, dict[str, Any]]:
    """The own process, and the first order of that kind that reaches it."""
    import os
    import queue

    from parsl_diaspora.monitoring.orders import forget_orders, take_orders

    heard: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    take_orders(kind, heard.put)
    try:
        return os.getpid(), heard.get(timeout=seconds)
    finally:
        forget_orders(kind)
