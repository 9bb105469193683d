"""Daemons that end with the tests, and all that they started too."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

MARK = "_TESTS_SLURM"  # in the environment of each daemon, of their helpers, and of each job
NODE = "_TESTS_SLURM_NODE"
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def start(command: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen:
    """Start a daemon in a session of its own, killed when this process ends."""
    with log.open("ab") as file:
        return subprocess.Popen(
            command,
            env=environment,
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - two system calls, and no lock is taken
        )


def start_guard(mark: str) -> subprocess.Popen:
    """Start a process that outlives this one by a moment, to end what carries the mark."""
    return subprocess.Popen(
        [sys.executable, "-c", _GUARD, str(Path(__file__).parents[3]), mark, str(os.getpid())],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        # else it would be one of those that it ends
        env={name: value for name, value in os.environ.items() if name not in {MARK, NODE}},
    )


_GUARD = """
import sys
sys.path.insert(0, sys.argv[1])
from tests.services.slurm.processes import guard
guard(sys.argv[2], int(sys.argv[3]))
"""


def guard(mark: str, parent: int) -> None:
    """Wait for the end of the parent, then end what carries the mark."""
    signals = {signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == parent:
        signal.sigwait(signals)
    kill_marked(mark)


def kill_marked(mark: str, node: str | None = None) -> None:
    """Kill all that carries the mark, or only what belongs to a node, until nothing of it is left."""
    while found := marked(mark, node):
        for each in found:
            with suppress(psutil.Error):
                each.kill()
        psutil.wait_procs(found, timeout=2.0)


def marked(mark: str, node: str | None = None) -> list[psutil.Process]:
    """Daemons, what they started, and jobs, by the mark in their environment; keepers of jobs first."""
    steps, others = [], []
    for each in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if each.name() == "slurmstepd" and _is_step_of(each, mark, node):
                steps.append(each)
            elif _is_marked(each.environ(), mark, node):
                others.append(each)
    # A step that outlives its job by a moment would tell slurmctld of the job's end.
    return [each for each in (*steps, *others) if _goes_on(each)]


def _is_marked(environment: dict[str, str], mark: str, node: str | None) -> bool:
    nodes = {environment.get(NODE), environment.get("SLURMD_NODENAME")}
    return environment.get(MARK) == mark and (node is None or node in nodes)


def _is_step_of(step: psutil.Process, mark: str, node: str | None) -> bool:
    """Whether it keeps a job of this cluster: its title lies over its environment, but it listens."""
    if _is_marked(step.environ(), mark, node):
        return True
    place = f"{mark}/spool/{node}/" if node else f"{mark}/spool/"
    return any(str(each.laddr).startswith(place) for each in step.net_connections(kind="unix"))


def _goes_on(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setsid()
