"""Readings that may take long, as of a file system or by a vendor's command: the newest that is there."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

Value = TypeVar("Value")


class Latest(Generic[Value]):
    """Reads in a thread of its own, one reading at a time, so that whoever samples never waits.

    Args:
        name: of the thread.
        read: the reading. It must come to an end by itself, or the value stays what it was.
        value: before the first reading has ended.

    Attributes:
        value: the newest one.
        faults: readings that raised.

    Example:
        >>> latest = Latest("answer", lambda: 42, 0)
        >>> latest.ask()
        0
        >>> latest.settle(5.0), latest.value
        (True, 42)
    """

    def __init__(self, name: str, read: Callable[[], Value], value: Value) -> None:
        self._name = name
        self._read = read
        self._thread: threading.Thread | None = None
        self.value = value
        self.faults = 0

    def ask(self) -> Value:
        """The newest value; a further reading is begun unless one is still under way."""
        value = self.value
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        return value

    def settle(self, timeout: float) -> bool:
        """Wait for the reading under way; whether it has ended."""
        if self._thread is not None:
            self._thread.join(timeout)
        return self._thread is None or not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self.value = self._read()
        except Exception as error:  # noqa: BLE001 - a sample without this value is better than none
            self.faults += 1
            if self.faults == 1:
                logger.warning("%s cannot be read (%s: %s).", self._name, type(error).__name__, error)
