"""Opening a topic, and making it where it is missing; what is to be pushed waits until it is open."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from parsl_diaspora.fabric.diaspora_stream import wire
from parsl_diaspora.fabric.diaspora_stream.backends import Target, TopicSpec
from parsl_diaspora.fabric.diaspora_stream.side.outlet import Outlet, Stuck

logger = logging.getLogger(__name__)

RETRY = 1.0  # seconds between looks for a topic that is missing

#: The binding has one type of exception, a RuntimeError; its texts tell what it means.
_MISSING, _THERE = "not found", "already exists"


class TopicMissing(RuntimeError):
    """There is no such topic, and it may not be made."""


def open_topic(driver: Any, spec: TopicSpec) -> Any:
    """The handle of a topic.

    Raises:
        TopicMissing: it is not there and shall not be made.
        RuntimeError: the server says something else, or nothing.
    """
    try:
        return driver.open_topic(spec.name)
    except RuntimeError as error:
        if _MISSING not in str(error):
            raise
        if not spec.create:
            message = f"The topic {spec.name!r} is missing, and create=no forbids to make it."
            raise TopicMissing(message) from error
    _make(driver, spec)
    return driver.open_topic(spec.name)


def _make(driver: Any, spec: TopicSpec) -> None:
    try:
        driver.create_topic(spec.name, options=dict(spec.options))
    except RuntimeError as error:
        if _THERE not in str(error):
            raise
        logger.debug("Another process has made the topic %r at the same moment.", spec.name)


class Topic:
    """One topic, opened when it is first needed.

    Args:
        target: where it is.
        spec: its name, and how to make it.
        driver: of the binding.
        give: sends an answer to the program.
    """

    def __init__(
        self, target: Target, spec: TopicSpec, driver: Any, give: Callable[[wire.ToProgram], None]
    ) -> None:
        self._target, self._spec, self._driver, self._give = target, spec, driver, give
        self._waiting: list[tuple[int, int, list[bytes]]] = []
        self._not_before = 0.0
        self._outlet: Outlet | None = None
        self.handle: Any = None

    def allow(self, spec: TopicSpec) -> None:
        """Whoever comes later may be allowed to make the topic."""
        if spec.create and not self._spec.create:
            self._spec, self._not_before = spec, 0.0

    def open(self) -> Outlet:
        """Open the topic, and all that is needed for pushing into it.

        Raises:
            TopicMissing: it is not there and shall not be made.
            Stuck: the server says nothing.
            RuntimeError: the driver says no.
        """
        if self._outlet is None:
            try:
                self.handle = open_topic(self._driver, self._spec)
                self._outlet = Outlet(self._target, self.handle, self._give)
            except TopicMissing:
                raise
            except RuntimeError as error:
                if self._target.traits.dies:
                    raise Stuck(f"The topic {self._spec.name!r} cannot be opened: {error}.") from error
                raise
            for add in self._waiting:
                self._outlet.add(*add)
            self._waiting.clear()
        return self._outlet

    def add(self, channel: int, first: int, records: list[bytes]) -> None:
        """Records to be pushed."""
        if self._outlet is None:
            self._waiting.append((channel, first, records))
        else:
            self._outlet.add(channel, first, records)

    def is_empty(self) -> bool:
        """Whether nothing is to be pushed."""
        return not self._waiting and (self._outlet is None or self._outlet.is_empty())

    def step(self) -> bool:
        """Get on with pushing; whether there was something to do.

        Raises:
            Stuck: the server confirms nothing any more.
        """
        if self._outlet is not None:
            return self._outlet.step()
        if not self._waiting or time.monotonic() < self._not_before:
            return False
        try:
            self.open()
        except Stuck:
            raise
        except RuntimeError as error:
            self._not_before = time.monotonic() + RETRY
            self._give(wire.Trouble(str(error)))
        return True

    def beat(self, every: float) -> None:
        """Push a heartbeat if nothing was confirmed for so long."""
        if self._outlet is not None:
            self._outlet.beat(every)

    @property
    def ends(self) -> dict[int, int]:
        """Number behind the last record that is known, for each partition."""
        return self._outlet.ends if self._outlet is not None else {}
