"""Pools of executors in a resilient program: how members are known, and what pools may ask of the run.

All of it happens in Parsl's own threads, or in a pool's: it reads memory, and answers at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from parsl_diaspora.clock import Clock
from parsl_diaspora.events import Event, ManagerLost, TryStarted
from parsl_diaspora.executors.launch import Launch
from parsl_diaspora.executors.pool.executor import PoolExecutor
from parsl_diaspora.executors.pool.wants import wants_of
from parsl_diaspora.executors.pool.work import Attempt, Work
from parsl_diaspora.monitoring.kernel import Record
from parsl_diaspora.recovery.placement import Candidate, Choice

if TYPE_CHECKING:
    from parsl_diaspora.monitoring.session import Session
    from parsl_diaspora.state import Live


class Pools:
    """The pools of one program.

    Example:
        >>> from parsl import ThreadPoolExecutor
        >>> pools = Pools()
        >>> pools.add(PoolExecutor("both", [ThreadPoolExecutor("near"), ThreadPoolExecutor("far")]))
        >>> pools.expanded(["cpu", "both"]), pools.expanded(["near"])
        (['cpu', 'near', 'far'], ['near'])
        >>> pools.peers("near")
        ['near', 'far']
    """

    def __init__(self) -> None:
        self._by_label: dict[str, PoolExecutor] = {}
        self._by_member: dict[str, PoolExecutor] = {}

    def add(self, pool: PoolExecutor) -> None:
        """One more."""
        self._by_label[pool.label] = pool
        self._by_member.update(dict.fromkeys(pool.labels, pool))

    def __iter__(self) -> Any:
        return iter(self._by_label.values())

    def named(self, label: str) -> PoolExecutor | None:
        """The pool of that label."""
        return self._by_label.get(label)

    def with_member(self, label: str) -> PoolExecutor | None:
        """The pool that has a member of that label."""
        return self._by_member.get(label)

    def peers(self, label: str) -> list[str]:
        """Labels of a member and the others of its pool, or of a pool's members; else the label alone."""
        pool = self._by_label.get(label) or self._by_member.get(label)
        return list(pool.labels) if pool is not None else [label]

    def expanded(self, labels: Iterable[str]) -> list[str]:
        """Labels with those of members in place of their pools."""
        found: dict[str, None] = {}
        for label in labels:
            found.update(dict.fromkeys(self.peers(label) if label in self._by_label else [label]))
        return list(found)


class RunAdvice:
    """What a pool is told by the run that it is part of.

    Args:
        session: of the run.
        pool: that asks.
    """

    has_retries = True

    def __init__(self, session: Session, pool: PoolExecutor) -> None:
        self._session = session
        self._pool = pool

    @property
    def clock(self) -> Clock:
        """Of the session."""
        return self._session.clock

    def key(self, func: Any) -> str:
        """Name and hash of a function's code."""
        return self._session.routing.identity(func)

    def candidates(self, work: Work, labels: Sequence[str]) -> list[Candidate]:
        """What the run believes of the members."""
        live = self._session.live
        if live is None or work.task is None:
            return [Candidate(label=label) for label in labels]
        return believed_of_members(self._session, live, self._pool, work, labels)

    def workers(self, label: str) -> int | None:
        """Those of managers that get work."""
        return self._session.live.picture.workers.get(label) if self._session.live is not None else None

    def launch_for(self, work: Work, label: str) -> Launch | None:
        """What Parsl's try told its worker, for a worker of this member."""
        if work.launch is None:
            return None
        same = work.launch.executor == label
        return msgspec.structs.replace(
            work.launch,
            executor=label,
            url=work.launch.url if same else self._session.node_url(label),
            avoid=work.launch.avoid if same else (),
            memory=work.launch.memory if same else 0,
            declined=0,
            plain=False,
        )

    def seconds(self, work: Work, attempt: Attempt) -> float | None:
        """As its worker has told."""
        if work.launch is None:
            return None
        return self._session.tries.seconds_of(work.launch.task, work.launch.try_id, attempt.label)

    def settled(self, work: Work, attempt: Attempt, failure: BaseException | None) -> None:
        """Parsl's record names the member whose copy counts, and what others have told is dropped."""
        if work.task is None or work.launch is None:
            return
        work.task["executor"] = attempt.label
        for each in work.attempts:
            if each is not attempt:
                self._session.tries.report_of(work.launch.task, work.launch.try_id, each.label)

    def stop(self, work: Work, attempt: Attempt, reason: str) -> None:
        """As `parsl_diaspora.cancel` stops a try."""
        if work.launch is not None:
            self._session.cancels.stop_copy(work.launch, attempt, reason)

    def stopped(self, work: Work, attempt: Attempt) -> None:
        """A copy that lost has come to its own end."""
        if work.launch is None or attempt.future is None:
            return
        report = self._session.tries.report_of(work.launch.task, work.launch.try_id, attempt.label)
        self._session.cancels.copy_ended(work.launch, attempt, report)

    def emptied(self, label: str) -> None:
        """The managers of an executor that is replaced are managers no more."""
        live = self._session.live
        if live is None:
            return
        for manager in list(live.picture.present.get(label, ())):
            live.say(ManagerLost(executor=label, manager=manager, reason="its executor is replaced"))

    def say(self, event: Event) -> None:
        """As an event of the run."""
        if self._session.live is not None:
            self._session.live.say(event)

    def absorb(self, part: str, error: BaseException) -> None:
        """Count a fault."""
        self._session.absorb(part, error)

    def hear(self, event: Event) -> None:
        """A worker has begun a copy."""
        if type(event) is not TryStarted or event.executor not in self._pool.seats:
            return
        work = self._pool.dispatch.of_task.get((event.task or 0, event.try_id or 0))
        for attempt in work.attempts if work is not None else ():
            if attempt.label == event.executor and attempt.started is None:
                attempt.started, attempt.manager = self.clock.monotonic(), event.manager


def put_in(session: Session, pool: PoolExecutor, task: Record, labels: Sequence[str]) -> Choice:
    """Where a pool puts a try that Parsl has given it, among these members; nowhere if none takes tasks."""
    work = Work(0, task["func"], task.get("resource_specification") or {}, task["args"], task["kwargs"])
    work.task, work.key = task, session.routing.identity(task["func"])
    work.options = session.policies.of(task["func"]).options
    work.wants = wants_of(work.specification)
    live = session.begin(task["dfk"].run_id)
    believed = believed_of_members(session, live, pool, work, labels)
    return pool.placer.choose(work, believed, pool.advice)


def believed_of_members(
    session: Session, live: Live, pool: PoolExecutor, work: Work, labels: Sequence[str]
) -> list[Candidate]:
    """What the run believes of members; one that has blocks, but no manager that gets work, rests."""
    found: list[Candidate] = []
    for each in session.routing.believed(live, work.task or {}, labels):
        rests = each.rests
        if not (each.has_managers or rests) and pool.seats[each.label].slots:
            rests = "none of its managers gets work now"
        lack = each.lack or work.wants.lacking(session.routing.offers.of(each.label))
        found.append(msgspec.structs.replace(each, rests=rests, lack=lack))
    return found
