"""What the person sees while a variant runs: a bar at the bottom, and above it what happens."""

from __future__ import annotations

from collections import Counter
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from parsl_diaspora.cli.demo.messages import Finished, Happened, Message, Progressed

_STYLES = {"fault": "bold red", "decision": "green", "place": "yellow"}
EVERY = 0.25


class Screen:
    """Shows one variant. Without a terminal there is no bar, but a line for each quarter of the campaign.

    Args:
        console: where to.
        title: what the variant is called.
    """

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._shown_share = 0.0
        self._counts: Counter[str] = Counter()
        self._progress = Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TextColumn("{task.fields[failed]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._bar = self._progress.add_task(title, total=None, failed="")

    def __enter__(self) -> Screen:
        self._console.print(f"\n[bold]{self._title}[/]")
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, message: Message) -> None:
        """Show one message."""
        if isinstance(message, Progressed):
            self._advance(message)
        elif isinstance(message, Happened):
            self._tell(message)
        else:
            self._end(message)

    def _advance(self, step: Progressed) -> None:
        failed = f"[red]{step.failed} failed[/]" if step.failed else ""
        self._progress.update(self._bar, total=step.total, completed=step.done, failed=failed)
        share = step.done / step.total
        if not self._console.is_terminal and share >= self._shown_share + EVERY:
            self._shown_share = share
            self._console.print(f"  {step.done}/{step.total} trials, {step.failed} failed", highlight=False)

    def _tell(self, happened: Happened) -> None:
        if happened.kind:
            self._counts[happened.kind] += 1
            if self._counts[happened.kind] > 1:
                return
        line = f"  {happened.seconds:5.1f} s  {happened.what:<8}  {happened.text}"
        self._print(line, _STYLES.get(happened.what, ""))
        if happened.reason:
            self._print(f"{'':21}{happened.reason}", "dim")

    def _end(self, end: Finished) -> None:
        for kind, count in self._counts.items():
            if count > 1:
                self._print(f"  and {count - 1} more: {kind}", "dim")
        self._print(f"  {_summary(end)}", "")

    def _print(self, line: str, style: str) -> None:
        self._console.print(line, style=style, highlight=False, markup=False)


def _summary(end: Finished) -> str:
    parts = [f"{len(end.scores)} trials done in {end.seconds:.1f} s"]
    if end.failed:
        parts.append(f"{end.failed} failed")
    if end.unfinished:
        parts.append(f"{end.unfinished} never answered")
    return ", ".join(parts)
