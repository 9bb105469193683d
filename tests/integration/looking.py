"""Waiting for what should come about, and looking for it in what was said."""

from __future__ import annotations

from typing import Any

from parsl_diaspora.events import Event, TryFailed
from tests.waiting import LONG, until

__all__ = ["LONG", "failures", "of", "until"]


def of(events: list[Event], kind: type[Event]) -> list[Any]:
    """The events of one kind."""
    return [event for event in events if isinstance(event, kind)]


def failures(events: list[Event]) -> set[str]:
    """Names of the exceptions that tries failed with."""
    return {event.failure.type.rpartition(".")[2] for event in of(events, TryFailed)}
