"""Orders from the submit side to the supervisors of nodes, one small file each.

A directory that both sides see is the way that needs no port and no server. A file appears whole under a name
that tells its order; every supervisor that it is meant for takes it once; who wrote it removes it when its
time is up, so that the clocks of the nodes do not matter.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from parsl_diaspora.executors.supervision.nodefile import write_private

LIFETIME = 300.0
LARGEST = 64 * 1024  # bytes
SUFFIX = ".order"

#: Parts of a place by which an order can be addressed.
ADDRESS = ("run", "executor", "block", "manager", "node")


class Order(msgspec.Struct, kw_only=True, frozen=True):
    """An order as it lies in its file.

    Attributes:
        to: what the place of a supervisor must hold for the order to be meant for it.
        message: plain data; its ``kind`` says what is to be done.
    """

    to: dict[str, str]
    message: dict[str, Any]

    def is_for(self, place: Mapping[str, str]) -> bool:
        """Whether a supervisor at that place is meant."""
        return all(place.get(part) == value for part, value in self.to.items())


read_order = msgspec.json.Decoder(Order).decode


class OrdersBox:
    """Where orders are given.

    Args:
        directory: made if it is missing, for this user only.
        now: seconds that never go back, for the life of orders.

    Raises:
        OSError: the directory cannot be made.

    Example:
        >>> import tempfile
        >>> box = OrdersBox(tempfile.mkdtemp())
        >>> name = box.give({"manager": "0a1b"}, {"kind": "end", "reason": "maintenance"})
        >>> box.withdraw(name)
    """

    def __init__(self, directory: str | os.PathLike[str], now: Callable[[], float] = time.monotonic) -> None:
        self.directory = Path(directory)
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._now = now
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._until: dict[str, float] = {}

    def give(self, to: Mapping[str, str], message: Mapping[str, Any], lifetime: float = LIFETIME) -> str:
        """Give an order. Costs two short file operations; from Parsl's own threads use a thread of yours.

        Args:
            to: parts of a place, of ``run``, ``executor``, ``block``, ``manager`` and ``node``.
            message: plain data with a ``kind``.
            lifetime: seconds after which no further supervisor takes it.

        Returns:
            The order's name, for `withdraw`.

        Raises:
            ValueError: it is addressed by something else, or is too large.
            OSError: it cannot be written.
        """
        data = self._packed(to, message)
        with self._lock:
            self._forget_old()
            name = f"{os.getpid()}-{next(self._numbers):08d}{SUFFIX}"
            write_private(self.directory / name, data)
            self._until[name] = self._now() + lifetime
        return name

    def _packed(self, to: Mapping[str, str], message: Mapping[str, Any]) -> bytes:
        if unknown := set(to) - set(ADDRESS):
            text = f"An order is addressed by {', '.join(ADDRESS)}, not by {', '.join(sorted(unknown))}."
            raise ValueError(text)
        data = msgspec.json.encode(Order(to=dict(to), message=dict(message)))
        if len(data) > LARGEST:
            text = f"An order has at most {LARGEST} bytes, not {len(data)}."
            raise ValueError(text)
        return data

    def withdraw(self, name: str) -> None:
        """Remove an order: who has not taken it will not."""
        with self._lock:
            self._until.pop(name, None)
            self._remove(name)

    def close(self) -> None:
        """Remove all orders and, when it is empty, the directory."""
        with self._lock:
            for name in self._until:
                self._remove(name)
            self._until.clear()
        with suppress(OSError):
            self.directory.rmdir()

    def _forget_old(self) -> None:
        now = self._now()
        for name in [name for name, until in self._until.items() if until <= now]:
            self._until.pop(name)
            self._remove(name)

    def _remove(self, name: str) -> None:
        with suppress(OSError):
            (self.directory / name).unlink(missing_ok=True)
