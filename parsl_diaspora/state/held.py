"""Tasks that somebody must release, as the events of a run tell of them."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from parsl_diaspora.events import Event, TaskHeld


class HeldTask(msgspec.Struct, frozen=True, kw_only=True):
    """One held task.

    Attributes:
        task: Parsl's task id.
        number: of the reason.
        reason: in words.
        suggestion: what may be done about it.
        owner: who holds it.
        failure_class: of its last failure; empty if it has not failed.
        executor: label.
        since: seconds UTC.
    """

    task: int
    number: int = 0
    reason: str = ""
    suggestion: str = ""
    owner: str = ""
    failure_class: str = ""
    executor: str = ""
    since: float = 0.0


class HeldTasks:
    """The held tasks of one run.

    Example:
        >>> held = HeldTasks()
        >>> held.put(TaskHeld(task=7, number=1, owner="ada"))
        >>> [each.owner for each in held]
        ['ada']
        >>> held.lift(TaskHeld(task=7))
        >>> list(held)
        []
    """

    def __init__(self) -> None:
        self._by_task: dict[int, HeldTask] = {}

    def __iter__(self) -> Iterator[HeldTask]:
        return iter(list(self._by_task.values()))  # other threads add and remove

    def __len__(self) -> int:
        return len(self._by_task)

    def __contains__(self, task: object) -> bool:
        return task in self._by_task

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HeldTasks) and self._by_task == other._by_task

    __hash__ = None  # type: ignore[assignment]

    def put(self, event: TaskHeld) -> None:
        """A task is held; a later word on the same task replaces the earlier one."""
        number = event.task if event.task is not None else -1
        self._by_task[number] = HeldTask(
            task=number,
            number=event.number,
            reason=event.reason,
            suggestion=event.suggestion,
            owner=event.owner,
            failure_class=event.failure_class,
            executor=event.executor or "",
            since=event.time,
        )

    def lift(self, event: Event) -> None:
        """A task is released, or has ended."""
        if self._by_task:
            self._by_task.pop(event.task if event.task is not None else -1, None)
