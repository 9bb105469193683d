"""One event in one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from parsl_diaspora.cli.words import clock_time, duration, first_line, joined, plain, times
from parsl_diaspora.events import (
    BlockLost,
    BlockSeen,
    DecisionMade,
    Event,
    EventsCompacted,
    EventsDamaged,
    EventsLost,
    FabricLagged,
    FaultInjected,
    InterchangeEnded,
    InterchangeStarted,
    ManagerLost,
    ManagerSeen,
    NodeLost,
    NodeRecovered,
    NodeSuspected,
    PlaceHeld,
    PlaceQuarantined,
    PlaceReleased,
    RunEnded,
    RunStarted,
    SamplesReduced,
    ServiceDegraded,
    TaskCancelAsked,
    TaskEnded,
    TaskSubmitted,
    TriggerFailed,
    TriggerFired,
    TriggerHeldBack,
    TryDeclined,
    TryEnded,
    TryFailed,
    TryLaunched,
    TryStarted,
    TryStopped,
    Unknown,
)

_KIND_WIDTH = 17


def event_line(event: Event) -> str:
    """Time of day, kind, task and try, place, and what else it says.

    Example:
        >>> event_line(TryStarted(task=3, try_id=0, executor="cpu", pid=7))[13:]
        'task.try_started   task 3 try 0  cpu  pid 7'
    """
    parts = (_task(event), place_path(event), detail(event))
    text = "  ".join(part for part in parts if part)
    return " ".join(
        plain(f"{clock_time(event.time)} {_kind(event):{_KIND_WIDTH}}  {text}").split("\n")
    ).rstrip()


def detail(event: Event) -> str:
    """What an event says beside its task and place."""
    say = _DETAILS.get(type(event))
    return say(event) if say is not None else ""


def _kind(event: Event) -> str:
    return event.said_kind if isinstance(event, Unknown) else event.kind


def _task(event: Event) -> str:
    if event.task is None:
        return ""
    return f"task {event.task}" if event.try_id is None else f"task {event.task} try {event.try_id}"


def place_path(event: Event) -> str:
    """Where, from the largest to the smallest, as far as it is known."""
    names = (event.site, event.executor, event.node, event.block, event.manager)
    place = "/".join(name for name in names if name)
    return place if event.worker is None else f"{place}/{event.worker}"


def _run_started(event: RunStarted) -> str:
    return joined((event.program, f"pid {event.pid}", f"Parsl {event.parsl_version}", f"run {event.run}"))


def _run_ended(event: RunEnded) -> str:
    cancelled = f"{event.cancelled} cancelled" if event.cancelled else ""
    return joined((f"{event.done} done", f"{event.failed} failed", cancelled))


def _try_stopped(event: TryStopped) -> str:
    took = f"after {duration(event.seconds)}" if event.seconds else ""
    return joined((event.how, took, event.reason))


def _launched(event: TryLaunched) -> str:
    return f"avoids {', '.join(event.avoid)}" if event.avoid else ""


def _failed(event: TryFailed) -> str:
    return f"{event.failure.type.rpartition('.')[2]}: {first_line(event.failure.message)}"


def _decided(event: DecisionMade) -> str:
    action = f"{event.action} to {event.target}" if event.target else event.action
    return f"{event.diagnosis.failure_class}: {action} ({event.rule}: {event.reason})"


def _task_ended(event: TaskEnded) -> str:
    return joined((event.outcome, first_line(event.error)))


def _block_lost(event: BlockLost) -> str:
    return joined((event.state, "as asked" if event.expected else "", first_line(event.message)))


def _manager_seen(event: ManagerSeen) -> str:
    return f"{event.workers} workers"


def _manager_lost(event: ManagerLost) -> str:
    return joined((event.reason, f"held {event.held} tasks"))


def _interchange_ended(event: InterchangeEnded) -> str:
    return joined((f"pid {event.pid}", event.reason, f"held {event.held} tasks"))


def _interchange_started(event: InterchangeStarted) -> str:
    return joined((f"pid {event.pid}", f"number {event.number}", f"after {duration(event.seconds)}"))


def _quarantined(event: PlaceQuarantined) -> str:
    return f"for {duration(event.seconds)}: {event.reason}"


def _held(event: PlaceHeld) -> str:
    return joined(("to be drained" if event.drain else "", event.reason, f"by {event.owner}"))


def _released(event: PlaceReleased) -> str:
    return joined((event.reason, f"by {event.owner}" if event.owner else ""))


def _suspected(event: NodeSuspected) -> str:
    return f"silent for {duration(event.seconds)}: {event.reason}"


def _node_lost(event: NodeLost) -> str:
    return f"silent for {duration(event.seconds)}: {' and '.join(event.evidence)}"


def _fault(event: FaultInjected) -> str:
    return joined((event.fault, f"pid {event.pid}", event.note))


_DETAILS: dict[type[Event], Callable[[Any], str]] = {
    RunStarted: _run_started,
    RunEnded: _run_ended,
    TaskSubmitted: lambda event: str(event.func),
    TryLaunched: _launched,
    TryStarted: lambda event: f"pid {event.pid}",
    TaskCancelAsked: lambda event: joined((f"by {event.owner}", event.reason)),
    TryStopped: _try_stopped,
    TryDeclined: lambda event: times(event.count),
    TryEnded: lambda event: duration(event.seconds) if event.seconds is not None else "",
    TryFailed: _failed,
    TaskEnded: _task_ended,
    DecisionMade: _decided,
    ManagerSeen: _manager_seen,
    ManagerLost: _manager_lost,
    InterchangeEnded: _interchange_ended,
    InterchangeStarted: _interchange_started,
    BlockSeen: lambda event: str(event.state),
    BlockLost: _block_lost,
    FaultInjected: _fault,
    PlaceQuarantined: _quarantined,
    PlaceHeld: _held,
    PlaceReleased: _released,
    NodeSuspected: _suspected,
    NodeRecovered: lambda event: f"silent for {duration(event.seconds)}",
    NodeLost: _node_lost,
    EventsCompacted: lambda event: f"{event.dropped} of {event.dropped + event.kept} dropped",
    EventsDamaged: lambda event: f"{event.size} bytes of {event.file} at {event.offset}",
    EventsLost: lambda event: f"{event.count}: {event.why}",
    FabricLagged: lambda event: f"{event.waiting} waiting, {event.seconds:g} s: {event.why}",
    TriggerFired: lambda event: f"{event.trigger}: {event.action}",
    TriggerFailed: lambda event: f"{event.trigger}: {event.action}: {first_line(event.why)}",
    TriggerHeldBack: lambda event: f"{event.trigger}: {event.count} {event.why}",
    SamplesReduced: lambda event: f"{event.count} of {event.of}",
    ServiceDegraded: lambda event: f"{event.part}: {event.why}",
}
