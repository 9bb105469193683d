"""What becomes of the records that callers hand over: the thread of a publisher."""

from __future__ import annotations

import atexit
import logging
import threading
from collections import deque
from collections.abc import Callable

from parsl_diaspora.errors import DiasporaError
from parsl_diaspora.events import EventsLost
from parsl_diaspora.fabric.callers import ImmediateSide
from parsl_diaspora.fabric.forks import keep_for_ever
from parsl_diaspora.fabric.kafka.clients import Client, Sender
from parsl_diaspora.fabric.kafka.faults import Fault, Faults, Verdict, cause_of
from parsl_diaspora.fabric.kafka.layout import Record
from parsl_diaspora.fabric.kafka.url import TOPICS, KafkaUrl

logger = logging.getLogger(__name__)

LINGER = 0.005  # seconds in which further events may join a batch
FIRST_CONTACT = 5.0  # seconds that an immediate publisher waits for its connection, when it is made
_POLL = 0.1
_SHORT = 0.005
_ASK = 5.0  # seconds for the question about topics
_PAUSE_FIRST, _PAUSE_LONGEST = 0.1, 2.0


class Delivery(ImmediateSide):
    """The part of a publisher that connects, sends again what failed, and counts what is safe.

    Records go to the client in the callers' threads once it is connected. While it is not, or holds all it
    may, they wait in a queue here.
    """

    _url: KafkaUrl
    _client: Client
    _source: str
    _at_exit: Callable[[], object]
    _sender: Sender | None = None

    def _begin(self, *, closed: bool) -> None:
        keep_for_ever(self._sender)
        self._open(self._source, self._buffer)
        self._sender = None
        self._waiting: deque[Record] = deque()
        self._alone: deque[Record] = deque()  # of batches that were refused
        self._solo = False
        self._handed = self._failed = self._safe_before = (
            0  # of the sender; those that are confirmed before it
        )
        self._topics_due, self._renew, self._over = True, False, False
        self._bell = threading.Event()
        self._in_touch = threading.Event()
        self._end = threading.Event()
        self._faults = Faults(self._url.shown, "events wait in memory, the program goes on")
        self._thread: threading.Thread | None = None
        if closed:
            self._closing.set()

    # --- callers, who hold the lock ---

    def _hand(self, sender: Sender, record: Record) -> bool:
        """Whether the client took the record, or nobody ever will."""
        verdict = sender.hand(record)
        if verdict in ("full", "again", "topics", "new"):
            self._topics_due = self._topics_due or verdict == "topics"
            self._renew = self._renew or verdict == "new"
            return False
        self._settled_bytes += len(record.value)
        if verdict == "lost":
            self._lost(record, "the cluster does not take it")
        else:
            self._handed += 1
        return True

    def _lost(self, record: Record, why: str) -> None:
        kind = dict(record.headers).get("kind", b"").decode()
        self._given_up += 1
        self._losses.unsay([EventsLost(count=1, why=f"an event of kind {kind!r} was refused: {why}")])

    def _start(self) -> None:
        if self._thread is not None or self._end.is_set():
            return
        name = f"diaspora-kafka-{self._stamp.boot[:4]}"
        thread = threading.Thread(target=self._run, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the system has no thread to give; the next event tries again
            logger.warning("Events for %s wait: %s.", self._url.shown, error)
        else:
            self._thread = thread
            atexit.register(self._at_exit)  # a program that ends without a close loses nothing, either

    # --- the thread ---

    def _run(self) -> None:
        try:
            pause = _PAUSE_FIRST
            while not self._end.is_set():
                if not self._connect():
                    self._end.wait(pause)
                    pause = min(2 * pause, _PAUSE_LONGEST)
                    continue
                pause = _PAUSE_FIRST
                self._step()
        except Exception:
            logger.exception("The Kafka publisher's thread ended; %d events wait.", self.report().waiting)
        finally:
            self._stop()

    def _connect(self) -> bool:
        """Make the sender and see to the topics, if need be; whether records can be handed over."""
        if self._sender is not None and not self._topics_due and not self._renew:
            return True
        self._bell.clear()
        try:
            self._renew_sender()
            sender = self._sender or self._client.sender(
                self._url, self._on_failure, self._faults.note, linger=0.0 if self._immediate else LINGER
            )
            self._ensure()
            if self._immediate:
                sender.warm([self._url.topic(name) for name in TOPICS], FIRST_CONTACT)
        except (DiasporaError, OSError) as error:
            self._faults.note(cause_of(error) if isinstance(error, DiasporaError) else Fault(str(error)))
            self._in_touch.set()
            return False
        self._sender = sender
        self._in_touch.set()
        return True

    def _ensure(self) -> None:
        if not self._topics_due:
            return
        cluster = self._client.cluster(self._url)
        try:
            cluster.ensure([self._url.topic(name) for name in TOPICS], _ASK)
        finally:
            cluster.close()
        self._topics_due = False

    def _renew_sender(self) -> None:
        """Let go of a sender that can do nothing more; what it held comes back and waits."""
        if not self._renew:
            return
        with self._lock:
            sender, self._sender = self._sender, None
        if sender is not None:
            sender.purge()
            self._count(sender)
            sender.close()
            with self._lock:
                self._safe_before, self._handed, self._failed = self._safe, 0, 0
        self._renew = False

    def _step(self) -> None:
        sender = self._sender
        assert sender is not None  # noqa: S101 - seen to by `_connect`
        if self._alone:
            self._send_alone(sender)
        else:
            self._drain(sender)
        if not sender.direct and not sender.outstanding() and not self._waiting:
            self._bell.wait(_POLL)
            self._bell.clear()
        sender.poll(_POLL if sender.direct and not self._waiting else _SHORT)
        self._count(sender)

    def _drain(self, sender: Sender) -> None:
        """Hand over what waits, a little at a time: callers want the lock, too."""
        while self._waiting and not self._end.is_set():
            with self._lock:
                for _ in range(min(100, len(self._waiting))):
                    if not self._hand(sender, self._waiting[0]):
                        return
                    self._waiting.popleft()

    def _send_alone(self, sender: Sender) -> None:
        """A batch is refused as a whole: what is wrong with one record shows when each goes by itself."""
        self._solo = True
        while self._alone and self._idle(sender):
            with self._lock:
                if not self._hand(sender, self._alone[0]):
                    return
                self._alone.popleft()
        if not self._alone and self._idle(sender):
            self._solo = False

    def _idle(self, sender: Sender) -> bool:
        """Wait until nothing is on its way; whether that came to be."""
        while sender.outstanding() and not (self._end.is_set() or self._renew or self._topics_due):
            sender.poll(_POLL)
        self._count(sender)
        return not sender.outstanding()

    def _count(self, sender: Sender) -> None:
        """In this order: what is handed over or fails meanwhile counts as not yet safe."""
        handed = self._handed
        outstanding = sender.outstanding()
        safe = self._safe_before + handed - outstanding - self._failed
        with self._settled:
            if safe > self._safe and not self._over:
                self._safe = safe
                self._faults.over()
                self._say_in_time()
            self._settled.notify_all()

    def _on_failure(self, record: Record, verdict: Verdict, why: str) -> None:
        """From within `Sender.poll`, so in the thread."""
        with self._lock:
            self._failed += 1  # also at the end: it must not count as safe
            if self._end.is_set():
                return
            if verdict == "lost" and self._solo:
                self._lost(record, why)
                return
            self._settled_bytes -= len(record.value)
            (self._alone if verdict == "lost" else self._waiting).append(record)
            self._topics_due = self._topics_due or verdict == "topics"
            self._renew = self._renew or verdict == "new"
        if not self._renew and verdict != "lost":
            self._faults.note(Fault(f"an event was not taken ({why}) and is sent again"))

    def _stop(self) -> None:
        if (sender := self._sender) is not None:
            self._count(sender)
            self._give_up()
            sender.purge()
            sender.close()

    def _give_up(self) -> None:
        """Nothing will be sent any more: what is not safe is lost."""
        with self._settled, self._lock:  # in this order, as where losses are said
            self._end.set()
            self._closing.set()
            if not self._over:
                self._over, self._given_up = True, self._accepted - self._safe
            self._settled.notify_all()
