"""The engine: a named consumer of a fabric that does what triggers say."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping

from parsl_diaspora.events import Event
from parsl_diaspora.fabric.protocols import Consumer, Fabric, Start
from parsl_diaspora.fabric.stamp import default_source
from parsl_diaspora.fabric.triggers.handlers import Maker, make_handler
from parsl_diaspora.fabric.triggers.job import why
from parsl_diaspora.fabric.triggers.letters import Letters, Voice
from parsl_diaspora.fabric.triggers.running import Counts, Running
from parsl_diaspora.trigger_settings import Trigger, check_names

logger = logging.getLogger(__name__)

NAME = "triggers"
MOST_UNCOMMITTED = 1_000
IDLE, BUSY = 0.25, 0.05  # seconds that a poll waits for events: with actions under way it looks sooner
COMMIT_EVERY = 1.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_OTHERS_SECONDS = 1.0  # after the last event of a run, for those of other sources
_JOIN = 5.0


class TriggerEngine:
    """Follows a fabric and does the actions of triggers, each at least once, in a thread of its own.

    Its position is committed when all actions for the events before it are done or have become dead
    letters, so that after a kill the same name does again at most what was not committed, and misses
    nothing. A fault of an action never stops it.

    Args:
        fabric: what to follow.
        triggers: what to do about what.
        voice: says what was done; by default a publisher of the same fabric.
        name: of the consumer.
        start: where to begin if that name has never committed.
        makers: further kinds of actions; see `make_handler`.
        accepts: which events count at all.
        absorb: called with a fault of the engine's own.
        is_last: tells the event after which nothing more is to be expected.
        durable: commit positions; False if nobody will come back under that name.
        most_uncommitted: events that may be polled before earlier ones are done with, about; if nothing is
            committed, actions that may be under way.

    Raises:
        PatternError: the pattern of a trigger is none.
        SettingsError: an action cannot be had.
        FabricError: a fabric cannot be opened.

    Example:
        >>> from parsl_diaspora.events import RunEnded
        >>> from parsl_diaspora.fabric import open_fabric
        >>> from parsl_diaspora.trigger_settings import Action
        >>> fabric, seen = open_fabric("memory:"), []
        >>> fabric.publisher("me").publish(RunEnded(done=3))
        >>> act = Action(call=lambda event: seen.append(event["done"]))
        >>> engine = TriggerEngine(fabric, [Trigger(name="t", pattern={"done": [3]}, action=act)])
        >>> engine.start()
        >>> engine.finish()
        True
        >>> seen
        [3]
    """

    def __init__(
        self,
        fabric: Fabric,
        triggers: Iterable[Trigger],
        *,
        voice: Voice | None = None,
        name: str = NAME,
        start: Start = "earliest",
        makers: Mapping[str, Maker] | None = None,
        accepts: Callable[[Event], bool] = lambda event: True,
        absorb: Callable[[str, BaseException], None] | None = None,
        is_last: Callable[[Event], bool] = lambda event: False,
        durable: bool = True,
        most_uncommitted: int = MOST_UNCOMMITTED,
    ) -> None:
        declared = tuple(triggers)
        check_names(declared)
        self._fabric, self._name, self._begin_at = fabric, name, start
        self._accepts, self._is_last, self._absorb = accepts, is_last, absorb or _say_fault()
        self._most, self._durable = most_uncommitted, durable
        self._wake, self._stop, self._ended = threading.Event(), threading.Event(), threading.Event()
        self._running = [
            Running(each, make_handler(each, makers or {}), self._wake.set, time.monotonic)
            for each in declared
        ]
        self._own_voice = fabric.publisher(default_source("triggers")) if voice is None else None
        self._letters = Letters(voice or self._own_voice, declared)  # type: ignore[arg-type]
        self._uncommitted, self._committed_at = 0, 0.0
        self._deadline = float("inf")
        self._seen_last = float("inf")  # when; others may publish for ever
        self._gives_up = self.finished = False
        self._thread = threading.Thread(target=self._run, name=f"diaspora-{name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def finish(self, timeout: float = 30.0, *, gives_up: bool = False) -> bool:
        """Do what is left of the events that are there, then stop.

        Args:
            timeout: seconds for that.
            gives_up: make dead letters of what is still at work then, as nobody will come back for it;
                otherwise the next engine of this name does it again.

        Returns:
            Whether all was done with.
        """
        self._gives_up = gives_up
        self._deadline = time.monotonic() + timeout
        self._stop.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._ended.wait(timeout + _JOIN)
        return self.finished

    def stop(self) -> None:
        """Stop now; the next engine of this name does again what was not done with."""
        self.finish(0.0)

    def counts(self) -> dict[str, Counts]:
        """What each trigger has done so far, by name."""
        return {each.trigger.name: each.counts for each in self._running}

    def wait(self, timeout: float) -> bool:
        """Wait until it has stopped; whether it has."""
        return self._ended.wait(timeout)  # a join that SIGINT interrupts takes the thread for ended

    # --- in the engine's thread ---

    def _run(self) -> None:
        try:
            self._work()
        except Exception as error:  # noqa: BLE001 - the thread's guard: without it nobody would know
            self._absorb("triggers", error)
        finally:
            self._close()
            self._ended.set()

    def _work(self) -> None:
        consumer = self._open()
        if consumer is None:
            return
        try:
            while not self._is_over(consumer):
                self._turn(consumer)
            if self._gives_up:
                self._give_up()
            self._commit(consumer)
        finally:
            consumer.close()

    def _open(self) -> Consumer | None:
        """The consumer, its beginning pinned: 'latest' means now, whenever the process dies."""
        pause = _FIRST_PAUSE
        while True:
            try:
                consumer = self._fabric.consumer(self._name, start=self._begin_at)
                if self._durable:
                    consumer.commit()
            except Exception as error:  # noqa: BLE001 - a fabric that is down may come back
                self._absorb("triggers", error)
            else:
                return consumer
            if self._stop.wait(pause):
                return None
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _is_over(self, consumer: Consumer) -> bool:
        if not self._stop.is_set():
            return False
        if time.monotonic() >= self._deadline:
            return True
        if self._jobs():
            return False
        now = time.monotonic()
        count = self._read(consumer, 0.0)
        self.finished = not self._jobs() and (not count or now > self._seen_last + _OTHERS_SECONDS)
        return self.finished

    def _turn(self, consumer: Consumer) -> None:
        busy = self._look()
        due = time.monotonic() - self._committed_at >= COMMIT_EVERY
        if due or (self._load() >= self._most and not busy):
            self._commit(consumer)
        if self._load() >= self._most:
            self._wake.wait(IDLE)
            self._wake.clear()
        else:
            self._read(consumer, BUSY if busy else IDLE)

    def _load(self) -> int:
        """What is held against the limit: events that a kill would do again, or else actions under way."""
        return self._uncommitted if self._durable else sum(len(running.jobs) for running in self._running)

    def _read(self, consumer: Consumer, timeout: float) -> int:
        limit = max(1, self._most - self._load())
        try:
            events = consumer.poll(timeout, limit)
        except Exception as error:  # noqa: BLE001 - a fabric that cannot be read now may be read later
            self._absorb("triggers", error)
            self._stop.wait(_FIRST_PAUSE)
            return 1 if self._stop.is_set() and time.monotonic() < self._deadline else 0
        self._uncommitted += len(events)
        now = time.monotonic()
        for event in events:
            if self._accepts(event):
                self._take(event, now)
                if self._is_last(event):
                    self._seen_last = now
        self._look()
        return len(events)

    def _take(self, event: Event, now: float) -> None:
        for running in self._running:
            try:
                running.take(event, now)
            except Exception as error:  # noqa: BLE001 - one odd event must not cost the others
                self._absorb(f"trigger {running.trigger.name}", error)

    def _look(self) -> bool:
        now = time.monotonic()
        for running in self._running:
            self._letters.say(running.look(now))
        return self._jobs()

    def _jobs(self) -> bool:
        return any(running.jobs for running in self._running)

    def _give_up(self) -> None:
        for running in self._running:
            reason = "The run ended before the action was done."
            self._letters.say([running.give_up(job, reason) for job in list(running.jobs)])

    def _commit(self, consumer: Consumer) -> None:
        """Commit what was polled, if all of it is done with and what is to be said of it is safe."""
        self._committed_at = time.monotonic()
        for running in self._running:
            self._letters.say(running.held_back())
        if not self._durable or not self._uncommitted or self._jobs():
            return
        try:
            if self._letters.are_safe(_JOIN if self._stop.is_set() else IDLE):
                consumer.commit()
                self._uncommitted = 0
        except Exception as error:  # noqa: BLE001 - it is committed later, or done again
            self._absorb("triggers", error)

    def _close(self) -> None:
        for running in self._running:
            running.close()
        self._letters.close()
        if self._own_voice is not None:
            self._own_voice.close()


def _say_fault() -> Callable[[str, BaseException], None]:
    said: set[str] = set()

    def say(part: str, error: BaseException) -> None:
        if part not in said:
            said.add(part)
            logger.warning("parsl_diaspora: %s met a fault: %s", part, why(error), exc_info=error)

    return say
