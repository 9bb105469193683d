"""Map-reduce of four tasks whose maps meet a failure of one kind; workers find these functions by name."""

from __future__ import annotations

import random
import time
from typing import Any

from parsl import python_app

SECONDS = 0.05
MEMORY = 2_500_000_000  # bytes: more than the smaller nodes allow, and never touched


@python_app
def map_import(number: int) -> int:
    """Needs a package that one of the pools has."""
    time.sleep(SECONDS)
    import rare_table  # noqa: F401

    return number


@python_app
def map_memory(number: int) -> int:
    """Needs more memory than the nodes of one of the pools allow."""
    time.sleep(SECONDS)
    return number + len(bytes(MEMORY)) * 0


@python_app
def map_doomed(number: int) -> float:
    """Fails wherever it runs."""
    time.sleep(SECONDS)
    return number / 0


_INJECTED: dict[str, Any] = {
    "assertion": AssertionError,
    "zero": ZeroDivisionError,
    "import": ModuleNotFoundError,
    "memory": MemoryError,
}


@python_app
def map_injected(number: int, kind: str, rate: float) -> int:
    """Fails by chance, whatever it raises: another try may succeed."""
    time.sleep(SECONDS)
    if random.SystemRandom().random() < rate:
        raise _INJECTED[kind](f"injected {kind}")
    return number


@python_app
def add(*numbers: float) -> float:
    """The reduction."""
    time.sleep(SECONDS)
    return sum(numbers)
