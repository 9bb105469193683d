"""``parsl-diaspora report``: how one run went, what a person wants to know in the morning."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable

from parsl_diaspora.cli.find import LAST, Found, add_where, find_run, open_logs
from parsl_diaspora.cli.output import console, write_json
from parsl_diaspora.cli.report_model import (
    ErrorRow,
    FailureRow,
    Incident,
    LogHealth,
    ManagerRow,
    RuleRow,
    RunReport,
)
from parsl_diaspora.cli.summary import summarize
from parsl_diaspora.cli.tally import Tally
from parsl_diaspora.cli.words import duration, joined, offset
from parsl_diaspora.events import BlockLost, Event, PlaceQuarantined
from parsl_diaspora.events.envelope import place_of
from parsl_diaspora.fabric.file import FileFabric
from parsl_diaspora.fabric.file.verify import Verdict, verify
from parsl_diaspora.state.quarantined import key_of
from parsl_diaspora.state.reading import Reading

_ENDS = ("done", "memoized", "substituted", "failed", "dependency_failed", "cancelled")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("run_id", metavar="RUN", nargs="?", default=LAST, help="which run (default: last)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_where(parser)


def run(args: argparse.Namespace) -> int:
    """Report on a run."""
    from parsl_diaspora.cli.report_text import render

    report = report_of(find_run(open_logs(args), args.run_id))
    if args.json:
        write_json(report)
    else:
        render(report, console())
    return 0


def report_of(found: Found) -> RunReport:
    """Read the run's log and report on it."""
    reading, tally = Reading(found.fabric), Tally(found.run)
    for event in reading:
        tally.add(event)
    picture = tally.picture
    summary = summarize(picture, found.fabric.url)
    return RunReport(
        summary=summary,
        started=picture.started,
        outcomes={name: picture.counts[name] for name in _ENDS if name in picture.counts},
        recovered=_recovered(tally),
        declined=tally.declined,
        wasted=sum(tally.wasted(key) for key in tally.tries_failed),
        failures=_failures(tally),
        decisions=[RuleRow(*key, count) for key, count in sorted(tally.rules.items(), key=_often_first)],
        managers=_managers(tally),
        blocks_lost=_sorted(_block_lost(tally, each) for each in tally.blocks_lost),
        faults=_sorted(_incident(tally, each, each.fault, each.note, each.pid) for each in tally.faults),
        quarantines=_sorted(_quarantine(tally, each) for each in tally.quarantined),
        held=sorted(picture.held, key=lambda each: each.since) if picture.ended is None else [],
        errors=_errors(tally),
        own_faults={each.part: 1 for each in tally.degraded}
        | (picture.ended.faults if picture.ended else {}),
        degraded={each.part: each.why for each in tally.degraded},
        health=_health(reading, tally, found, running=summary.state.startswith("running")),
    )


def _often_first(item: tuple[tuple[str, str, str], int]) -> tuple[int, tuple[str, str, str]]:
    return -item[1], item[0]


def _recovered(tally: Tally) -> int:
    tasks = tally.picture.tasks
    return len({task for task, _ in tally.tries_failed if task in tasks and tasks[task].outcome == "done"})


def _failures(tally: Tally) -> list[FailureRow]:
    by_class: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for key in tally.tries_failed:
        by_class.setdefault(tally.failure_class(key), []).append(key)
    rows = [_failure(tally, name, keys) for name, keys in by_class.items()]
    return sorted(rows, key=lambda row: -row.tries)


def _failure(tally: Tally, name: tuple[str, str], keys: list[tuple[int, int]]) -> FailureRow:
    places = Counter(tally.tries_failed[key].place for key in keys)
    tasks = len({task for task, _ in keys})
    return FailureRow(*name, tries=len(keys), tasks=tasks, places=dict(places.most_common()))


def _managers(tally: Tally) -> list[ManagerRow]:
    rows = [
        ManagerRow(
            manager=name,
            executor=state.executor,
            block=state.block,
            node=state.node,
            workers=state.workers,
            tries=state.started,
            failed_tries=tally.manager_failures[name],
            lost=state.lost,
        )
        for name, state in tally.picture.managers.items()
    ]
    return sorted(rows, key=lambda row: (row.executor, row.block or "", row.manager))


def _incident(tally: Tally, event: Event, what: str, note: str, pid: int = 0) -> Incident:
    place = place_of(event) | ({"pid": pid} if pid else {})
    return Incident(at=event.time - tally.picture.first_time, what=what, place=place, note=note)


def _sorted(incidents: Iterable[Incident]) -> list[Incident]:
    return sorted(incidents, key=lambda each: each.at)


def _block_lost(tally: Tally, event: BlockLost) -> Incident:
    code = "" if event.exit_code is None else f"exit code {event.exit_code}"
    note = joined((code, f"job {event.job}" if event.job else "", event.message.strip()))
    return _incident(tally, event, event.state, note)


def _quarantine(tally: Tally, event: PlaceQuarantined) -> Incident:
    start = tally.picture.first_time
    same = [each for each in tally.released if key_of(each) == key_of(event)]
    over = [each for each in same if each.time >= event.time]
    released = f"released at {offset(over[0].time - start)}: {over[0].reason}" if over else ""
    note = joined((f"for {duration(event.seconds)}: {event.reason}", released))
    return _incident(tally, event, "quarantined", note)


def _errors(tally: Tally) -> list[ErrorRow]:
    tasks = tally.picture.tasks
    rows = [
        ErrorRow(
            outcome=outcome,
            error=error,
            apps=sorted({tasks[task].func for task in numbers if task in tasks} - {""}),
            tasks=sorted(numbers),
        )
        for (outcome, error), numbers in tally.errors.items()
    ]
    return sorted(rows, key=lambda row: (row.outcome != "failed", -len(row.tasks)))


def _health(reading: Reading, tally: Tally, found: Found, *, running: bool) -> LogHealth:
    verdict = verify(found.fabric.directory) if isinstance(found.fabric, FileFabric) else Verdict()
    return LogHealth(
        events=reading.events,
        missing=reading.dedupe.missing,
        duplicates=reading.dedupe.duplicates,
        skipped=reading.skipped,
        damaged=verdict.damaged,
        torn=[] if running else verdict.torn,  # while it is running, its writers may be in the middle
        lost=dict(tally.lost),
        missing_files=verdict.lost,
        unreadable=verdict.unreadable,
        foreign=verdict.foreign,
        repaired=tally.repaired,
    )
