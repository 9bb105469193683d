"""The key of one run: who has it may give orders to the running program, over any fabric.

It lies in the run's directory, mode 0600, from the run's begin to its end. An order carries a number that is
used once, with the time, and an HMAC-SHA256 over its kind, run, number and contents.
"""

from __future__ import annotations

import hmac
import os
import secrets
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from parsl_diaspora.errors import FabricError
from parsl_diaspora.events import Event, PlaceHeld, PlaceReleased, TaskActionAsked, TaskCancelAsked

KEY_FILE = "orders.key"
LIFETIME = 600.0  # seconds that an order is good for; clocks of two hosts may differ by as much
_BYTES = 32

#: Kinds that ask something of a program.
ORDERS = (PlaceHeld, PlaceReleased, TaskActionAsked, TaskCancelAsked)

#: What the publisher stamps or a bridge adds: it is not known when the order is signed.
_NOT_SIGNED = frozenset({"source", "boot", "seq", "time", "mono", "via", "mac"})


class RunKey:
    """Signs orders and tells whether one was signed with it.

    Args:
        secret: the key.

    Example:
        >>> key = RunKey(b"an example")
        >>> order = key.sign(PlaceHeld(run="r", node="n17"))
        >>> key.problem(order)
        ''
        >>> order.node = "n18"
        >>> key.problem(order)
        'its signature does not fit'
        >>> key
        RunKey(***)
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @classmethod
    def make(cls, directory: Path) -> RunKey:
        """Make the key of a new run, in place of any that a run before left there.

        Raises:
            OSError: it cannot be written.
        """
        path, secret = directory / KEY_FILE, secrets.token_hex(_BYTES).encode()
        path.unlink(missing_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(secret)
        return cls(secret)

    @classmethod
    def load(cls, path: Path) -> RunKey:
        """The key in a file.

        Raises:
            FabricError: it cannot be read, or others can read it, too.
        """
        try:
            if stat.S_IMODE(path.stat().st_mode) & 0o077:
                hint = f"Use 'chmod go= {path}'; whoever has read it may give orders to the run."
                raise FabricError(f"The key {path} is open to others.", hint=hint)
            return cls(path.read_bytes().strip())
        except OSError as error:
            hint = f"It is {KEY_FILE} in the run's directory, where the program runs."
            raise FabricError(f"The key {path} cannot be read: {error.strerror}.", hint=hint) from error

    @staticmethod
    def remove(directory: Path) -> None:
        """The run has ended."""
        with suppress(OSError):
            (directory / KEY_FILE).unlink(missing_ok=True)

    def sign(self, event: Any, now: float | None = None) -> Any:
        """Give an order a number of its own and sign it."""
        event.order = f"{time.time() if now is None else now:.3f}-{secrets.token_hex(8)}"
        event.mac = self._mac(event)
        return event

    def problem(self, event: Any, now: float | None = None) -> str:
        """Why an order is not to be obeyed; empty if it is."""
        if not event.mac:
            return "it is not signed"
        if not hmac.compare_digest(self._mac(event).encode(), event.mac.encode()):
            return "its signature does not fit"
        age = (time.time() if now is None else now) - _asked_at(event.order)
        return "" if abs(age) <= LIFETIME else "it is too old, or a clock is wrong"

    def _mac(self, event: Event) -> str:
        names = (name for name in event.__struct_fields__ if name not in _NOT_SIGNED)
        signed = {name: getattr(event, name) for name in names}
        return hmac.new(
            self._secret, msgspec.json.encode([event.kind, signed], order="sorted"), "sha256"
        ).hexdigest()

    def __repr__(self) -> str:
        return "RunKey(***)"

    def __reduce__(self) -> NoReturn:
        message = "A RunKey holds a secret and is not pickled: give the path of its file."
        raise TypeError(message)


def _asked_at(order: str) -> float:
    """When an order was given, seconds UTC; not a number if it does not say."""
    try:
        return float(order.partition("-")[0])
    except ValueError:
        return float("nan")
