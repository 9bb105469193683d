"""A report as text: a section for each question, and none for what did not happen."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.console import Console
from rich.text import Text

from parsl_diaspora.cli.find import SHORT
from parsl_diaspora.cli.output import heading, pairs, table
from parsl_diaspora.cli.report_model import ErrorRow, Incident, LogHealth, RunReport
from parsl_diaspora.cli.words import (
    clip,
    count,
    duration,
    joined,
    listed,
    moment,
    offset,
    place_words,
    share,
    times,
)

FEW, SOME = 3, 20
_CLIP = 160
_STATE_STYLE = {"ended": "green", "running": "cyan", "interrupted": "red"}
_OUTCOMES = {
    "done": "succeeded",
    "memoized": "known from before",
    "substituted": "got a value in place of their result",
    "failed": "failed",
    "cancelled": "were cancelled",
    "dependency_failed": "never ran, because a task that they wait for failed",
}


def render(report: RunReport, out: Console) -> None:
    """Print the report."""
    _header(report, out)
    for section in _SECTIONS:
        section(report, out)


def _header(report: RunReport, out: Console) -> None:
    run = report.summary
    title = Text(f"Run {run.run}", style="bold")
    title.append(f"  {run.program}  ")
    out.print(title.append(run.state, style=_STATE_STYLE.get(run.state.rstrip("?"), "")))
    out.print()
    out.print(pairs(_header_rows(report)))


def _header_rows(report: RunReport) -> Iterator[tuple[str, str]]:
    run, started = report.summary, report.started
    yield "started", f"{moment(run.started)}, took {duration(run.seconds)}{_so_far(run.state)}"
    if started is not None:
        yield "at", joined((started.node or "", f"pid {started.pid}", started.run_dir))
        versions = f"Parsl {started.parsl_version}, Python {started.python_version}"
        yield "with", f"{versions}, retries={started.retries}"
    yield "executors", ", ".join(run.executors) or "none known"
    yield "log", f"{run.fabric}, {count(report.health.events, 'event')}"
    yield "own faults", _own_faults(report)


def _so_far(state: str) -> str:
    if state == "ended":
        return ""
    return " so far" if state.startswith("running") else " until its last event"


def _own_faults(report: RunReport) -> str:
    if not report.own_faults:
        return "none: this package met no fault of its own"
    return "; ".join(
        f"{part} ({times(number)}) {report.degraded.get(part, '')}".rstrip()
        for part, number in report.own_faults.items()
    )


def _tasks(report: RunReport, out: Console) -> None:
    run = report.summary
    heading(out, "Tasks and tries")
    rows = [(str(number), _OUTCOMES[name]) for name, number in report.outcomes.items()]
    if run.outstanding:
        rows.append((str(run.outstanding), _outstanding(run.state)))
    if report.recovered:
        rows.append((str(report.recovered), "of those that succeeded had failed tries before"))
    rows.append((str(run.tries), "tries in all"))
    rows.append((str(run.failed_tries), _wasted(report)))
    if report.declined:
        rows.append(
            (str(report.declined), "handed back before they began, because they should avoid the place")
        )
    out.print(table(("", " "), rows, numbers=("",), wrapped=(" ",)), end="")


def _outstanding(state: str) -> str:
    if state.startswith("running"):
        return "have not ended yet"
    return "have no end in the log"


def _wasted(report: RunReport) -> str:
    run = report.summary
    text = f"of them failed ({share(run.failed_tries, run.tries)})"
    return f"{text}, which took {duration(report.wasted)} of workers' time" if report.wasted else text


def _failures(report: RunReport, out: Console) -> None:
    if not report.failures:
        return
    heading(out, "Failed tries by class")
    rows = [
        (row.failure_class, row.layer, row.tries, row.tasks, _places(row.places)) for row in report.failures
    ]
    columns = ("class", "layer", "tries", "tasks", "where (executor/node)")
    out.print(table(columns, rows, numbers=("tries", "tasks"), wrapped=columns[-1:]))


def _places(places: dict[str, int]) -> str:
    return listed([f"{place or 'not known'} {number}" for place, number in places.items()], FEW)


def _decisions(report: RunReport, out: Console) -> None:
    if not report.decisions:
        return
    heading(out, "Decisions by rule")
    rows = [(row.count, row.action, row.rule, row.reason) for row in report.decisions[:SOME]]
    out.print(
        table(("count", "action", "rule", "reason"), rows, numbers=("count",), wrapped=("rule", "reason"))
    )
    _more(out, len(report.decisions), "reason")


def _managers(report: RunReport, out: Console) -> None:
    if not report.managers:
        return
    heading(out, "Managers")
    columns = ("executor", "block", "node", "manager", "workers", "tries", "failed", "lost because")
    rows = [
        (
            row.executor,
            row.block or "",
            row.node or "",
            row.manager,
            row.workers,
            row.tries,
            row.failed_tries,
            row.lost or "-",
        )
        for row in report.managers[:SOME]
    ]
    out.print(table(columns, rows, numbers=columns[4:7], wrapped=("node", columns[-1])))
    _more(out, len(report.managers), "manager")


def _incidents(
    title: str, which: Callable[[RunReport], list[Incident]]
) -> Callable[[RunReport, Console], None]:
    def section(report: RunReport, out: Console) -> None:
        incidents = which(report)
        if not incidents:
            return
        heading(out, title)
        rows = [
            (offset(each.at), each.what, place_words(each.place), clip(each.note, _CLIP))
            for each in incidents[:SOME]
        ]
        out.print(table(("when", "what", "where", "how"), rows, numbers=("when",), wrapped=("where", "how")))
        _more(out, len(incidents), "incident")

    return section


def _errors(report: RunReport, out: Console) -> None:
    if not report.errors:
        return
    heading(out, "Tasks that failed")
    rows = [(len(row.tasks), _who(row), row.error) for row in report.errors[:SOME]]
    out.print(
        table(
            ("count", "app and tasks", "error"), rows, numbers=("count",), wrapped=("app and tasks", "error")
        )
    )
    _more(out, len(report.errors), "error")
    first = report.errors[0].tasks[0]
    out.print(Text(f"  Why: parsl-diaspora explain {report.summary.run[:SHORT]} {first}", style="dim"))


def _held(report: RunReport, out: Console) -> None:
    if not report.held:
        return
    heading(out, "Tasks that are held")
    rows = [(row.task, row.failure_class, row.reason, row.suggestion) for row in report.held[:SOME]]
    columns = ("task", "class", "reason", "suggestion")
    out.print(table(columns, rows, numbers=("task",), wrapped=columns[2:]))
    _more(out, len(report.held), "task")
    run, first = report.summary.run[:SHORT], report.held[0].task
    out.print(Text(f"  Go on: parsl-diaspora release {run} --task {first}", style="dim"))


def _who(row: ErrorRow) -> str:
    return f"{', '.join(row.apps) or 'task'} {listed(row.tasks, FEW)}"


def _health(report: RunReport, out: Console) -> None:
    if report.health.whole:
        return
    heading(out, "The log is not whole")
    for line in _health_lines(report.health):
        out.print(Text(f"  {line}"))


def _health_lines(health: LogHealth) -> Iterator[str]:
    if health.missing:
        yield f"{count(health.missing, 'event')} missing between others of the same source"
    if health.duplicates:
        yield f"{count(health.duplicates, 'event')} came twice and counted once"
    if health.skipped:
        yield f"{count(health.skipped, 'damaged stretch', 'damaged stretches')} passed over"
    for words, places in (
        ("damaged", health.damaged),
        ("its end is incomplete", health.torn),
        ("a file is missing", health.missing_files),
        ("cannot be read", health.unreadable),
        ("is no segment", health.foreign),
        ("a repair took out what was damaged", health.repaired),
    ):
        yield from (f"{words}: {place}" for place in places)
    for why, number in health.lost.items():
        yield f"{count(number, 'event')} could not be kept: {why}"


def _more(out: Console, number: int, what: str) -> None:
    if number > SOME:
        out.print(
            Text(
                f"  and {count(number - SOME, f'more {what}', f'more {what}s')}; --json has all", style="dim"
            )
        )


_SECTIONS: tuple[Callable[[RunReport, Console], None], ...] = (
    _tasks,
    _failures,
    _decisions,
    _held,
    _errors,
    _managers,
    _incidents("Blocks that were lost", lambda report: report.blocks_lost),
    _incidents("Quarantines", lambda report: report.quarantines),
    _incidents("Faults injected on purpose", lambda report: report.faults),
    _health,
)
