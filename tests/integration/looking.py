"""Waiting for what should come about, and looking for it in what was said."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from parsl_diaspora.events import Event, TryFailed

LONG = 90  # seconds; so long a test waits on a machine that is busy with others


def until(condition: Callable[[], Any], seconds: float = LONG) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.05)


def of(events: list[Event], kind: type[Event]) -> list[Any]:
    """The events of one kind."""
    return [event for event in events if isinstance(event, kind)]


def failures(events: list[Event]) -> set[str]:
    """Names of the exceptions that tries failed with."""
    return {event.failure.type.rpartition(".")[2] for event in of(events, TryFailed)}
