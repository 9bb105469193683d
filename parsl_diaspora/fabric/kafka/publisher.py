"""From the callers to the client: events wait here until the cluster has acknowledged them."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections import deque

from parsl_diaspora.errors import DiasporaError, EventError
from parsl_diaspora.events import Event, EventsLost
from parsl_diaspora.fabric.callers import CallersSide
from parsl_diaspora.fabric.file.fork import renew_after_fork
from parsl_diaspora.fabric.kafka.clients import Client, Sender
from parsl_diaspora.fabric.kafka.faults import Fault, Faults, Verdict, cause_of
from parsl_diaspora.fabric.kafka.immortal import keep_for_ever
from parsl_diaspora.fabric.kafka.layout import Record, record_of
from parsl_diaspora.fabric.kafka.url import TOPICS, KafkaUrl
from parsl_diaspora.fabric.protocols import FlushReport

logger = logging.getLogger(__name__)

MAX_VALUE = 900_000  # bytes of one event: with its key and headers it is within what servers take by default
LINGER = 0.005  # seconds in which further events may join a batch
HAND_OVER = 0.05  # seconds that an immediate publish waits for the cluster
FIRST_HAND_OVER = 0.5  # the same for the first one, for which there may be further servers to connect to
FIRST_CONTACT = 2.0  # seconds that an immediate publisher waits for its connection, when it is made
_POLL = 0.1  # seconds
_ASK = 5.0  # seconds for the question about topics
_PAUSE_FIRST, _PAUSE_LONGEST = 0.1, 2.0
_GRACE = 0.5  # seconds beyond close's timeout for the thread to give up what waits


class KafkaPublisher(CallersSide):
    """Encodes in the caller and hands over to the client there; a thread of ours hears what became of it.

    Until the client is connected, or while it holds all that it may, events wait in a queue of ours. An event is
    safe when the cluster has acknowledged it. A forked child gets a life, a thread and a client of its own.

    Args:
        url: of the fabric.
        client: makes senders.
        source: who speaks.
        buffer: events that may wait.
        immediate: wait a little in `publish` for the cluster, unless it was found to be away.
    """

    def __init__(self, url: KafkaUrl, client: Client, source: str, buffer: int, immediate: bool) -> None:
        self._url = url
        self._client = client
        self._source = source
        self._buffer = buffer
        self._immediate = immediate
        self._sender: Sender | None = None
        self._at_exit = self.close  # one object, to be found again: each look at a method makes a new one
        self.begin_life()
        renew_after_fork(self)
        if immediate:
            self._start()
            self._met.wait(FIRST_CONTACT)

    def begin_life(self, *, closed: bool = False) -> None:
        """Start with a boot, a client and counters of its own: at first, and in a forked child."""
        keep_for_ever(self._sender)
        self._open(self._source, self._buffer)
        self._sender = None
        self._waiting: deque[Record] = deque()
        self._alone: deque[Record] = deque()  # of batches that were refused
        self._solo = False
        self._handed = self._failed = self._safe_before = 0  # of the sender; those that are confirmed before it
        self._topics_due, self._renew, self._over = True, False, False
        self._settled = threading.Condition()
        self._said_at = 0
        self._bell = threading.Event()
        self._met = threading.Event()
        self._end = threading.Event()
        self._faults = Faults(self._url.shown, "events wait in memory, the program goes on")
        self._patience = FIRST_HAND_OVER if self._immediate else 0.0
        self._thread: threading.Thread | None = None
        if closed:
            self._closing.set()

    @property
    def source(self) -> str:
        """Who speaks."""
        return self._source

    @property
    def closed(self) -> bool:
        """Whether nothing is taken any more."""
        return self._closing.is_set()

    def publish(self, event: Event) -> None:
        """Stamp, encode and hand over the event; in immediate mode also wait a little for the cluster."""
        super().publish(event)
        if self._immediate:
            self._hand_over()

    def forward(self, event: Event) -> None:
        """Hand over an event that another source has stamped."""
        super().forward(event)
        if self._immediate:
            self._hand_over()

    def flush(self, timeout: float = 5.0) -> FlushReport:
        """Wait until the cluster has acknowledged the events published so far."""
        self._wait(timeout)
        return self.report()

    def close(self, timeout: float = 2.0) -> FlushReport:
        """Flush and stop; what the cluster does not acknowledge in time is counted as lost."""
        deadline = time.monotonic() + timeout
        if not self._closing.is_set():
            self._wait(timeout)
            with self._lock:
                self._say_losses()
                self._closing.set()
            self._wait(deadline - time.monotonic())
            self._end.set()
            self._bell.set()
            if self._thread is not None:
                self._thread.join(max(0.0, deadline - time.monotonic()) + _GRACE)
                atexit.unregister(self._at_exit)
            self._give_up()
        return self.report()

    # --- callers, who hold the lock ---

    def _encoded(self, event: Event) -> Record:
        record = record_of(event, self._url.prefix, f"{self._stamp.boot}-{self._accepted + 1}")
        if len(record.value) > MAX_VALUE:
            size = len(record.value)
            raise EventError(f"An event of kind {event.kind!r} has {size} bytes, more than {MAX_VALUE}.")
        return record

    def _put(self, record: Record) -> None:
        self._accepted += 1
        self._accepted_bytes += len(record.value)
        sender = self._sender
        waits = self._waiting or self._alone or self._solo
        if sender is None or waits or not sender.direct or not self._hand(sender, record):
            self._waiting.append(record)
            self._bell.set()
            self._start()

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

    # --- callers, who wait ---

    def _wait(self, timeout: float) -> bool:
        """Wait until all that was put in so far has met its end; whether it has."""
        target = self._accepted
        with self._settled:
            return self._settled.wait_for(
                lambda: self._safe + self._given_up >= max(target, self._said_at), max(0.0, timeout)
            )

    def _hand_over(self) -> None:
        """Whoever found the cluster away waits again only when it has taken all that there was."""
        if self.closed:
            return
        if not self._patience and self._accepted - self._safe - self._given_up <= 1:
            self._patience = HAND_OVER
        if self._patience:
            self._patience = HAND_OVER if self._wait(self._patience) else 0.0

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
            self._met.set()
            return False
        self._sender = sender
        self._met.set()
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
        sender.poll(_POLL if not self._waiting else 0.01)
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

    def _say_in_time(self) -> None:
        """Say losses before whoever waits is woken, so that a flush waits for what is said of them, too."""
        if self._losses:
            with self._lock:
                if not self._closing.is_set():
                    self._say_losses()
                    self._said_at = self._accepted

    def _on_failure(self, record: Record, verdict: Verdict, why: str) -> None:
        """From within `Sender.poll`, so in the thread."""
        if self._end.is_set():
            return
        with self._lock:
            self._failed += 1
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
        with self._lock, self._settled:
            self._end.set()
            self._closing.set()
            if not self._over:
                self._over, self._given_up = True, self._accepted - self._safe
            self._settled.notify_all()
