"""The thread of a publisher: sends what waits, again and again until the hub says that it is safe."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import msgspec

from parsl_diaspora.events import ServiceDegraded
from parsl_diaspora.fabric.relay.detour import AWAY_AFTER, Detour
from parsl_diaspora.fabric.relay.inbox import Inbox, OnOrder
from parsl_diaspora.fabric.relay.intake import Forwarded, Intake
from parsl_diaspora.fabric.relay.keys import ClientKeys
from parsl_diaspora.fabric.relay.link import Change, Link
from parsl_diaspora.fabric.relay.peers import GREETING
from parsl_diaspora.fabric.relay.wake import Wake
from parsl_diaspora.fabric.relay.window import Packed, Window
from parsl_diaspora.fabric.relay.wire import FORWARDED, Ack, Batch, Hello, pack, unpack_at_client

logger = logging.getLogger(__name__)

SEND_AGAIN_FIRST, SEND_AGAIN_LONGEST = 1.0, 4.0
SAY_AFTER = 5.0

#: Seconds without a connection after which a new one is begun: ZeroMQ does not try again after a handshake
#: that was spoiled on its way, which it takes for a refusal, or says nothing of. The second is longer than a
#: slow handshake.
AFTER_REFUSAL, AFTER_SILENCE = 2.0, 6.0

_GRACE = 0.3  # seconds beyond the deadline for the thread to give up what waits


class Courier:
    """The thread of one life of a publisher, with its connection and its window.

    Args:
        address: of the hub.
        keys: the client's.
        intake: what is to be sent.
        on_order: takes orders.
        place: where the speaker is.
        detour: where events go while the hub takes none; None to let them wait.

    Attributes:
        wake: to be rung when there is something to do.
    """

    def __init__(
        self,
        address: str,
        keys: ClientKeys,
        intake: Intake,
        on_order: OnOrder | None,
        place: dict[str, Any],
        *,
        detour: Detour | None = None,
    ) -> None:
        self.wake = Wake()
        self._address = address
        self._keys = keys
        self._intake = intake
        intake.ring = self.wake.ring
        self._window = Window()
        self._inbox = Inbox(on_order, self.wake.ring)
        self._run_id = str(place.get("run", ""))
        self._detour = detour
        stamp = intake.stamp
        self._hello = pack(Hello(stamp.boot, stamp.source, place, on_order is not None))
        self._own = 0  # number of the last own event that was packed
        self._deadline = float("inf")
        self._greeting_due = float("-inf")
        self._waiting_since = self._heard = time.monotonic()
        self._send_again = SEND_AGAIN_FIRST
        self._connect_again = time.monotonic() + AFTER_SILENCE
        self._said = False
        name = f"diaspora-relay-{stamp.boot[:4]}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self, deadline: float) -> None:
        """Send what waits until ``deadline``, then end."""
        self._deadline = deadline
        self.wake.ring()
        self._thread.join(max(0.0, deadline - time.monotonic()) + _GRACE)

    def _run(self) -> None:
        try:
            link = Link(self._address, self._keys, self.wake.fd)
            try:
                while not self._is_over():
                    self._turn(link)
            finally:
                link.close()
                self._end_detour()
        except Exception:
            logger.exception("The thread that sends events to the relay ended; they are lost from now on.")
        finally:
            self._inbox.close()
            self._intake.closing.set()
            self._intake.give_up()
            self.wake.close()

    def _is_over(self) -> bool:
        if not self._intake.closing.is_set():
            return False
        return self._is_done() or time.monotonic() >= self._deadline

    def _is_done(self) -> bool:
        return self._intake.is_empty() and not len(self._window)

    def _turn(self, link: Link) -> None:
        """Send what can be sent, wait, and take in what came."""
        now = time.monotonic()
        self._pack()
        if self._detour is not None and self._detour.is_on:
            self._go_around(self._detour, now)
        self._greet(link, now)
        unsent = self._answer(link)
        self._send(link, now)
        self.wake.sleeps(asleep=True)
        is_idle = self._window.is_full or self._intake.is_empty()
        is_idle = is_idle and len(self._inbox.answers) <= unsent  # nothing came since it was looked for
        if link.wait(self._pause(link, now) if is_idle else 0.0):
            self.wake.clear()
        self.wake.sleeps(asleep=False)
        self._take_changes(link)
        for message in link.messages():
            self._take(message)
        self._check(link)

    def _pause(self, link: Link, now: float) -> float:
        """Seconds until something has to be done even if nothing comes."""
        until = min(self._greeting_due, self._deadline)
        if self._window.awaits and link.is_up:
            until = min(until, self._heard + self._send_again)
        if self._detour is not None and len(self._window):
            until = min(until, self._detour.due(self._waiting_since))
        return max(0.0, min(until - now, 1.0))

    def _pack(self) -> None:
        while not self._window.is_full and (encoded := self._intake.take()):
            if isinstance(encoded[0], Forwarded):
                self._window.add(encoded, FORWARDED)
            else:
                self._window.add(encoded, self._own + 1)
                self._own += len(encoded)

    def _greet(self, link: Link, now: float) -> None:
        if now >= self._greeting_due:
            link.send(self._hello)
            self._greeting_due = now + GREETING

    def _answer(self, link: Link) -> int:
        """Send answers to orders; how many the connection does not take now."""
        answers = self._inbox.answers
        while (left := len(answers)) and link.send(pack(answers[0])):
            answers.popleft()
        return left

    def _send(self, link: Link, now: float) -> None:
        if not self._window.awaits:
            self._heard = now
        base = self._window.base
        while (batch := self._window.next_to_send()) is not None:
            head = pack(Batch(self._intake.stamp.boot, batch.number, base))
            if not link.send(head, batch.frame):
                self._window.take_back()
                return

    def _take_changes(self, link: Link) -> None:
        for change in link.changes():
            if change is Change.UP:
                self._leave_detour()
                self._greeting_due = float("-inf")
                self._connect_again = float("inf")
                self._heard = time.monotonic()
                self._window.rewind()
                continue
            patience = AFTER_REFUSAL if change is Change.REFUSED else AFTER_SILENCE
            self._connect_again = min(self._connect_again, time.monotonic() + patience)
            if change is Change.REFUSED:
                self._say("it refuses this run's key, or is another hub")

    def _take(self, message: bytes) -> None:
        try:
            said = unpack_at_client(message)
        except msgspec.MsgspecError:
            logger.warning("The relay said something that is not understood.")
            return
        if not isinstance(said, Ack):
            self._inbox.take(said)
        elif said.boot == self._intake.stamp.boot:
            self._leave_detour()
            self._settle(self._window.acknowledge(said.number))

    def _settle(self, safe: list[Packed]) -> None:
        if not safe:
            return
        self._intake.settle(sum(b.count for b in safe), sum(b.size for b in safe), safe=True)
        self._heard = self._waiting_since = time.monotonic()
        self._send_again, self._said = SEND_AGAIN_FIRST, False

    def _check(self, link: Link) -> None:
        """Begin anew when the hub is silent: it may be gone without a word, or frozen."""
        now = time.monotonic()
        if not len(self._window):
            self._waiting_since = now
        elif now - self._waiting_since > SAY_AFTER:
            self._say("it does not answer")
        if self._detour is not None:
            self._choose_way(self._detour, link, now)
        if now >= self._connect_again:
            self._connect_again = now + AFTER_SILENCE
            link.reset()
        if link.is_up and self._window.awaits and now - self._heard >= self._send_again:
            link.reset()
            self._window.rewind()
            self._heard = now
            self._send_again = min(2 * self._send_again, SEND_AGAIN_LONGEST)

    def _say(self, why: str) -> None:
        if not self._said:
            self._said = True
            logger.warning("The relay at %s takes no events (%s); they wait in memory.", self._address, why)

    # --- around a hub that takes nothing ---

    def _choose_way(self, detour: Detour, link: Link, now: float) -> None:
        """Go around a hub that has been silent for long; try it again now and then."""
        if detour.is_on:
            if link.is_up and now >= detour.hub_again:
                self._leave_detour()
        elif len(self._window) and now - self._waiting_since >= AWAY_AFTER:
            detour.enter(now)

    def _leave_detour(self) -> None:
        if self._detour is not None and self._detour.is_on:
            self._detour.is_on = False
            self._waiting_since = time.monotonic()

    def _go_around(self, detour: Detour, now: float) -> None:
        """Bring what the hub does not take to safety elsewhere."""
        while len(self._window) and detour.take(self._window.oldest.frame, now):
            safe = self._window.acknowledge(self._window.base)
            self._intake.settle(sum(b.count for b in safe), sum(b.size for b in safe), safe=True)
            self._waiting_since = now
            self._pack()
        if detour.is_news():
            why = f"the hub at {self._address} does not answer; events go to {detour.url}"
            logger.warning("The relay is not used: %s.", why)
            if not self._intake.closing.is_set():
                self._intake.publish(ServiceDegraded(run=self._run_id, part="relay", why=why))

    def _end_detour(self) -> None:
        """At the end, what the hub has not taken goes around."""
        if self._detour is not None:
            self._pack()
            self._go_around(self._detour, time.monotonic())
            self._detour.close()
