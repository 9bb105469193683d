"""Plays scenarios, each in a process of its own, several at a time, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from parsl_diaspora.errors import DiasporaError
from parsl_diaspora.executors.alive import is_alive
from parsl_diaspora.testing.faults.outcomes import READY, Outcome, decode
from parsl_diaspora.testing.processes import find, of_session, sweep

START = 400.0  # seconds that a program may take besides its bound
POLL = 0.1

Job = tuple[str, str, float]  # scenario, kind, bound


def play_all(
    jobs: Iterable[Job], directory: Path, *, together: int, tell: Callable[[Outcome], None] | None = None
) -> dict[tuple[str, str], Outcome]:
    """Play scenarios, several at a time.

    Args:
        jobs: scenario, ``ours`` or ``stock``, and seconds after the fault that are waited for.
        directory: for the programs' logs.
        together: how many at a time.
        tell: called with each outcome as it comes, from threads.

    Returns:
        Outcomes by scenario and kind.

    Raises:
        DiasporaError: a program ended without an outcome.
    """

    def one(job: Job) -> tuple[tuple[str, str], Outcome]:
        scenario, kind, bound = job
        found = play(scenario, kind, bound, directory / f"{scenario}-{kind}")
        if tell is not None:
            tell(found)
        return (scenario, kind), found

    with ThreadPoolExecutor(together, thread_name_prefix="scenario") as pool:
        return dict(pool.map(one, list(jobs)))


def play(scenario: str, kind: str, bound: float, directory: Path) -> Outcome:
    """Play one scenario.

    Args:
        scenario: a key of `SCENARIOS`.
        kind: ``ours`` or ``stock``.
        bound: seconds after the fault that are waited for.
        directory: for the program's logs.

    Raises:
        DiasporaError: the program ended without an outcome.
    """
    directory.mkdir(parents=True, exist_ok=True)
    mark = f"fault-{uuid.uuid4().hex[:12]}"
    words = [scenario, kind, "--mark", mark, "--directory", str(directory), "--bound", f"{bound:g}"]
    command = [sys.executable, "-m", "parsl_diaspora.testing.faults.program", *words]
    log = directory / "program.log"
    with log.open("w") as errors:
        program = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=_environment(),
            cwd=directory,
            start_new_session=True,  # by it an interchange is found that stock leaves
        )
    tree: list[psutil.Process] = []
    try:
        line = _line(program, START + bound)
        tree = _below(program.pid)
        if line == READY:
            return _kill_program(program, Outcome(scenario=scenario, kind=kind, bound=bound), mark, tree)
        if not line:
            hint = f"Its last words are in {log}."
            raise DiasporaError(f"The {kind} program of {scenario!r} ended without an outcome.", hint=hint)
        return decode(line)
    finally:
        tree += _below(program.pid)
        program.kill()
        program.wait()
        if program.stdout is not None:
            program.stdout.close()
        left = [process.pid for process in tree if process.is_running()]
        sweep(mark, extra=[*left, *of_session(program.pid)])


def _environment() -> dict[str, str]:
    """Parsl starts its helpers by name, and they must find what we have found."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    modules = os.pathsep.join(entry for entry in sys.path if entry and Path(entry).is_dir())
    return {**os.environ, "PATH": path, "PYTHONPATH": os.environ.get("PYTHONPATH") or modules}


def _line(program: subprocess.Popen[str], timeout: float) -> str:
    """The program's one line; empty if it ended without one, or did not say it in time."""
    late = threading.Timer(timeout, program.kill)
    late.start()
    try:
        return program.stdout.readline().strip() if program.stdout is not None else ""
    finally:
        late.cancel()


def _below(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _kill_program(
    program: subprocess.Popen[str], found: Outcome, mark: str, tree: list[psutil.Process]
) -> Outcome:
    began = time.monotonic()
    program.send_signal(signal.SIGKILL)
    program.wait()
    while time.monotonic() - began < found.bound:
        if not find(mark) and not any(map(is_alive, tree)):
            found.gone = time.monotonic() - began
            break
        time.sleep(POLL)
    return found
