"""One trigger at work: what it takes, and what has become of it."""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from parsl_diaspora.events import Event, TriggerFailed, TriggerFired, TriggerHeldBack
from parsl_diaspora.fabric.triggers.handlers import Handler
from parsl_diaspora.fabric.triggers.job import Job, Lane, is_final, why
from parsl_diaspora.fabric.triggers.limits import Recent, values_at
from parsl_diaspora.fabric.triggers.pattern import Pattern
from parsl_diaspora.fabric.triggers.tree import plain
from parsl_diaspora.throttle import Throttle
from parsl_diaspora.trigger_settings import Trigger

logger = logging.getLogger(__name__)

MOST_STUCK = 8
_OURS = (TriggerFired, TriggerHeldBack)


class Counts(msgspec.Struct):
    """What a trigger has done.

    Attributes:
        matched: events that fit its pattern.
        fired: actions done.
        failed: actions given up, each told of by a `TriggerFailed`.
        retried: tries after the first of an action.
        throttled: events over ``at_most``.
        repeated: events like another, by ``unique_by``.
        duplicates: events that came again.
        own: events that its own actions had led to.
    """

    matched: int = 0
    fired: int = 0
    failed: int = 0
    retried: int = 0
    throttled: int = 0
    repeated: int = 0
    duplicates: int = 0
    own: int = 0


class Running:
    """One trigger at work. Used by the engine's thread only.

    Args:
        trigger: as declared.
        handler: does its action.
        wake: called when a try has ended, in any thread.
        clock: tells the monotonic time.

    Raises:
        PatternError: its pattern is none.

    Attributes:
        counts: what it has done.
        jobs: what it is at.
    """

    def __init__(
        self,
        trigger: Trigger,
        handler: Handler,
        wake: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.trigger, self.handler = trigger, handler
        self.matches = Pattern(trigger.pattern).matches
        self.counts = Counts()
        self.jobs: list[Job] = []
        self._wake, self._clock = wake, clock
        self._throttle = Throttle(trigger.at_most, trigger.per)
        self._ids, self._like = Recent(), Recent(trigger.unique_for)
        self._lane = Lane(f"diaspora-trigger-{trigger.name}")
        self._held_back: dict[str, tuple[int, str]] = {}
        self._stuck: list[Job] = []

    def take(self, event: Event, now: float) -> None:
        """Begin the action if the event fits the pattern, and nothing speaks against it."""
        if not self.matches(event) or isinstance(event, _OURS):
            return
        self.counts.matched += 1
        if self._is_own(event):
            self.counts.own += 1
        elif event.boot and not self._ids.is_new((event.boot, event.seq), now):
            self.counts.duplicates += 1
        elif self.trigger.unique_by and not self._like.is_new(self._key(event), now):
            self.counts.repeated += 1
            self._hold_back("repeated", event)
        elif not self._throttle.allows(now):
            self.counts.throttled += 1
            self._hold_back("throttled", event)
        else:
            self.jobs.append(Job(self.handler, event, now, self._wake, self._clock))

    def look(self, now: float) -> list[Event]:
        """Begin what is due, and end what has ended; what is to be said of it."""
        said: list[Event] = []
        for job in list(self.jobs):
            ended, error = job.answer()
            if ended and error is None:
                said.append(self._fired(job, now))
            elif error is not None and not self._tries_again(job, error, now):
                said.append(self.give_up(job, why(error)))
            elif not ended and job.began is not None and now - job.began > self.trigger.timeout:
                said.append(self._late(job))
            elif not job.queued and now >= job.due:
                said.extend(self._begin(job))
        return said

    def held_back(self) -> list[Event]:
        """What is to be said of events for which nothing was done."""
        held, self._held_back = self._held_back, {}
        return [
            TriggerHeldBack(trigger=self.trigger.name, count=count, why=reason, cause=(last,))
            for reason, (count, last) in held.items()
        ]

    def give_up(self, job: Job, reason: str) -> TriggerFailed:
        """End an action undone; the dead letter that tells of it."""
        self.jobs.remove(job)
        self.counts.failed += 1
        return TriggerFailed(
            trigger=self.trigger.name,
            action=str(self.trigger.action),
            event_kind=job.event.kind,
            tries=job.tries,
            why=reason,
            event=plain(job.event),
            run=job.event.run,
            cause=(job.event.id,),
        )

    def close(self) -> None:
        """End its thread and let go of what its action holds."""
        self._lane.close(self._close_handler)

    def _close_handler(self) -> None:
        try:
            self.handler.close()
        except Exception as error:  # noqa: BLE001 - what is closed has no work left that could be lost
            logger.warning("parsl_diaspora: closing %s failed: %s", self.trigger.action, why(error))

    def _is_own(self, event: Event) -> bool:
        """What would go round in circles: a dead letter about a dead letter, or about this very trigger."""
        if isinstance(event, TriggerFailed):
            return event.trigger == self.trigger.name or event.event_kind.startswith("trigger.")
        return self.handler.caused(event)

    def _key(self, event: Event) -> tuple[str, ...]:
        return values_at(plain(event), self.trigger.unique_by)

    def _hold_back(self, reason: str, event: Event) -> None:
        count, _ = self._held_back.get(reason, (0, ""))
        self._held_back[reason] = (count + 1, event.id)

    def _fired(self, job: Job, now: float) -> TriggerFired:
        self.jobs.remove(job)
        self.counts.fired += 1
        return TriggerFired(
            trigger=self.trigger.name,
            action=str(self.trigger.action),
            event_kind=job.event.kind,
            tries=job.tries,
            seconds=now - job.arrived,
            run=job.event.run,
            cause=(job.event.id,),
        )

    def _tries_again(self, job: Job, error: BaseException, now: float) -> bool:
        if is_final(error) or job.tries > self.trigger.retries:
            return False
        delay = min(self.trigger.retry_delay * 2.0 ** min(job.tries - 1, 60), self.trigger.retry_delay_max)
        job.due = now + delay
        self.counts.retried += 1
        return True

    def _begin(self, job: Job) -> list[Event]:
        self._stuck = [stuck for stuck in self._stuck if stuck.in_call]
        if len(self._stuck) >= MOST_STUCK:
            return [self.give_up(job, f"{MOST_STUCK} earlier calls of it are stuck.")]
        job.queued = True
        self._lane.put(job.attempt)
        return []

    def _late(self, job: Job) -> TriggerFailed:
        """A try that takes too long may end later: nobody waits for it, and none is begun beside it."""
        if job.in_call:
            self._stuck.append(job)
            self._lane.renew()
        return self.give_up(job, f"It took longer than {self.trigger.timeout:g} s, and may still be at work.")
