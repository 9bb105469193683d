"""A thousand tasks of all kinds whose outcomes are known beforehand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from parsl import bash_app, join_app, python_app
from parsl.dataflow.errors import DependencyError


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
    file = f"{directory}/{number}"
    return f"sleep {seconds}; echo {number} > {file}.new; mv {file}.new {file}.out"


@join_app
def by_two(number, seconds):
    return add(square(number, seconds), number, seconds)


def submit(number: int, seconds: float, directory: Path, earlier: dict[int, Any]) -> Any:
    """Submit task ``number``; some take what earlier ones bring."""
    makers: dict[str, Callable[[], Any]] = {
        "never": lambda: never(number, seconds),
        "child of never": lambda: add(earlier[number - 10], 1, seconds),
        "join": lambda: by_two(number, seconds),
        "bytes": lambda: block_of_bytes(number, seconds),
        "shell": lambda: shell(number, seconds, str(directory)),
        "sum": lambda: add(earlier[number - 3], earlier[number - 4], seconds),
        "fails once": lambda: fails_once(number, seconds, str(directory)),
        "square": lambda: square(number, seconds),
    }
    return makers[kind_of(number)]()


def kind_of(number: int) -> str:
    """What kind of task it is."""
    by_fifty = {49: "never", 19: "join"} | ({9: "child of never"} if number > 50 else {})
    by_ten = {4: "bytes", 5: "shell", 6: "sum", 7: "fails once"}
    return by_fifty.get(number % 50) or by_ten.get(number % 10, "square")


def judge(number: int, future: Any, directory: Path) -> str:
    """How a task ended: ``ok`` if as it must, else in words what is wrong."""
    kind, error = kind_of(number), future.exception()
    if (meant := {"never": ValueError, "child of never": DependencyError}.get(kind)) is not None:
        return "ok" if isinstance(error, meant) else f"it ended with {error!r}"
    if error is not None:
        return f"it failed: {type(error).__name__}: {error}"
    if kind == "shell":
        is_right = (directory / f"{number}.out").read_text() == f"{number}\n"
    else:
        is_right = future.result() == expected(number)
    return "ok" if is_right else "its result is wrong"


def expected(number: int) -> Any:
    """The result of a task that has one."""
    results: dict[str, Callable[[], Any]] = {
        "join": lambda: number * number + number,
        "bytes": lambda: bytes([number % 251]) * 100_000,
        "sum": lambda: (number - 3) ** 2 + (number - 4) ** 2,
        "fails once": lambda: -number,
    }
    return results.get(kind_of(number), lambda: number * number)()
