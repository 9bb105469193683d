"""What a report says, as data: printed as JSON, or told by `parsl_diaspora.cli.report_text`."""

from __future__ import annotations

import msgspec

from parsl_diaspora.cli.summary import RunSummary
from parsl_diaspora.events import RunStarted
from parsl_diaspora.state import HeldTask


class FailureRow(msgspec.Struct):
    """Failed tries of one class.

    Attributes:
        failure_class: as diagnosed, see `parsl_diaspora.failures`.
        layer: which layer the cause lies in.
        tries: how many failed so.
        tasks: of how many tasks.
        places: failed tries by ``executor/node``, the worst first.
    """

    failure_class: str
    layer: str
    tries: int
    tasks: int
    places: dict[str, int]


class RuleRow(msgspec.Struct):
    """Decisions by one rule, for one reason."""

    rule: str
    action: str
    reason: str
    count: int


class ManagerRow(msgspec.Struct):
    """One manager; ``lost`` says why it is gone and is empty while it is there."""

    manager: str
    executor: str
    block: str | None
    node: str | None
    workers: int
    tries: int
    failed_tries: int
    lost: str


class Incident(msgspec.Struct):
    """Something that befell a place.

    Attributes:
        at: seconds after the run's first event.
        what: fault that was injected, or state of a block, or ``quarantined``.
        place: where, as far as it is known.
        note: in words.
    """

    at: float
    what: str
    place: dict[str, str | int]
    note: str


class ErrorRow(msgspec.Struct):
    """Tasks that ended with the same error.

    Attributes:
        outcome: ``failed`` or ``dependency_failed``.
        error: its first line.
        apps: names of the apps.
        tasks: their ids.
    """

    outcome: str
    error: str
    apps: list[str]
    tasks: list[int]


class LogHealth(msgspec.Struct):
    """Whether all that was said can be read.

    Attributes:
        events: events read, of all runs in the log.
        missing: numbers that sources gave out and the log lacks.
        duplicates: events that came twice; each counts once.
        skipped: damaged stretches that were passed over.
        damaged: where they are, as ``file at offset``.
        torn: files whose end is incomplete, as a killed writer or damage leaves it.
        lost: events that their speaker could not keep, by why.
        missing_files: segments that are missing between others of the same writer.
        unreadable: files that cannot be read, with the reason.
        foreign: what is named like a segment and is none.
        repaired: damaged stretches that a repair took out, as ``file at offset``.
    """

    events: int
    missing: int
    duplicates: int
    skipped: int
    damaged: list[str]
    torn: list[str]
    lost: dict[str, int]
    missing_files: list[str] = []
    unreadable: list[str] = []
    foreign: list[str] = []
    repaired: list[str] = []

    @property
    def whole(self) -> bool:
        """Nothing is amiss."""
        values = msgspec.structs.asdict(self)
        return not any(value for name, value in values.items() if name != "events")


class RunReport(msgspec.Struct, kw_only=True):
    """One run.

    Attributes:
        summary: in one line.
        started: the run's first event, if the log has it.
        outcomes: finished tasks by outcome.
        recovered: tasks that succeeded after a failed try.
        declined: times that a worker handed a try back, because the try should avoid that place.
        wasted: seconds of workers' time that failed tries took; for a try that was lost, from its start to
            when the loss was known.
        failures: failed tries by class.
        decisions: by rule.
        managers: all that were seen.
        blocks_lost: blocks that ended though nobody asked for it.
        faults: faults injected on purpose.
        quarantines: places put in quarantine.
        held: tasks that wait until somebody releases them; none once the run has ended.
        errors: tasks that ended badly, by error.
        own_faults: faults of this package that it absorbed, by part, with how often.
        degraded: why, by part.
        health: of the log.
    """

    summary: RunSummary
    started: RunStarted | None
    outcomes: dict[str, int]
    recovered: int
    declined: int
    wasted: float
    failures: list[FailureRow]
    decisions: list[RuleRow]
    managers: list[ManagerRow]
    blocks_lost: list[Incident]
    faults: list[Incident]
    quarantines: list[Incident]
    held: list[HeldTask]
    errors: list[ErrorRow]
    own_faults: dict[str, int]
    degraded: dict[str, str]
    health: LogHealth
