"""The pool's own thread: bad members are replaced, waiting work is placed, stragglers are hedged."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import InvalidStateError
from typing import Protocol

from parsl_diaspora.events import MemberReplaced, TaskHedged
from parsl_diaspora.executors.errors import NoMember
from parsl_diaspora.executors.pool.dispatch import Dispatch, PoolParts
from parsl_diaspora.executors.pool.hedging import Hedging, Straggler
from parsl_diaspora.executors.pool.member import Member, Surroundings, end
from parsl_diaspora.recovery.placement import Choice

PERIOD = 0.25
WINDOW = 3600.0  # seconds within which replacements of one member are counted
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0  # seconds before a member is replaced; doubled each time


class KeptPool(PoolParts, Protocol):
    """What the keeper needs of its pool."""

    dispatch: Dispatch
    hedging: Hedging
    replacements: int

    def surroundings(self) -> Surroundings:
        """What executors are told before they start."""
        ...


class _Bad:
    """A member that takes no tasks."""

    def __init__(self, since: float, reason: str, wait: float) -> None:
        self.since = since
        self.reason = reason
        self.due = since + wait


class Keeper:
    """Looks after the members and the work of one pool.

    Args:
        pool: already started.
    """

    def __init__(self, pool: KeptPool) -> None:
        self._pool = pool
        self._bad: dict[str, _Bad] = {}
        self._replaced: dict[str, deque[float]] = {label: deque() for label in pool.seats}
        self._given_up: set[str] = set()
        self._replacing: dict[str, threading.Thread] = {}
        self._retired: list[threading.Thread] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"diaspora-pool-{pool.label}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """End; executors that are just being started or ended are waited for.

        Args:
            timeout: seconds for each of them.
        """
        self._stop.set()
        for thread in (self._thread, *self._replacing.values(), *self._retired):
            if thread.is_alive():
                thread.join(timeout)

    def _run(self) -> None:
        while not self._pool.advice.clock.wait(self._stop, PERIOD):
            self.look()

    def look(self) -> None:
        """One round. What fails in one part keeps no other from its turn."""
        for part in (self._look_at_members, self._pool.dispatch.look_at_homeless, self._look_at_stragglers):
            try:
                part()
            except Exception as error:  # noqa: BLE001 - the next look may be better
                if not self._stop.is_set():
                    self._pool.advice.absorb(f"keeper of pool {self._pool.label}", error)

    # --- members ---

    def _look_at_members(self) -> None:
        now = self._pool.advice.clock.monotonic()
        for label, member in self._pool.seats.items():
            member.look(now)
            if not (reason := member.wrong):
                self._bad.pop(label, None)
            elif label not in self._bad:
                self._bad[label] = _Bad(now, reason, self._wait(label))
            elif now >= self._bad[label].due:
                self._replace(label, member, self._bad[label])

    def _wait(self, label: str) -> float:
        return min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** len(self._replaced[label]))

    def _replace(self, label: str, member: Member, bad: _Bad) -> None:
        thread = self._replacing.get(label)
        if (thread is not None and thread.is_alive()) or self._stop.is_set():
            return
        if not self._may_replace(label, member):
            self._give_up(label, bad)
            return
        self._replaced[label].append(self._pool.advice.clock.monotonic())
        thread = threading.Thread(
            target=self._do_replace, args=(label, member, bad), name=f"diaspora-replace-{label}", daemon=True
        )
        self._replacing[label] = thread
        thread.start()

    def _give_up(self, label: str, bad: _Bad) -> None:
        """Say once that a member stays away, for the rest of the hour at least."""
        if label not in self._given_up:
            self._given_up.add(label)
            message = f"Member {label!r} of pool {self._pool.label!r} takes no tasks any more: {bad.reason}."
            hint = "The others do its work. It is tried again when its replacements are an hour old."
            self._pool.advice.absorb(f"member {label}", NoMember(message, pool=self._pool.label, hint=hint))

    def _may_replace(self, label: str, member: Member) -> bool:
        now, replaced = self._pool.advice.clock.monotonic(), self._replaced[label]
        while replaced and now - replaced[0] > WINDOW:
            replaced.popleft()
        return member.replaceable and len(replaced) < self._pool.replacements

    def _do_replace(self, label: str, member: Member, bad: _Bad) -> None:
        """In a thread of its own: starting and ending executors takes its time."""
        try:
            old = member.executor
            fresh, poller = member.fresh(self._pool.surroundings())
            if self._stop.is_set():  # the pool has ended meanwhile, and nobody else would end this one
                end(fresh, poller)
                return
            self._pool.advice.emptied(label)
            end_old = member.seat(fresh, poller)
        except Exception as error:  # noqa: BLE001 - it is tried again, and counts as a replacement
            bad.due = self._pool.advice.clock.monotonic() + self._wait(label)
            self._pool.advice.absorb(f"replacement of {label}", error)
            return
        self._given_up.discard(label)
        self._pool.dispatch.lose(old, NoMember(f"Executor {label!r} was replaced: {bad.reason}."))
        self._pool.advice.say(
            MemberReplaced(
                executor=label,
                pool=self._pool.label,
                number=member.number,
                reason=bad.reason,
                seconds=self._pool.advice.clock.monotonic() - bad.since,
            )
        )
        self._retire(label, end_old)

    def _retire(self, label: str, end_old: object) -> None:
        def work() -> None:
            try:
                end_old()  # type: ignore[operator]
            except Exception as error:  # noqa: BLE001 - it is bad anyway, and a fresh one has its place
                self._pool.advice.absorb(f"end of the old {label}", error)

        thread = threading.Thread(target=work, name=f"diaspora-retire-{label}", daemon=True)
        self._retired.append(thread)
        thread.start()

    # --- stragglers ---

    def _look_at_stragglers(self) -> None:
        advice, works = self._pool.advice, list(self._pool.dispatch.idempotent.values())
        now = advice.clock.monotonic()
        for work in works:
            for attempt in work.live:
                if attempt.started is None and attempt.future is not None and attempt.future.running():
                    attempt.started = now
        for straggler in self._pool.hedging.stragglers(works, now):
            if not self._pool.hedging.may:
                return
            self._hedge(straggler)

    def _hedge(self, straggler: Straggler) -> None:
        work, live = straggler.work, straggler.work.live
        if len(live) != 1:
            return
        (first,) = live
        choice = self._pool.dispatch.choose(work, without={first.label})
        if not choice.label or choice.label == first.label or choice.rule != "free-slots":
            return  # a copy that waits in a queue helps nobody, and keeps others waiting
        work.hedged = True
        self._pool.hedging.hedged += 1
        self._say_hedged(straggler, first.label, choice)
        try:
            self._pool.dispatch.send(work, choice)
        except InvalidStateError:  # it has ended meanwhile
            return

    def _say_hedged(self, straggler: Straggler, first: str, choice: Choice) -> None:
        """Said first: the copy may begin before this thread goes on."""
        launch = straggler.work.launch
        self._pool.advice.say(
            TaskHedged(
                task=launch.task if launch is not None else None,
                try_id=launch.try_id if launch is not None else None,
                executor=first,
                to=choice.label,
                after=straggler.after,
                usual=straggler.usual,
                reason=f"most take {straggler.usual:.1f} s at most; {choice.why}",
            )
        )
