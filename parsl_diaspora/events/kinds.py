"""The kinds of events, past tense, grouped by what they are about.

A kind that changes its meaning gets a new ``VERSION`` and an entry in `parsl_diaspora.events.codec.UPGRADES`
that turns the old one into the new.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from parsl_diaspora.events.envelope import Event, Topic, kind_of

# --- values that events carry ---------------------------------------------------------------------------


class Failure(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True, gc=False):
    """One exception as evidence: nothing in it needs the exception's class to be importable.

    Attributes:
        chain: qualified class names, the raised one first, then its bases up to Exception.
        message: the exception's text, redacted and cut.
        traceback: the worker's traceback, redacted and cut.
        frame: innermost frame of the user's code, as ``file.py:function:line``.
        phase: where in the try's life it happened: ``launch`` on the submit side, ``unpack`` while function
            and arguments were rebuilt on the worker, ``run`` inside the app, ``pack`` while the result was
            serialized, ``lost`` when nothing came back.
        name: the thing that was missing, for import errors.
        errno: the operating system's number, for OSErrors.
        exit_code: exit status of a bash app; negative for a signal.
        retryable: False when the raiser said that trying again cannot help.
        declared: the raiser's own name for this kind of failure.
    """

    chain: tuple[str, ...] = ()
    message: str = ""
    traceback: str = ""
    frame: str = ""
    phase: str = "run"
    name: str = ""
    errno: int | None = None
    exit_code: int | None = None
    retryable: bool = True
    declared: str = ""

    @property
    def type(self) -> str:
        """Qualified name of the class that was raised."""
        return self.chain[0] if self.chain else ""

    @property
    def fingerprint(self) -> str:
        """What makes two failures the same one: class and innermost user frame, never the text."""
        return f"{self.type}@{self.frame}"


class Diagnosis(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True, gc=False):
    """Why a try failed.

    Attributes:
        failure_class: name of the class, see `parsl_diaspora.failures.taxonomy`.
        layer: application, framework, runtime or environment.
        confidence: 0 to 1.
        evidence: what spoke for it, in words.
        destined: trying again is proven useless everywhere.
        missing: the module that the place lacks.
    """

    failure_class: str = "unknown"
    layer: str = "application"
    confidence: float = 0.0
    evidence: tuple[str, ...] = ()
    destined: bool = False
    missing: str = ""


# --- runs -----------------------------------------------------------------------------------------------


class RunStarted(Event, tag="run.started"):
    """A program loaded a resilient configuration.

    Attributes:
        program: the script's file name.
        pid: process id of the submit side.
        run_dir: Parsl's run directory, absolute.
        executors: labels, in the configuration's order.
        parsl_version: version of Parsl.
        python_version: version of Python.
        retries: ``Config.retries``.
        settings: the settings in force.
    """

    topic: ClassVar[Topic] = "control"

    program: str = ""
    pid: int = 0
    run_dir: str = ""
    executors: tuple[str, ...] = ()
    parsl_version: str = ""
    python_version: str = ""
    retries: int = 0
    settings: dict[str, Any] = msgspec.field(default_factory=dict)


class RunEnded(Event, tag="run.ended"):
    """The program closed its configuration.

    Attributes:
        done: tasks that succeeded.
        failed: tasks that failed.
        faults: own faults that were absorbed, by part.
    """

    topic: ClassVar[Topic] = "control"

    done: int = 0
    failed: int = 0
    faults: dict[str, int] = msgspec.field(default_factory=dict)


# --- tasks and their tries ------------------------------------------------------------------------------


class TaskSubmitted(Event, tag="task.submitted"):
    """A task became ready and its first try was handed to an executor.

    Attributes:
        func: name of the app.
    """

    func: str = ""


class TryLaunched(Event, tag="task.try_launched"):
    """A further try was handed to an executor.

    Attributes:
        avoid: managers that decline this try.
    """

    avoid: tuple[str, ...] = ()


class TryStarted(Event, tag="task.try_started"):
    """A worker began to run a try. Said by the worker, before it touches function or arguments.

    Attributes:
        pid: the worker's process id on its node.
        manager_pid: that of its manager.
    """

    pid: int = 0
    manager_pid: int = 0


class TryDeclined(Event, tag="task.try_declined"):
    """A worker handed a try back before it began, because the try should avoid that place.

    Attributes:
        count: how often this try has been handed back.
    """

    count: int = 1


class TryEnded(Event, tag="task.try_ended"):
    """A try succeeded.

    Attributes:
        seconds: wall time on the worker; None where no worker of ours told it.
    """

    seconds: float | None = None


class TryFailed(Event, tag="task.try_failed"):
    """A try failed or was lost.

    Attributes:
        failure: the exception as evidence.
        seconds: wall time on the worker, when the worker lived to tell.
    """

    topic: ClassVar[Topic] = "failures"

    failure: Failure = Failure()
    seconds: float | None = None


class TaskEnded(Event, tag="task.ended"):
    """A task reached its one end.

    Attributes:
        outcome: ``done``, ``failed``, ``dependency_failed`` or ``memoized``.
        tries: how many tries were launched.
        error: class and text of the exception that the program sees.
        func: name of the app, for tasks that were never submitted: memoized, or with a failed dependency.
    """

    outcome: str = "done"
    tries: int = 1
    error: str = ""
    func: str = ""


# --- managers and blocks --------------------------------------------------------------------------------


class ManagerSeen(Event, tag="manager.seen"):
    """A manager connected to its executor.

    Attributes:
        workers: number of its workers.
        python_version: of the manager.
    """

    topic: ClassVar[Topic] = "resources"

    workers: int = 0
    python_version: str = ""


class ManagerLost(Event, tag="manager.lost"):
    """A manager went away, or stopped serving.

    Attributes:
        reason: in words.
        held: tasks that it held.
    """

    topic: ClassVar[Topic] = "resources"

    reason: str = ""
    held: int = 0


class BlockSeen(Event, tag="block.seen"):
    """A block was requested, or changed its state without ending.

    Attributes:
        state: Parsl's job state.
        job: the provider's job id.
    """

    topic: ClassVar[Topic] = "resources"

    state: str = ""
    job: str = ""


class BlockLost(Event, tag="block.lost"):
    """A block ended.

    Attributes:
        state: Parsl's job state; SCALED_IN is an orderly end.
        job: the provider's job id.
        exit_code: of the block's script.
        message: the provider's words, or the end of the script's error output.
        expected: the program asked for it.
    """

    topic: ClassVar[Topic] = "resources"

    state: str = ""
    job: str = ""
    exit_code: int | None = None
    message: str = ""
    expected: bool = False


# --- faults, decisions, our own state -------------------------------------------------------------------


class FaultInjected(Event, tag="fault.injected"):
    """A test or the demo broke something on purpose.

    Attributes:
        fault: what was done, as ``kill_busy_worker``.
        pid: the process that it was done to.
        note: further words.
    """

    topic: ClassVar[Topic] = "failures"

    fault: str = ""
    pid: int = 0
    note: str = ""


class DecisionMade(Event, tag="decision.made"):
    """What is to be done about a failed try, with all that led to it.

    Attributes:
        diagnosis: why the try failed.
        rule: name of the rule that matched.
        reason: the rule's reason, in words.
        action: ``retry``, ``move``, ``avoid`` or ``fail``.
        target: label of the executor for the next try.
        delay: seconds before the next try.
        avoid: managers that the next try declines.
        budget: name of the budget that was charged.
        used: what that budget has spent, this failure included.
        limit: what that budget allows.
        tries: tries so far, of ``max_tries``.
        max_tries: the hard total.
        alternatives: rules that were looked at first and why each did not match.
    """

    topic: ClassVar[Topic] = "control"

    diagnosis: Diagnosis = Diagnosis()
    rule: str = ""
    reason: str = ""
    action: str = "retry"
    target: str | None = None
    delay: float = 0.0
    avoid: tuple[str, ...] = ()
    budget: str = ""
    used: int = 0
    limit: int = 0
    tries: int = 0
    max_tries: int = 0
    alternatives: tuple[str, ...] = ()


class PlaceQuarantined(Event, tag="place.quarantined"):
    """A place gets no new work for a while.

    Attributes:
        reason: in words.
        seconds: how long.
    """

    topic: ClassVar[Topic] = "control"

    reason: str = ""
    seconds: float = 0.0


class PlaceReleased(Event, tag="place.released"):
    """A place may get work again.

    Attributes:
        reason: in words.
    """

    topic: ClassVar[Topic] = "control"

    reason: str = ""


class EventsLost(Event, tag="events.lost"):
    """Events of this source that could not be kept.

    Attributes:
        count: how many.
        why: in words.
    """

    topic: ClassVar[Topic] = "control"

    count: int = 0
    why: str = ""


class EventsDamaged(Event, tag="events.damaged"):
    """A stretch of the log could not be read, and a repair took it out. Said in the segment itself.

    Attributes:
        file: name of the segment.
        offset: where the stretch began, bytes.
        size: how long it was, bytes.
        count: events that are known to be missing there, by the later numbers of their sources. What a
            source said last may be missing beside them.
        kept: where the segment lies as it was, below the log's directory.
    """

    topic: ClassVar[Topic] = "control"

    file: str = ""
    offset: int = 0
    size: int = 0
    count: int = 0
    kept: str = ""


class EventsCompacted(Event, tag="events.compacted"):
    """Events were dropped, by a compaction or by a bridge that was told to carry less. It stands for them.

    A compaction drops of finished runs what others tell as well. It has the source, the boot and the number
    of the last of them, so that numbers are missing by design before it: one less than were dropped.

    Attributes:
        first: number of the first event that was dropped.
        last: number of the last one.
        kept: events of this boot and run in the same segment that were kept.
        dropped: events that were dropped.
        started: how many of them were starts of tries, by manager.
    """

    topic: ClassVar[Topic] = "control"

    first: int = 0
    last: int = 0
    kept: int = 0
    dropped: int = 0
    started: dict[str, int] = msgspec.field(default_factory=dict)

    @property
    def is_stretch(self) -> bool:
        """Whether all numbers from the first to the last were dropped, and no other."""
        return self.last == self.seq and self.dropped == self.last - self.first + 1

    def explains(self, before: int) -> int:
        """Numbers below its own that it says are missing by design.

        Args:
            before: the last number that was met; what is up to it has been explained already.
        """
        if self.is_stretch:
            return max(0, self.seq - max(self.first, before + 1))
        return self.dropped - 1


class SamplesReduced(Event, tag="samples.reduced"):
    """What a bridge says instead of several samples of one kind, source and place.

    It has the source, the boot, the number, the times and the place of the last of them.

    Attributes:
        of: the kind of the samples.
        first: number of the first sample.
        last: number of the last one.
        count: how many there were.
        since: time of the first sample, seconds UTC.
        counts: by field, how many samples had a number in it.
        low: by field, the least number.
        mean: by field, the mean.
        high: by field, the greatest number.
    """

    topic: ClassVar[Topic] = "resources"

    of: str = ""
    first: int = 0
    last: int = 0
    count: int = 0
    since: float = 0.0
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    low: dict[str, float] = msgspec.field(default_factory=dict)
    mean: dict[str, float] = msgspec.field(default_factory=dict)
    high: dict[str, float] = msgspec.field(default_factory=dict)


class FabricLagged(Event, tag="fabric.lagged"):
    """Events wait on this side because the fabric does not take them, or not fast enough.

    Said when the wait becomes too long, and once more when it is over.

    Attributes:
        waiting: events that are not handed on yet.
        seconds: how long none was handed on; when it is over, how long it lasted.
        why: in words.
        over: the fabric has caught up again.
    """

    topic: ClassVar[Topic] = "control"

    waiting: int = 0
    seconds: float = 0.0
    why: str = ""
    over: bool = False


class TriggerFired(Event, tag="trigger.fired"):
    """The action of a trigger was done for an event, whose id is the cause.

    Attributes:
        trigger: the trigger's name.
        action: what was done, without secrets.
        event_kind: kind of the event.
        tries: how often the action was tried.
        seconds: from the event's arrival at the engine to the action's end.
    """

    topic: ClassVar[Topic] = "control"

    trigger: str = ""
    action: str = ""
    event_kind: str = ""
    tries: int = 1
    seconds: float = 0.0


class TriggerFailed(Event, tag="trigger.failed"):
    """The action of a trigger was given up for an event, whose id is the cause: a dead letter.

    Attributes:
        trigger: the trigger's name.
        action: what was to be done, without secrets.
        event_kind: kind of the event.
        tries: how often the action was tried.
        why: in words.
        event: the event itself, as the action would have had it.
    """

    topic: ClassVar[Topic] = "failures"

    trigger: str = ""
    action: str = ""
    event_kind: str = ""
    tries: int = 0
    why: str = ""
    event: dict[str, Any] = msgspec.field(default_factory=dict)


class TriggerHeldBack(Event, tag="trigger.held_back"):
    """A trigger did nothing for events that it matched, as it was told. The last one's id is the cause.

    Attributes:
        trigger: the trigger's name.
        count: how many events, since it was last said.
        why: ``throttled`` or ``repeated``.
    """

    topic: ClassVar[Topic] = "control"

    trigger: str = ""
    count: int = 0
    why: str = ""


class ServiceDegraded(Event, tag="service.degraded"):
    """A part of this package met a fault of its own and fell back to stock behaviour. Said once a part.

    Attributes:
        part: which part.
        why: in words.
    """

    topic: ClassVar[Topic] = "control"

    part: str = ""
    why: str = ""


def _all_kinds(base: type[Event]) -> dict[str, type[Event]]:
    return {kind_of(cls): cls for cls in base.__subclasses__() if cls.__module__ == __name__}


KINDS: dict[str, type[Event]] = _all_kinds(Event)
