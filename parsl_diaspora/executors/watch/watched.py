"""What the watch needs of an executor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from parsl.jobs.states import JobStatus

from parsl_diaspora.executors.withdrawing import Withdrawals

#: As the interchange lists them.
ManagerRecord = dict[str, Any]


class Watched(Protocol):
    """An executor with blocks, managers and an interchange."""

    label: str
    unsaid: str
    heartbeat_threshold: int
    blocks_to_job_id: dict[str, Any]
    interchange_proc: Any

    @property
    def withdrawals(self) -> Withdrawals:
        """Tasks that are being taken back."""
        ...

    @property
    def provider(self) -> Any:
        """Where its blocks come from."""
        ...

    @property
    def known_managers(self) -> Sequence[ManagerRecord]:
        """Managers as they were last listed."""
        ...

    @property
    def tasks(self) -> Mapping[Any, Future[Any]]:
        """Futures by the executor's own numbers."""
        ...

    @property
    def status_facade(self) -> Mapping[str, JobStatus]:
        """Blocks by id, as Parsl last saw them."""
        ...

    @property
    def reachable(self) -> bool:
        """Whether the interchange can be asked."""
        ...

    def connected_managers(self) -> list[ManagerRecord]:
        """The interchange's list of managers."""
        ...

    def end_block(self, block: str) -> None:
        """End one block's job."""
        ...


def future_of(executor: Watched, task: int | None, try_id: int | None) -> Future[Any] | None:
    """The future of a try that the executor has not seen the end of; None if there is none."""
    for future in list(executor.tasks.values()):
        launch = getattr(future, "launch", None)
        if launch is not None and (launch.task, launch.try_id) == (task, try_id):
            return future
    return None
