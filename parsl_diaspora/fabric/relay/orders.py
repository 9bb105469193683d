"""Orders from the submit side to nodes and tasks: kept until someone has taken them, up to a bound."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Mapping
from typing import Any

from parsl_diaspora.errors import FabricError
from parsl_diaspora.fabric.relay.peers import Peer, Peers, To
from parsl_diaspora.fabric.relay.wire import MAX_ORDER, Order, pack

LIFETIME = 300.0
MAX_WAITING = 1000
AGAIN_AFTER = 1.0


class Ticket:
    """What became of one order.

    Attributes:
        order: the order's id.
        to: to whom it goes.
    """

    def __init__(self, order: Order, to: To, deadline: float) -> None:
        self.order = order.order
        self.to = to
        self.packed = pack(order)
        self.deadline = deadline
        self.sent: dict[str, float] = {}
        self._answers: dict[str, str] = {}
        self._changed = threading.Condition()

    def answers(self) -> dict[str, str]:
        """Who has taken it (their sources), and what each had to say against it: usually an empty text."""
        with self._changed:
            return dict(self._answers)

    def wait(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds until someone has taken it; whether someone has."""
        with self._changed:
            return self._changed.wait_for(lambda: self._answers, timeout) != {}

    def answered(self, source: str, problem: str) -> None:
        """A peer has taken it."""
        with self._changed:
            self._answers[source] = problem
            self._changed.notify_all()

    def __repr__(self) -> str:
        return f"Ticket(order={self.order!r}, to={self.to!r}, answers={self.answers()!r})"


class Board:
    """All orders that nobody has taken yet, or that not all whom they are for have taken. Thread-safe."""

    def __init__(self, limit: int = MAX_WAITING) -> None:
        self._limit = limit
        self._tickets: dict[str, Ticket] = {}
        self._lock = threading.Lock()
        self._has_new = False

    def __len__(self) -> int:
        return len(self._tickets)

    @property
    def has_new(self) -> bool:
        """Whether there are orders that `due` has not seen."""
        return self._has_new

    def add(self, to: To, message: Mapping[str, Any], lifetime: float = LIFETIME) -> Ticket:
        """A new order.

        Raises:
            FabricError: too many wait already, or the message is too long or cannot be encoded.
        """
        ticket = _ticket(to, message, time.monotonic() + lifetime)
        with self._lock:
            if len(self._tickets) >= self._limit:
                hint = "Orders wait for peers that are away; give them a shorter lifetime."
                raise FabricError(f"{self._limit} orders wait already at the relay.", hint=hint)
            self._tickets[ticket.order] = ticket
            self._has_new = True
        return ticket

    def due(self, peers: Peers, now: float) -> list[tuple[Peer, Ticket]]:
        """What is to be sent now, and to whom; forgets what is settled or too old."""
        with self._lock:
            tickets = list(self._tickets.values())
            self._has_new = False
        due: list[tuple[Peer, Ticket]] = []
        for ticket in tickets:
            due.extend(self._due(ticket, peers, now))
        return due

    def _due(self, ticket: Ticket, peers: Peers, now: float) -> list[tuple[Peer, Ticket]]:
        answers = ticket.answers()
        open_for = [peer for peer in peers.meant(ticket.to) if peer.hello.source not in answers]
        if now > ticket.deadline or (answers and not open_for):
            with self._lock:
                self._tickets.pop(ticket.order, None)
            return []
        never = float("-inf")
        return [
            (peer, ticket)
            for peer in open_for
            if now - ticket.sent.get(peer.hello.boot, never) >= AGAIN_AFTER
        ]

    def answered(self, order: str, source: str, problem: str) -> None:
        """A peer has taken an order."""
        with self._lock:
            ticket = self._tickets.get(order)
        if ticket is not None:
            ticket.answered(source, problem)


def _ticket(to: To, message: Mapping[str, Any], deadline: float) -> Ticket:
    try:
        ticket = Ticket(Order(secrets.token_hex(8), dict(message)), to, deadline)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        hint = "Numbers, texts, lists and mappings of such."
        raise FabricError(f"An order's message must be plain data: {error}.", hint=hint) from error
    if len(ticket.packed) > MAX_ORDER:
        text = f"An order has {len(ticket.packed)} bytes, more than {MAX_ORDER}."
        raise FabricError(text, hint="Put what is large into a file, and order its path.")
    return ticket
