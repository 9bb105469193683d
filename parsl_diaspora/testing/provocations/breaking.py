"""Breaking what is around a task: batch systems that refuse, managers and nodes that go away."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

import psutil
from parsl.providers import LocalProvider
from parsl.providers.errors import SubmitException

from parsl_diaspora.testing.processes import find

#: What sbatch, qsub, bsub and flux write when they refuse a job.
REFUSALS = (
    "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified",
    "qsub: would exceed queue generic's per-user limit of jobs in 'Q' state",
    "bsub: User cannot use the queue. Job not submitted.",
    "flux-mini: ERROR: [Errno 22] Job requests more nodes than queue limit",
)


class RefusingProvider(LocalProvider):
    """A provider whose batch system takes no job.

    Emulated: no batch system is asked, its words are raised as Parsl's providers for clusters raise them.

    Example:
        >>> RefusingProvider(init_blocks=0).submit("true", 1)
        Traceback (most recent call last):
        parsl.providers.errors.SubmitException: ...
    """

    words = REFUSALS[0]

    def submit(self, command: str, tasks_per_node: int, job_name: str = "parsl.refused") -> NoReturn:
        """Refuse.

        Raises:
            SubmitException: always.
        """
        raise SubmitException(job_name, self.words)


def _supervisors(mark: str) -> list[psutil.Process]:
    """The processes of a run's pools that look after the managers."""
    found = [psutil.Process(each.pid) for each in find(mark)]
    return [each for each in found if SUPERVISOR in " ".join(each.cmdline()[:3])]


def kill_managers(mark: str) -> None:
    """Kill each manager alone, as an out-of-memory killer may; what looks after it stays.

    Args:
        mark: of the run, see `parsl_diaspora.testing.processes`.
    """
    for each in find(mark):
        if each.role == "manager":
            _send(psutil.Process(each.pid), signal.SIGKILL)


def kill_nodes(mark: str) -> None:
    """Kill all processes of each pool, what looks after it first, as when nodes lose their power.

    Emulated: the kernel of the node lives on and closes its connections.
    """
    for supervisor in _supervisors(mark):
        for process in [supervisor, *supervisor.children(recursive=True)]:
            _send(process, signal.SIGKILL)


def end_nodes(mark: str) -> None:
    """Tell each node to end by SIGTERM, as a batch system does that takes it back."""
    for supervisor in _supervisors(mark):
        _send(supervisor, signal.SIGTERM)


def _send(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)


SUPERVISOR = "parsl-diaspora-node"

#: How to break a run whose processes carry a mark, by the class that its tasks' failures are then of.
BREAKAGES: dict[str, Callable[[str], None]] = {
    "manager_lost": kill_managers,
    "node_lost": kill_nodes,
    "preempted": end_nodes,
}
