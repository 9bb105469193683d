"""What an executor knows of the run that it is part of."""

from __future__ import annotations

from typing import Protocol

from parsl_diaspora.clock import Clock
from parsl_diaspora.executors.launch import Launch, Report
from parsl_diaspora.settings import Settings
from parsl_diaspora.state import Live


class Link(Protocol):
    """What the executor needs of the run that it is part of."""

    settings: Settings
    clock: Clock

    def begin(self, run_id: str) -> Live:
        """The run's state; the first caller makes it."""
        ...

    def node_url(self, executor: str) -> str:
        """The fabric that processes on an executor's nodes publish to; empty for none."""
        ...

    def returned(self, launch: Launch, report: Report) -> None:
        """Take note of what a worker told of a try, before its future ends."""
        ...
