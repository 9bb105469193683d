"""A member of a pool as Parsl's kernel sees it: under its own label, with the pool behind it.

With these, everything that knows executors by label knows members: retries, quarantines, holds, reports.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from parsl.executors.base import ParslExecutor

if TYPE_CHECKING:
    from parsl_diaspora.executors.pool.executor import PoolExecutor


class MemberFace(ParslExecutor):
    """Stands among a configuration's executors for one member of a pool.

    Args:
        pool: which starts, scales and ends the member.
        label: of the member.
    """

    def __init__(self, pool: PoolExecutor, label: str) -> None:
        self._is_started = False
        super().__init__()
        self.label = label
        self.pool = pool

    @property
    def executor(self) -> Any:
        """That has the member's seat now."""
        return self.pool.seats[self.label].executor

    def start(self) -> None:
        """The pool has started the member already."""
        self._is_started = True

    def submit(
        self, func: Callable[..., Any], resource_specification: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Future[Any]:
        """Through the pool, which knows from the launch that the work is for this member."""
        return self.pool.submit(func, resource_specification, *args, **kwargs)

    def shutdown(self) -> None:
        """The pool does that."""

    def monitor_resources(self) -> bool:
        """As for the pool."""
        return self.pool.monitor_resources()

    @property
    def remote_monitoring_radio(self) -> Any:
        """The pool's: there is one receiver for all members, so none is made for this one."""
        return self.pool.remote_monitoring_radio if self._is_started else None

    @remote_monitoring_radio.setter
    def remote_monitoring_radio(self, radio: Any) -> None:
        """Parsl's constructor sets it."""

    @property
    def storage_access(self) -> Any:
        """As for the pool."""
        return self.pool.storage_access

    @property
    def working_dir(self) -> Any:
        """As for the pool."""
        return self.pool.working_dir

    @property
    def bad_state_is_set(self) -> bool:
        """Whether the member takes no tasks."""
        return bool(self.pool.seats[self.label].wrong)

    @property
    def executor_exception(self) -> Any:
        """Why it takes none."""
        failed = self.pool.seats[self.label].failed
        return RuntimeError(failed) if failed else getattr(self.executor, "executor_exception", None)

    @property
    def is_without_blocks(self) -> bool:
        """Whether it has no block that could run tasks."""
        return bool(getattr(self.executor, "is_without_blocks", False))

    def __repr__(self) -> str:
        return f"MemberFace(label={self.label!r}, pool={self.pool.label!r})"


def executor_behind(executor: Any) -> Any:
    """The executor itself, where Parsl's kernel knows only the face of a pool's member."""
    return executor.executor if isinstance(executor, MemberFace) else executor
