"""A frame as tables of text, the same in the terminal's live view and on paper."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from parsl_diaspora.cli.top.frame import (
    AppRow,
    BlockRow,
    Frame,
    Happening,
    HoldRow,
    NodeRow,
    WorkerRow,
)
from parsl_diaspora.cli.words import clock_time, count, duration, joined, plain
from parsl_diaspora.sizes import size_words

NONE = "-"

_Row = TypeVar("_Row")
_BARS = " ▁▂▃▄▅▆▇█"
_STYLES = {
    "suspected": "yellow",
    "held": "yellow",
    "draining": "yellow",
    "quarantine": "yellow",
    "ending": "yellow",
    "lost": "red",
    "gone": "dim",
}


class TableView(msgspec.Struct, frozen=True, kw_only=True):
    """One table.

    Attributes:
        name: short, as on its tab.
        columns: titles.
        numbers: titles of the columns that are set flush right.
        wide: titles of the columns that give way when it gets narrow.
        rows: cells.
        styles: colour of each row; empty for none.
    """

    name: str
    columns: tuple[str, ...]
    numbers: tuple[str, ...] = ()
    wide: tuple[str, ...] = ()
    rows: list[tuple[str, ...]]
    styles: list[str] = []

    def filtered(self, text: str) -> TableView:
        """Only the rows that hold all of these words, whatever their case."""
        words = text.lower().split()
        kept = [
            number
            for number, row in enumerate(self.rows)
            if all(any(word in cell.lower() for cell in row) for word in words)
        ]
        styles = [self.styles[number] for number in kept] if self.styles else []
        return msgspec.structs.replace(self, rows=[self.rows[number] for number in kept], styles=styles)


def tables_of(frame: Frame) -> list[TableView]:
    """All tables of a frame, in the order in which they are shown; those without rows too."""
    return [
        _table(frame.apps, "tasks", _APPS, numbers=tuple(_APPS)[1:]),
        _table(
            frame.nodes,
            "nodes",
            _NODES,
            numbers=tuple(_NODES)[2:-1],
            wide=("node", "note"),
            style=lambda row: _STYLES.get(row.state, ""),
        ),
        _table(frame.workers, "workers", _WORKERS, numbers=_WORKER_NUMBERS),
        _table(frame.blocks, "blocks", _BLOCKS, numbers=tuple(_BLOCKS)[4:]),
        _table(frame.failures, "failures", _HAPPENINGS, wide=("what",)),
        _table(frame.decisions, "decisions", _HAPPENINGS, wide=("what",)),
        _table(frame.incidents, "incidents", _INCIDENTS, wide=("what",)),
        _table(
            frame.holds,
            "holds",
            _HOLDS,
            wide=("reason",),
            style=lambda row: _STYLES.get(row.what, ""),
        ),
    ]


def headline(frame: Frame) -> list[str]:
    """Two lines that sum the frame up."""
    ended = joined(
        f"{number} {words}"
        for what, words in _ENDS
        if (number := frame.total(what)) or what in ("done", "failed")
    )
    speed = f"{frame.rate:.1f} tasks/s now" if frame.state.startswith("running") else ""
    behind = f"{frame.lag} events behind" if frame.lag else ""
    first = f"run {frame.run[:8]}  {frame.program}  {frame.state}, {duration(frame.seconds)}"
    parts = (_work(frame), ended, joined((speed, f"{frame.mean_rate:.1f} tasks/s in all", behind)))
    return [plain(first), "; ".join(parts)]


def resources(frame: Frame) -> str:
    """One line about nodes, workers, memory and CPU."""
    there = [row for row in frame.nodes if row.state not in ("lost", "gone")]
    sampled = [row for row in there if row.sampled is not None]
    words = [
        count(len(there), "node"),
        count(sum(row.workers for row in there), "worker"),
        *(f"{number} {state}" for state in _TOLD if (number := _count(frame.nodes, state))),
    ]
    if sampled:
        cores, memory = sum(row.cores or 0 for row in sampled), sum(row.memory or 0 for row in sampled)
        words.append(_of("CPU", f"{sum(row.cpu or 0.0 for row in sampled):.1f}", f"{cores} cores", cores))
        used = size_words(sum(row.memory_used or 0 for row in sampled))
        words.append(_of("memory", used, size_words(memory), memory))
    return joined(words)


def sparkline(history: Sequence[int]) -> str:
    """Counts as a row of bars.

    Example:
        >>> sparkline([0, 1, 2, 4])
        ' ▂▄█'
    """
    most = max(history, default=0)
    return "".join(_BARS[-(-each * (len(_BARS) - 1) // most)] if most else _BARS[0] for each in history)


_TOLD = ("suspected", "held", "draining", "ending", "lost")
_ENDS = (
    ("done", "done"),
    ("failed", "failed"),
    ("dependency_failed", "with a failed dependency"),
    ("cancelled", "cancelled"),
)


def _work(frame: Frame) -> str:
    return f"{frame.total('running')} running, {frame.total('waiting')} waiting"


def _count(rows: Sequence[NodeRow], state: str) -> int:
    return sum(row.state == state for row in rows)


def _of(what: str, used: str, whole: str, known: float) -> str:
    return f"{what} {used} of {whole}" if known else f"{what} {used}"


def _table(
    rows: Sequence[_Row],
    name: str,
    columns: dict[str, Callable[[_Row], str]],
    *,
    numbers: tuple[str, ...] = (),
    wide: tuple[str, ...] = (),
    style: Callable[[_Row], str] | None = None,
) -> TableView:
    return TableView(
        name=name,
        columns=tuple(columns),
        numbers=numbers,
        wide=wide,
        rows=[tuple(plain(cell(row)) for cell in columns.values()) for row in rows],
        styles=[style(row) for row in rows] if style is not None else [],
    )


def _number(value: float | None, digits: int = 1) -> str:
    return NONE if value is None else f"{value:.{digits}f}"


def _size(value: int | None) -> str:
    return NONE if value is None else size_words(value)


def _part(used: str, whole: str | None) -> str:
    return used if whole is None else f"{used}/{whole}"


def _pool(row: NodeRow) -> str:
    if row.pool_cpu is None:
        return NONE
    return f"{_number(row.pool_cpu)}, {_size(row.pool_memory)}"


def _task(row: WorkerRow | Happening) -> str:
    if row.task is None:
        return NONE
    try_id = getattr(row, "try_id", None)
    return f"{row.task}.{try_id}" if try_id else str(row.task)


_APPS: dict[str, Callable[[AppRow], str]] = {
    "app": lambda row: row.app or "(not known)",
    "running": lambda row: str(row.running),
    "waiting": lambda row: str(row.waiting),
    "done": lambda row: str(row.done),
    "failed": lambda row: str(row.failed),
    "dependency": lambda row: str(row.dependency_failed),
    "cancelled": lambda row: str(row.cancelled),
    "failed tries": lambda row: str(row.failed_tries),
}

_NODES: dict[str, Callable[[NodeRow], str]] = {
    "node": lambda row: row.node,
    "state": lambda row: row.state,
    "workers": lambda row: str(row.workers),
    "running": lambda row: str(row.running),
    "failed": lambda row: str(row.failed),
    "CPU": lambda row: _part(_number(row.cpu), None if row.cores is None else str(row.cores)),
    "memory": lambda row: _part(_size(row.memory_used), None if row.memory is None else _size(row.memory)),
    "pool": _pool,
    "disk free": lambda row: _size(row.disk_free),
    "note": lambda row: row.note,
}

_WORKERS: dict[str, Callable[[WorkerRow], str]] = {
    "executor": lambda row: row.executor,
    "node": lambda row: row.node,
    "manager": lambda row: row.manager,
    "worker": lambda row: str(row.worker),
    "pid": lambda row: str(row.pid or NONE),
    "task": _task,
    "app": lambda row: row.app,
    "for": lambda row: NONE if row.seconds is None else duration(row.seconds),
    "CPU": lambda row: _number(row.cpu),
    "memory": lambda row: _size(row.memory),
}
_WORKER_NUMBERS = ("worker", "pid", "task", "for", "CPU", "memory")

_BLOCKS: dict[str, Callable[[BlockRow], str]] = {
    "executor": lambda row: row.executor,
    "block": lambda row: row.block,
    "state": lambda row: row.state,
    "job": lambda row: row.job,
    "managers": lambda row: str(row.managers),
    "workers": lambda row: str(row.workers),
    "running": lambda row: str(row.running),
}

_HAPPENINGS: dict[str, Callable[[Happening], str]] = {
    "time": lambda row: clock_time(row.time),
    "task": _task,
    "place": lambda row: row.place,
    "what": lambda row: row.words,
}

_INCIDENTS: dict[str, Callable[[Happening], str]] = {
    "time": lambda row: clock_time(row.time),
    "kind": lambda row: row.kind,
    "place": lambda row: row.place,
    "what": lambda row: joined((f"task {row.task}" if row.task is not None else "", row.words)),
}

_HOLDS: dict[str, Callable[[HoldRow], str]] = {
    "since": lambda row: clock_time(row.since),
    "what": lambda row: row.what,
    "place": lambda row: row.place,
    "owner": lambda row: row.owner or NONE,
    "reason": lambda row: row.reason,
}
