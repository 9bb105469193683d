"""What the hub does with each message. Belongs to the hub's thread."""

from __future__ import annotations

import logging
import time

import msgspec
import zmq

from parsl_diaspora.fabric.relay.orders import Board
from parsl_diaspora.fabric.relay.peers import GREETING, Peers
from parsl_diaspora.fabric.relay.seen import Seen, Verdict
from parsl_diaspora.fabric.relay.store import Store
from parsl_diaspora.fabric.relay.wire import (
    FORWARDED,
    Ack,
    Batch,
    Done,
    Hello,
    pack,
    unpack_at_hub,
    whole_frame,
)

logger = logging.getLogger(__name__)

GROUP_BYTES = 1024 * 1024  # of frames that are stored with one write
ORDERS_EVERY = 0.5  # seconds between looks for those that nobody has answered
_ENVELOPE = 2  # parts of every message: the connection, and what it is


class _Group:
    """Batches that are stored with one write, and then acknowledged."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.size = 0
        self.taken: dict[str, int] = {}
        self.askers: dict[str, bytes] = {}

    def add(self, frame: bytes) -> None:
        self.frames.append(frame)
        self.size += len(frame)


class Desk:
    """Stores batches in groups and acknowledges them; hands out orders.

    Args:
        socket: the hub's ROUTER.
        store: where batches go.
        board: the orders.
    """

    def __init__(self, socket: zmq.Socket[bytes], store: Store, board: Board) -> None:
        self._socket = socket
        self._store = store
        self._board = board
        self._seen = Seen(store.last_events())
        self._peers = Peers()
        self._orders_due, self._held_back = float("-inf"), False
        self._roll_call_due = float("-inf")
        self._odd = 0

    def take(self) -> bool:
        """Take what has arrived, up to a group; whether there was anything."""
        group = _Group()
        count = 0
        while group.size < GROUP_BYTES and (parts := self._receive()) is not None:
            count += 1
            if not self._handle(parts, group):
                self._note_odd()
        self._store_and_acknowledge(group)
        return count > 0

    def give_orders(self, now: float) -> None:
        """Send the orders that are due."""
        if now >= self._roll_call_due:
            self._roll_call_due = now + GREETING
            self._peers.forget_silent(now)
        if not len(self._board) or not (self._board.has_new or now >= self._orders_due):
            return
        self._orders_due, self._held_back = now + ORDERS_EVERY, False
        for peer, ticket in self._board.due(self._peers, now):
            sent = self._send(peer.identity, ticket.packed)
            if sent is None:
                self._peers.forget(peer)
            elif sent:
                ticket.sent[peer.hello.boot] = now
            else:
                self._held_back = True

    def close(self) -> None:
        """Let go of the store."""
        self._store.close()

    def _receive(self) -> list[bytes] | None:
        """The next message, if there is one. To ask costs a third of what a refusal to receive does."""
        if not int(self._socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            return None
        try:
            return self._socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return None

    def _handle(self, parts: list[bytes], group: _Group) -> bool:
        """Whether it was a message that a client may send."""
        if len(parts) < _ENVELOPE:
            return False
        try:
            said = unpack_at_hub(parts[1])
        except msgspec.MsgspecError:
            return False
        if isinstance(said, Batch):
            return len(parts) > _ENVELOPE and self._take_batch(parts[0], said, parts[2], group)
        self._hear(parts[0], said)
        return True

    def _hear(self, identity: bytes, said: Hello | Done) -> None:
        if isinstance(said, Hello):
            if self._peers.note(identity, said, time.monotonic()):
                self._orders_due = float("-inf")
        elif (peer := self._peers.by_identity(identity)) is not None:
            self._board.answered(said.order, peer.hello.source, said.problem)
            if self._held_back:
                self._orders_due = float("-inf")

    def _take_batch(self, identity: bytes, batch: Batch, part: bytes, group: _Group) -> bool:
        frame = whole_frame(part)
        if frame is None or not frame.count:
            return False
        last_event = 0 if frame.first == FORWARDED else frame.first + frame.count - 1
        verdict = self._seen.judge(batch, last_event, group.taken)
        group.askers[batch.boot] = identity
        if verdict is Verdict.EARLY:
            return True
        if verdict is Verdict.STORE:
            group.add(part)
        group.taken[batch.boot] = max(batch.number, group.taken.get(batch.boot, 0))
        return True

    def _store_and_acknowledge(self, group: _Group) -> None:
        if group.frames and not self._store.append(group.frames):
            return
        self._seen.keep({boot: max(number, self._seen.last(boot)) for boot, number in group.taken.items()})
        for boot, identity in group.askers.items():
            self._send(identity, pack(Ack(boot, self._seen.last(boot))))

    def _send(self, identity: bytes, message: bytes) -> bool | None:
        """Whether the peer's queue took it; None if the peer is gone."""
        try:
            self._socket.send(identity, zmq.NOBLOCK | zmq.SNDMORE)
            self._socket.send(message, zmq.NOBLOCK)
        except zmq.Again:
            return False  # it is slow: acknowledgements add up, and orders wait
        except zmq.ZMQError:
            return None
        return True

    def _note_odd(self) -> None:
        self._odd += 1
        if self._odd == 1:
            logger.warning("The relay got a message that no client of this release sends; such are ignored.")
