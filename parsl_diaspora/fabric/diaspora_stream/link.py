"""The program's link to the process that holds the binding: one for each target, shared by all who use it."""

from __future__ import annotations

import atexit
import itertools
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Protocol

import msgspec

from parsl_diaspora.fabric.diaspora_stream import wire
from parsl_diaspora.fabric.diaspora_stream.backends import Target
from parsl_diaspora.fabric.diaspora_stream.process import SideProcess

logger = logging.getLogger(__name__)

LINGER = 2.0  # seconds that a link stays when nobody uses it any more
_GATHER = 0.002  # seconds in which further events may join those that are sent
_LOOK = 0.2
_PAUSE_FIRST, _PAUSE_LONGEST = 0.1, 5.0
_STARTING = 10.0  # seconds beyond the patience that a process may take for its first beat
_GRACE = 1.0


class User(Protocol):
    """A publisher or a consumer, as the link sees it. All is called in the link's threads."""

    channel: int
    reads: bool

    def orders(self) -> Iterator[wire.ToSide]:
        """What is to be sent now."""
        ...

    def begin_again(self) -> None:
        """A new process begins, which knows nothing."""
        ...

    def heard(self, message: wire.ToProgram) -> None:
        """The process says something to this user."""
        ...


class Link:
    """Feeds the process, notices when it is dead or frozen, and replaces it.

    The process beats; when it is silent for the target's patience, or says that the server is, it is killed
    and another one gets all that was not confirmed. Otherwise it stays as long as somebody uses it. If there
    was a consumer of Mofka, it stays to the end of the program: a Mofka server may abort some 100 s after a
    consumer's process has vanished, while others write.

    Attributes:
        target: where events go.
        why: what went wrong last, in words; empty while all is well.
        failures: processes that were given up since the server last answered.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.why = ""
        self._users: dict[int, User] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._wake, self._hurry, self._closing = threading.Event(), threading.Event(), threading.Event()
        self._farewells: deque[wire.ToSide] = deque()
        self._process: SideProcess | None = None
        self._gone = self._stays = False
        self._beat_at = self._turned_at = self._unused_since = time.monotonic()
        self._turns = -1
        self._down_since: float | None = None
        self.failures, self._not_before, self._said = 0, 0.0, False
        self._thread = threading.Thread(target=self._run, name="diaspora-stream-courier", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def join(self, user: User) -> bool:
        """Take a user in, under a number of its own; whether the link is still open."""
        with self._lock:
            if self._closing.is_set():
                return False
            user.channel = next(self._numbers)
            user.begin_again()
            self._users[user.channel] = user
            self._stays |= user.reads and self.target.traits.dies
        self.ring()
        return True

    def part(self, user: User, farewell: wire.ToSide | None = None) -> None:
        """Let a user go."""
        with self._lock:
            if self._users.pop(user.channel, None) and farewell is not None:
                self._farewells.append(farewell)
            self._unused_since = time.monotonic()
        self.ring()

    def ring(self, *, hurry: bool = False) -> None:
        """There is something to send."""
        if hurry:
            self._hurry.set()
        if not self._wake.is_set():
            self._wake.set()

    def down_for(self) -> float:
        """Seconds since the link last worked; 0 while it does."""
        since = self._down_since
        return 0.0 if since is None else time.monotonic() - since

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        process = self._process
        return process.pid if process else None

    @property
    def is_closed(self) -> bool:
        """Whether the link takes no users any more."""
        return self._closing.is_set()

    def close(self) -> None:
        """End the process, which gets a short time for what is left."""
        self._closing.set()
        self.ring(hurry=True)
        self._thread.join()

    def forget(self) -> None:
        """In a forked child: this link is the parent's."""
        atexit.unregister(self.close)
        self._closing = threading.Event()  # the parent's may have been locked at the fork
        self._closing.set()
        if self._process is not None:
            self._process.forget()

    # --- the thread ---

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._step()
            except Exception:
                logger.exception("The link to the stream failed; it tries again.")
                self._closing.wait(1.0)
        if self._process is not None:
            self._send_all()
            self._process.send(wire.Quit(_GRACE))
            self._process.end(2 * _GRACE)
        atexit.unregister(self.close)

    def _step(self) -> None:
        self._wake.wait(_LOOK)
        self._hurry.wait(_GATHER)
        self._hurry.clear()
        self._wake.clear()
        if self._process is None and (not self._users or not self._begin()):
            self._leave_if_unused()
            self._closing.wait(_GATHER)
            return
        if not self._send_all():
            self._lose("The process for the stream takes no more messages.")
        elif self._gone:
            self._lose(self.why or "The process for the stream has ended.")
        elif (silence := self._silence()) > self.target.patience:
            self._lose(f"The binding has been frozen for {silence:.1f} s.")
        self._leave_if_unused()

    def _begin(self) -> bool:
        if time.monotonic() < self._not_before:
            return False
        with self._lock:
            users = list(self._users.values())
        self._gone, self._turns = False, -1
        self._beat_at = self._turned_at = time.monotonic() + _STARTING
        for user in users:
            user.begin_again()
        try:
            self._process = SideProcess(self.target, self._heard, self._ended)
        except (OSError, RuntimeError) as error:
            self._note_failure(f"No process can be started: {error}.")
            return False
        return True

    def _send_all(self) -> bool:
        assert self._process is not None  # noqa: S101 - the caller has looked
        with self._lock:
            users = list(self._users.values())
        for user in users:
            for message in user.orders():
                if not self._process.send(message):
                    return False
        while self._farewells:
            if not self._process.send(self._farewells.popleft()):
                return False
        return True

    def _silence(self) -> float:
        return time.monotonic() - min(self._beat_at, self._turned_at)

    def _lose(self, why: str) -> None:
        """Give the process up."""
        process, self._process = self._process, None
        if process is not None:
            process.end(0.0)
        self._note_failure(why)

    def _note_failure(self, why: str) -> None:
        self._warn(why)
        self.why = why
        self._down_since = self._down_since or time.monotonic()
        self._not_before = time.monotonic() + min(_PAUSE_LONGEST, _PAUSE_FIRST * 2 ** min(self.failures, 10))
        self.failures += 1

    def _warn(self, why: str) -> None:
        if not self._said:
            self._said = True
            logger.warning("Events for the %s stream wait: %s", self.target.scheme, why)

    def _leave_if_unused(self) -> None:
        with self._lock:
            unused = not self._users and not self._stays and time.monotonic() - self._unused_since > LINGER
            if unused:
                self._closing.set()

    # --- the process speaks ---

    def _heard(self, message: wire.ToProgram) -> None:
        self._beat_at = time.monotonic()
        if isinstance(message, wire.Beat):
            self._turned(message.turns)
        elif isinstance(message, wire.Trouble):
            self.why = message.why
            self._warn(message.why)
        else:
            if not isinstance(message, wire.Failed):
                self._well()
            with self._lock:
                user = self._users.get(message.channel)
            if user is not None:
                user.heard(message)

    def _turned(self, turns: int) -> None:
        if turns != self._turns:
            self._turns, self._turned_at = turns, time.monotonic()

    def _well(self) -> None:
        """The server has answered."""
        self._turned_at = time.monotonic()
        if self._said:
            self._said = False
            logger.warning("Events for the %s stream go on.", self.target.scheme)
        self.why, self._down_since, self.failures = "", None, 0

    def _ended(self) -> None:
        self._gone = True
        self.ring()


_links: dict[bytes, Link] = {}
_registry = threading.Lock()


def join_link(target: Target, user: User) -> Link:
    """Take a user into this process's link to a target, which is made when it is first asked for."""
    key = msgspec.msgpack.encode(target)
    while True:
        with _registry:
            link = _links.get(key)
            if link is None or link.is_closed:
                link = _links[key] = Link(target)
        if link.join(user):
            return link


def close_links() -> None:
    """End all processes of this program that hold the binding. Their users lose what is not confirmed."""
    with _registry:
        links = list(_links.values())
        _links.clear()
    for link in links:
        link.close()


def _forget_links() -> None:
    """A forked child has its parent's descriptors, and none of its threads."""
    global _registry  # noqa: PLW0603 - the lock may have been held at the fork
    _registry = threading.Lock()
    for link in _links.values():
        link.forget()
    _links.clear()


os.register_at_fork(after_in_child=_forget_links)
