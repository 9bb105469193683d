"""What a report counts, event by event, beside the picture of the run.

No order among sources is needed: what belongs together is matched by task and try.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from parsl_diaspora.cli.words import first_line
from parsl_diaspora.events import (
    BlockLost,
    DecisionMade,
    Event,
    EventsDamaged,
    EventsLost,
    FaultInjected,
    PlaceQuarantined,
    PlaceReleased,
    ServiceDegraded,
    TaskEnded,
    TryDeclined,
    TryFailed,
    TryStarted,
)
from parsl_diaspora.state import Picture

UNDIAGNOSED = "undiagnosed"
_ENDED_BADLY = ("failed", "dependency_failed")

#: Parsl puts the waiting task's own number into the error, which would keep like from like.
_OWN_NUMBER = re.compile(r" for task \d+|Task \d+ (?=never ran)")

#: A try: its task and its number.
Key = tuple[int, int]


class FailedTry(msgspec.Struct, frozen=True, gc=False):
    """What is kept of a failed try.

    Attributes:
        time: when that was known, seconds UTC.
        place: executor and node.
        seconds: on the worker, if the worker lived to tell.
    """

    time: float
    place: str
    seconds: float | None


class Tally:
    """The counts of one run.

    Attributes:
        picture: state of the run.
        tries_failed: each failed try.
        classes: class and layer of each diagnosed try.
        rules: decisions by (rule, action, reason).
        manager_failures: failed tries by manager.
        errors: tasks by (outcome, first line of the error).
        declined: tries that workers handed back.
        blocks_lost: blocks that ended though nobody asked for it.
        faults: faults injected on purpose.
        quarantined: places put in quarantine.
        released: places let out of it.
        degraded: own parts that fell back to stock behaviour.
        lost: events that their speaker could not keep, by why.
        repaired: damaged stretches of the log that a repair took out, as ``file at offset``.
    """

    def __init__(self, run: str) -> None:
        self.picture = Picture(run)
        self.tries_failed: dict[Key, FailedTry] = {}
        self.classes: dict[Key, tuple[str, str]] = {}
        self.rules: Counter[tuple[str, str, str]] = Counter()
        self.manager_failures: Counter[str] = Counter()
        self.errors: dict[tuple[str, str], list[int]] = {}
        self.declined = 0
        self.blocks_lost: list[BlockLost] = []
        self.faults: list[FaultInjected] = []
        self.quarantined: list[PlaceQuarantined] = []
        self.released: list[PlaceReleased] = []
        self.degraded: list[ServiceDegraded] = []
        self.lost: Counter[str] = Counter()
        self.repaired: list[str] = []
        self._starts: dict[Key, float] = {}

    def add(self, event: Event) -> None:
        """Count one event. Those of other runs are passed over."""
        if isinstance(event, EventsLost) and event.run in (
            "",
            self.picture.run,
        ):  # a publisher may serve many
            self.lost[event.why] += event.count
        if isinstance(event, EventsDamaged):
            self.repaired.append(f"{event.file} at {event.offset}")
        if event.run != self.picture.run:
            return
        self.picture.fold(event)
        if (count := _COUNTS.get(type(event))) is not None:
            count(self, event)

    def failure_class(self, key: Key) -> tuple[str, str]:
        """Class and layer of a failed try."""
        return self.classes.get(key, (UNDIAGNOSED, ""))

    def wasted(self, key: Key) -> float:
        """Seconds of a worker's time that a failed try took, up to when its loss was known if it was lost."""
        failed = self.tries_failed[key]
        if failed.seconds is not None:
            return failed.seconds
        return max(0.0, failed.time - self._starts.get(key, failed.time))

    def _try_started(self, event: TryStarted) -> None:
        self._starts[_key(event)] = event.time

    def _try_failed(self, event: TryFailed) -> None:
        place = "/".join(part for part in (event.executor, event.node) if part)
        self.tries_failed[_key(event)] = FailedTry(event.time, place, event.seconds)
        if event.manager:
            self.manager_failures[event.manager] += 1

    def _decided(self, event: DecisionMade) -> None:
        self.rules[event.rule, event.action, event.reason] += 1
        if event.tries:
            self.classes[_key(event)] = (event.diagnosis.failure_class, event.diagnosis.layer)

    def _task_ended(self, event: TaskEnded) -> None:
        if event.outcome in _ENDED_BADLY:
            error = _OWN_NUMBER.sub("", first_line(event.error))
            self.errors.setdefault((event.outcome, error), []).append(event.task or 0)

    def _declined(self, event: TryDeclined) -> None:
        self.declined += 1

    def _block_lost(self, event: BlockLost) -> None:
        if not event.expected:
            self.blocks_lost.append(event)

    def _fault(self, event: FaultInjected) -> None:
        self.faults.append(event)

    def _quarantined(self, event: PlaceQuarantined) -> None:
        self.quarantined.append(event)

    def _released(self, event: PlaceReleased) -> None:
        self.released.append(event)

    def _degraded(self, event: ServiceDegraded) -> None:
        self.degraded.append(event)


def _key(event: Event) -> Key:
    return event.task if event.task is not None else -1, event.try_id or 0


_COUNTS: dict[type[Event], Callable[[Any, Any], None]] = {
    TryStarted: Tally._try_started,
    TryFailed: Tally._try_failed,
    DecisionMade: Tally._decided,
    TaskEnded: Tally._task_ended,
    TryDeclined: Tally._declined,
    BlockLost: Tally._block_lost,
    FaultInjected: Tally._fault,
    PlaceQuarantined: Tally._quarantined,
    PlaceReleased: Tally._released,
    ServiceDegraded: Tally._degraded,
}
