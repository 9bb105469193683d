"""``parsl-diaspora events tail``: the newest events, and those that come."""

from __future__ import annotations

import argparse
import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence

from rich.console import Console
from rich.text import Text

from parsl_diaspora.cli.event_words import event_line
from parsl_diaspora.cli.find import LAST, find_run, names_fabric, open_logs
from parsl_diaspora.cli.output import console, write_bytes
from parsl_diaspora.errors import DiasporaError
from parsl_diaspora.events import KINDS, Event, RunEnded, encode
from parsl_diaspora.fabric import Fabric
from parsl_diaspora.hints import nearest
from parsl_diaspora.state import Dedupe
from parsl_diaspora.state.reading import drain

CONSUMER = "tail"
WAIT = 1.0
_STYLES = {"task.try_failed": "red", "decision.made": "yellow", "fault.injected": "magenta"}

Write = Callable[[Iterable[Event]], None]


def tail(args: argparse.Namespace) -> int:
    """Print the newest events, then those that come if that is asked for."""
    wanted = Kinds(args.kind or ())
    fabric, run = _which(args)
    ended = Ended(run)
    consumer, dedupe = fabric.consumer(CONSUMER, start="earliest"), Dedupe()

    def new(events: Iterable[Event]) -> Iterator[Event]:
        own = (event for event in events if dedupe.is_new(event) and run in ("", event.run))
        return filter(wanted.has, ended.watch(own))

    write = _write_json if args.json else _writer(console())
    try:
        write(_newest(new(drain(consumer)), args.newest))
        while args.follow and not ended:
            write(sorted(new(consumer.poll(WAIT)), key=_time))
    finally:
        consumer.close()
    return 0


class Kinds:
    """The kinds of events that are asked for.

    Args:
        kinds: whole kinds, or what stands before the dot; none for all.

    Raises:
        DiasporaError: there is no such kind.
    """

    def __init__(self, kinds: Sequence[str]) -> None:
        groups = {kind.partition(".")[0] for kind in KINDS}
        for kind in kinds:
            if kind not in KINDS and kind not in groups:
                raise _no_kind(kind, sorted({*KINDS, *groups}))
        self._kinds = frozenset(kinds)

    def has(self, event: Event) -> bool:
        """Whether an event is of one of them."""
        return not self._kinds or not self._kinds.isdisjoint((event.kind, event.kind.partition(".")[0]))


class Ended:
    """Whether the run that is followed has ended.

    Args:
        run: its id; empty for all runs, which have no end.
    """

    def __init__(self, run: str) -> None:
        self._run = run
        self._ended = False

    def watch(self, events: Iterable[Event]) -> Iterator[Event]:
        """Pass events on."""
        for event in events:
            self._ended |= isinstance(event, RunEnded) and event.run == self._run
            yield event

    def __bool__(self) -> bool:
        return self._ended


def _which(args: argparse.Namespace) -> tuple[Fabric, str]:
    """The log to read and the run to show; all runs of a fabric that is named, unless one is asked for."""
    logs = open_logs(args)
    if args.run_id is None and names_fabric(args):
        return logs[-1], ""
    found = find_run(logs, args.run_id or LAST)
    return found.fabric, found.run


def _newest(events: Iterable[Event], number: int) -> list[Event]:
    """The newest few, oldest first; the log itself is in order only per source."""
    return sorted(heapq.nlargest(number, events, key=_time), key=_time)


def _time(event: Event) -> float:
    return event.time


def _write_json(events: Iterable[Event]) -> None:
    write_bytes(encode(event, "json") for event in events)


def _writer(out: Console) -> Write:
    def write(events: Iterable[Event]) -> None:
        for event in events:
            text = Text(event_line(event), style=_STYLES.get(event.kind, ""))
            if out.is_terminal:
                out.print(text, no_wrap=True, overflow="ellipsis")
            else:
                out.print(text, soft_wrap=True)  # whole lines, to be searched

    return write


def _no_kind(kind: str, kinds: Sequence[str]) -> DiasporaError:
    return DiasporaError(f"No event is of kind {kind!r}.", hint=nearest(kind, kinds, listed="The kinds are"))
