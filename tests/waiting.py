"""Waiting for what should come about, for as long as a machine may need that is busy with others."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

LONG = 90.0  # seconds


def becomes(condition: Callable[[], Any], seconds: float = LONG) -> Any:
    """What a condition comes to hold, or what it is after so long."""
    end = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < end:
        time.sleep(0.01)
    return met


def until(condition: Callable[[], Any], seconds: float = LONG) -> Any:
    """What a condition comes to hold; it is an error if it does not."""
    met = becomes(condition, seconds)
    assert met, "it did not come about in time"
    return met
