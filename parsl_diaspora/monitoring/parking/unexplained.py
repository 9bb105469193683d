"""Evidence that comes after the decision: a report of an OOM kill, of a node's or manager's end.

A loss that nobody can explain yet (a worker or manager is gone, without an exit code) is decided upon at
once, as the fast path never waits; but its next try waits for a short grace time, in which the slow path may
find out more and decide anew.
"""

from __future__ import annotations

import copy
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from parsl_diaspora.events import (
    BlockLost,
    DecisionMade,
    Diagnosis,
    DiagnosisRevised,
    Event,
    ManagerEnded,
    NodeEnding,
    NodeLost,
    NodeShortOfMemory,
    TryFailed,
    WorkerEnded,
)
from parsl_diaspora.executors.watch.endings import worker_died
from parsl_diaspora.failures import describe
from parsl_diaspora.failures.context import NOTHING_KNOWN, Context
from parsl_diaspora.monitoring.errands import Errands
from parsl_diaspora.monitoring.kernel import Record

if TYPE_CHECKING:
    from parsl_diaspora.monitoring.session import Session

#: Classes of losses whose cause may be another one, as long as nobody has told how the process ended.
UNCERTAIN = frozenset({"worker_lost", "manager_lost"})

RECENT = 5.0  # seconds for which evidence is kept that came before the failure that it explains
MOST_RECENT = 256


class LateEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """What has come to light about a failed try.

    Attributes:
        event: id of the event that told it.
        context: what is known now of place and time.
        error: in place of the try's exception, if how its worker ended is known now.
        diagnosis: what the site's own diagnoser says.
    """

    event: str
    context: Context = NOTHING_KNOWN
    error: Exception | None = None
    diagnosis: Diagnosis | None = None

    def failed(self, failed: TryFailed) -> TryFailed:
        """The failure as it is known now."""
        if self.error is None:
            return failed
        known = copy.copy(failed)
        known.failure = describe(self.error, phase="lost", traceback_limit=0)
        known.memory = failed.memory or getattr(self.error, "memory", 0) or None
        return known


class Revision(NamedTuple):
    """Why a failure is decided upon anew.

    Attributes:
        evidence: what has come to light since.
        replaces: the decision before.
    """

    evidence: LateEvidence
    replaces: DecisionMade


Revise = Callable[[LateEvidence], None]


class _Open(NamedTuple):
    """A failure that may be decided upon anew; by any evidence, or only by a diagnosis."""

    failed: TryFailed
    revise: Revise
    is_uncertain: bool


class Unexplained:
    """Losses of one run that may yet be explained.

    Args:
        session: of the run.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._open: dict[int, _Open] = {}
        self._recent: deque[tuple[float, Event]] = deque(maxlen=MOST_RECENT)
        self._errands = Errands(
            "diaspora-late-evidence", lambda error: session.absorb("late evidence", error)
        )

    def expect(self, task: Record, failed: TryFailed, decision: DecisionMade, revise: Revise) -> float:
        """Be ready for evidence about a failed try.

        Args:
            task: Parsl's record.
            failed: the failure.
            decision: upon it.
            revise: is called with the first evidence, in another thread.

        Returns:
            Seconds for which the next try should wait for it; 0 if the cause is certain.
        """
        number, grace = task["id"], self._session.settings.grace
        is_uncertain = bool(grace) and self._is_uncertain(failed, decision)
        if not is_uncertain and self._session.second_opinion is None:
            return 0.0
        with self._lock:
            self._open[number] = _Open(failed, revise, is_uncertain)
        if not is_uncertain:
            return 0.0
        now = self._session.clock.monotonic()
        for when, event in list(self._recent):
            if now - when < RECENT:
                self._meet(number, event)
        return grace

    def _is_uncertain(self, failed: TryFailed, decision: DecisionMade) -> bool:
        failure = failed.failure
        if failure.phase != "lost" or failure.exit_code is not None or failure.out_of_memory:
            return False
        if decision.diagnosis.failure_class not in UNCERTAIN or failure.type.endswith(".NeverStarted"):
            return False
        live = self._session.live
        manager = live.picture.managers.get(failed.manager or "") if live is not None else None
        return manager is None or not manager.ended  # else its supervisor has told why

    def forget(self, task: Record) -> None:
        """A task's next try begins, or it has ended: what comes now is too late."""
        if self._open:
            self._open.pop(task["id"], None)

    def hear(self, event: Event) -> None:
        """Take note of an event of the run, in the thread that met it."""
        if type(event) not in _TELLERS:
            return
        self._recent.append((self._session.clock.monotonic(), event))
        for number in list(self._open):
            self._meet(number, event)

    def _meet(self, number: int, event: Event) -> None:
        known = self._open.get(number)
        if known is None or not _is_about(event, known.failed):
            return
        if not known.is_uncertain and type(event) is not DiagnosisRevised:
            return
        if (evidence := _TELLERS[type(event)](event)) is None:
            return
        with self._lock:
            if self._open.pop(number, None) is None:  # somebody else was first
                return
        self._errands.run(lambda: known.revise(evidence))

    def close(self) -> None:
        """The run ends."""
        self._errands.close()


def _is_about(event: Event, failed: TryFailed) -> bool:
    """Whether an event tells of the place of a failed try."""
    if event.task is not None:
        return (event.task, event.try_id) == (failed.task, failed.try_id)
    if isinstance(event, BlockLost):
        return bool(event.block) and (event.executor, event.block) == (failed.executor, failed.block)
    if isinstance(event, WorkerEnded):
        return event.worker is not None and (event.manager, event.worker) == (failed.manager, failed.worker)
    if event.manager and failed.manager:
        return event.manager == failed.manager
    return bool(event.node) and event.node == failed.node


def _of_worker(event: WorkerEnded | Any) -> LateEvidence | None:
    if event.exit_code is None and not event.out_of_memory:
        return None
    context = Context(out_of_memory=event.out_of_memory, memory_peak=event.memory or None)
    return LateEvidence(event=event.id, context=context, error=worker_died(event))


def _of_memory(event: NodeShortOfMemory | Any) -> LateEvidence | None:
    if not any(count for name, count in event.counts.items() if name.startswith("oom")):
        return None
    return LateEvidence(event=event.id, context=Context(out_of_memory=True, memory_limit=event.limit))


def _of_ending(event: NodeEnding | Any) -> LateEvidence | None:
    return LateEvidence(event=event.id, context=Context(node_ending=event.reason or "it was told to end"))


def _of_manager(event: ManagerEnded | Any) -> LateEvidence | None:
    return LateEvidence(event=event.id, context=Context(manager_ended=event.reason or "ended"))


def _of_node(event: NodeLost | Any) -> LateEvidence | None:
    return LateEvidence(event=event.id, context=Context(node_gone=True, node_silent=event.seconds))


def _of_block(event: BlockLost | Any) -> LateEvidence | None:
    return LateEvidence(event=event.id, context=Context(block_state=event.state))


def _of_diagnosis(event: DiagnosisRevised | Any) -> LateEvidence | None:
    return LateEvidence(event=event.id, diagnosis=event.diagnosis)


_TELLERS: dict[type[Event], Callable[[Any], LateEvidence | None]] = {
    WorkerEnded: _of_worker,
    NodeShortOfMemory: _of_memory,
    NodeEnding: _of_ending,
    ManagerEnded: _of_manager,
    NodeLost: _of_node,
    BlockLost: _of_block,
    DiagnosisRevised: _of_diagnosis,
}
