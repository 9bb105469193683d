"""A thousand tasks of all kinds whose outcomes are known beforehand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from parsl import bash_app, join_app, python_app


@python_app
def square(number, seconds):
    import time

    time.sleep(seconds)
    return number * number


@python_app
def add(first, second, seconds):
    import time

    time.sleep(seconds)
    return first + second


@python_app
def fails_once(number, seconds, directory):
    import time
    from pathlib import Path

    time.sleep(seconds)
    flag = Path(directory) / f"{number}.failed"
    if not flag.exists():
        flag.touch()
        raise RuntimeError(f"task {number} fails the first time")
    return -number


@python_app
def never(number, seconds):
    import time

    time.sleep(seconds)
    raise ValueError(f"task {number} can never work")


@python_app
def block_of_bytes(number, seconds):
    import time

    time.sleep(seconds)
    return bytes([number % 251]) * 100_000


@bash_app
def shell(number, seconds, directory):
    return f"sleep {seconds}; echo {number} > {directory}/{number}.new; mv {directory}/{number}.new {directory}/{number}.out"


@join_app
def by_two(number, seconds):
    return add(square(number, seconds), number, seconds)


def submit(number: int, seconds: float, directory: Path, earlier: dict[int, Any]) -> Any:
    """Submit task ``number``; some take what earlier ones bring."""
    kind = number % 10
    if number % 50 == 49:
        return never(number, seconds)
    if number % 50 == 9 and number > 50:
        return add(earlier[number - 10], 1, seconds)  # waits for the one that never works
    if number % 50 == 19:
        return by_two(number, seconds)
    if kind == 4:
        return block_of_bytes(number, seconds)
    if kind == 5:
        return shell(number, seconds, str(directory))
    if kind == 6:
        return add(earlier[number - 3], earlier[number - 4], seconds)
    if kind == 7:
        return fails_once(number, seconds, str(directory))
    return square(number, seconds)


def judge(number: int, future: Any, directory: Path) -> str:
    """How a task ended: ``ok`` if as it must, else in words what is wrong."""
    error = future.exception()
    if number % 50 == 49:
        return _is(type(error).__name__ == "ValueError", f"it ended with {error!r}")
    if number % 50 == 9 and number > 50:
        return _is(type(error).__name__ == "DependencyError", f"it ended with {error!r}")
    if error is not None:
        return f"it failed: {type(error).__name__}: {error}"
    return _is(future.result() == expected(number), "its result is wrong") if number % 10 != 5 else _is(
        (directory / f"{number}.out").read_text() == f"{number}\n", "its file is wrong"
    )


def expected(number: int) -> Any:
    """The result of a task that has one."""
    results: dict[int, Callable[[], Any]] = {
        4: lambda: bytes([number % 251]) * 100_000,
        6: lambda: (number - 3) ** 2 + (number - 4) ** 2,
        7: lambda: -number,
    }
    if number % 50 == 19:
        return number * number + number
    return results.get(number % 10, lambda: number * number)()


def _is(true: bool, else_: str) -> str:
    return "ok" if true else else_
