"""One event in one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from parsl_diaspora.cli.pool_words import POOL_DETAILS
from parsl_diaspora.cli.words import clock_time, count, duration, first_line, joined, plain, times
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
    ManagerEnded,
    ManagerLost,
    ManagerSeen,
    NodeEnding,
    NodeLost,
    NodeRecovered,
    NodeSampled,
    NodeSuspected,
    OrderAnswered,
    PlaceHeld,
    PlaceQuarantined,
    PlaceReleased,
    PlacesLearned,
    RunEnded,
    RunStarted,
    SamplesReduced,
    ServiceDegraded,
    TaskActionAsked,
    TaskCancelAsked,
    TaskEnded,
    TaskHeld,
    TaskProgressed,
    TaskReleased,
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
    WorkerEnded,
    WorkerSampled,
)
from parsl_diaspora.sizes import size_words

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
    return joined((f"avoids {', '.join(event.avoid)}" if event.avoid else "", event.placed))


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


def _learned(event: PlacesLearned) -> str:
    forgotten = f"{event.forget} is forgotten" if event.forget else ""
    lacks = sorted({each.lack for each in event.lessons if each.lack})
    return joined((count(len(event.lessons), "lesson"), *lacks, forgotten))


def _quarantined(event: PlaceQuarantined) -> str:
    return f"for {duration(event.seconds)}: {event.reason}"


def _worker_ended(event: WorkerEnded) -> str:
    memory = "out of memory" if event.out_of_memory else ""
    return joined((f"pid {event.pid}", _exit(event.exit_code), memory, event.stopped))


def _manager_ended(event: ManagerEnded) -> str:
    successor = f"{event.next} takes its place" if event.next else ""
    return joined((_exit(event.exit_code), event.reason, successor))


def _exit(code: int | None) -> str:
    if code is None:
        return ""
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _held(event: PlaceHeld) -> str:
    return joined(("to be drained" if event.drain else "", event.reason, f"by {event.owner}"))


def _task_held(event: TaskHeld) -> str:
    return joined((f"reason {event.number}", event.reason, f"by {event.owner}"))


def _task_released(event: TaskReleased) -> str:
    return joined((event.how, event.reason, f"by {event.owner}" if event.owner else ""))


def _action_asked(event: TaskActionAsked) -> str:
    whose = f"all of {event.func or event.failure_class}" if event.func or event.failure_class else ""
    to = f"to {event.to}" if event.to else ""
    return joined((f"{event.action} {whose}".rstrip(), to, f"by {event.owner}", event.reason))


def _order_answered(event: OrderAnswered) -> str:
    return joined(("done" if event.accepted else "refused", event.why))


def _released(event: PlaceReleased) -> str:
    by = f"by {event.owner}" if event.owner else ""
    return joined((event.reason, by, "on trial" if event.trial else ""))


def _suspected(event: NodeSuspected) -> str:
    return f"silent for {duration(event.seconds)}: {event.reason}"


def _node_lost(event: NodeLost) -> str:
    return f"silent for {duration(event.seconds)}: {' and '.join(event.evidence)}"


def _progressed(event: TaskProgressed) -> str:
    return joined((f"{event.part:.0%}" if event.part is not None else "", first_line(event.note)))


def _node_sampled(event: NodeSampled) -> str:
    gpu = f"accelerators {event.gpu:.0%} busy" if event.gpu is not None else ""
    memory = f"{size_words(event.memory_used)} used, {size_words(event.memory_free)} free"
    return joined((f"{event.cpu:.1f} cores busy", memory, f"disk {size_words(event.disk_free)} free", gpu))


def _worker_sampled(event: WorkerSampled) -> str:
    read, written = size_words(event.read), size_words(event.written)
    moved = f"{read} read, {written} written" if event.read or event.written else ""
    return joined(
        (f"{event.cpu:.1f} cores busy", size_words(event.memory), moved, f"{event.open_files} files open")
    )


def _try_ended(event: TryEnded) -> str:
    seconds = duration(event.seconds) if event.seconds is not None else ""
    cpu = f"{duration(event.cpu)} of a core" if event.cpu else ""
    return joined((seconds, cpu, f"peak {size_words(event.memory)}" if event.memory else ""))


def _fault(event: FaultInjected) -> str:
    return joined((event.fault, f"pid {event.pid}", event.note))


_DETAILS: dict[type[Event], Callable[[Any], str]] = {
    **POOL_DETAILS,
    RunStarted: _run_started,
    RunEnded: _run_ended,
    TaskSubmitted: lambda event: joined((event.func, event.placed)),
    TryLaunched: _launched,
    TryStarted: lambda event: f"pid {event.pid}",
    TaskCancelAsked: lambda event: joined((f"by {event.owner}", event.reason)),
    TaskActionAsked: _action_asked,
    OrderAnswered: _order_answered,
    TaskHeld: _task_held,
    TaskReleased: _task_released,
    TryStopped: _try_stopped,
    TryDeclined: lambda event: times(event.count),
    TryEnded: _try_ended,
    TaskProgressed: _progressed,
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
    WorkerEnded: _worker_ended,
    ManagerEnded: _manager_ended,
    NodeEnding: lambda event: str(event.reason),
    PlaceHeld: _held,
    PlaceReleased: _released,
    PlacesLearned: _learned,
    NodeSuspected: _suspected,
    NodeRecovered: lambda event: f"silent for {duration(event.seconds)}",
    NodeLost: _node_lost,
    NodeSampled: _node_sampled,
    WorkerSampled: _worker_sampled,
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
