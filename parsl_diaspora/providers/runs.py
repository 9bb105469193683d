"""How the runs are whose jobs are found in a queue: by records in their directories, else by their logs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from parsl_diaspora.events import Event, RunEnded, RunStarted
from parsl_diaspora.fabric import Fabric
from parsl_diaspora.fabric.file import FileFabric
from parsl_diaspora.providers.orphans import RunFound
from parsl_diaspora.state.reading import Reading
from parsl_diaspora.state.run_record import RECORD_FILE, RunRecord
from parsl_diaspora.state.run_state import run_state


class Known(msgspec.Struct):
    """What a log tells of whether a run goes on."""

    started: RunStarted | None = None
    ended: bool = False
    last: float = 0.0

    def note(self, event: Event) -> None:
        """Take in one event of the run."""
        self.last = max(self.last, event.time)
        self.ended = self.ended or isinstance(event, RunEnded)
        if isinstance(event, RunStarted):
            self.started = event


class Runs:
    """Tells how runs are. Their records are looked into first, and logs only when these tell nothing.

    Args:
        logs: besides those in the run directories of the jobs.
        runs: directory of runs, in which a run that is known by its id only is looked for.
    """

    def __init__(self, logs: Sequence[Fabric] = (), runs: Path | None = None) -> None:
        self._logs = logs
        self._runs = runs
        self._read: dict[str, dict[str, Known]] = {}

    def find(self, run: str, run_dir: str) -> RunFound:
        """How a run is, by its id or its directory; each may be empty."""
        directory = Path(run_dir) if run_dir else self._directory_of(run)
        record = RunRecord.read(directory) if directory is not None else None
        if record is not None and record.state and run in ("", record.run):
            return RunFound(
                run=record.run, state=record.state, program=record.program, run_dir=str(directory)
            )
        found = self._in_logs(run, directory)
        return msgspec.structs.replace(found, run_dir=str(directory or ""))

    def _directory_of(self, run: str) -> Path | None:
        if self._runs is None or not run:
            return None
        places = (path.parent for path in self._runs.glob(f"*/{RECORD_FILE}"))
        return next((each for each in places if getattr(RunRecord.read(each), "run", "") == run), None)

    def _in_logs(self, run: str, directory: Path | None) -> RunFound:
        place = directory / "events" if directory is not None else None
        nearest = [FileFabric(f"file:{str(place).replace('?', '%3F')}")] if place and place.is_dir() else []
        for log in (*nearest, *self._logs):
            for name, known in self._runs_of(log).items():
                told = known.started.run_dir if known.started else ""
                if name == run or (not run and directory is not None and told == str(directory)):
                    return _found(name, known)
        return RunFound(run=run)

    def _runs_of(self, log: Fabric) -> dict[str, Known]:
        if log.url not in self._read:
            runs: dict[str, Known] = {}
            for event in Reading(log):
                if event.run:
                    runs.setdefault(event.run, Known()).note(event)
            self._read[log.url] = runs
        return self._read[log.url]


def _found(run: str, known: Known) -> RunFound:
    state = run_state(known.started, known.ended, known.last, time.time())
    return RunFound(run=run, state=state, program=known.started.program if known.started else "")
