"""Tasks are taken back from an executor's interchange before any manager has them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from parsl_diaspora.executors.agent.control import Sightings

#: Told once whether a task was taken back.
Answer = Callable[[bool], None]


class Withdrawals:
    """Tasks of one executor that are being taken back.

    Args:
        tasks: the executor's futures by its own numbers.
    """

    def __init__(self, tasks: dict[Any, Future[Any]]) -> None:
        self._tasks = tasks
        self._lock = threading.Lock()
        self._asked: dict[int, Answer] = {}

    @property
    def numbers(self) -> frozenset[int]:
        """Of the tasks that are being taken back."""
        return frozenset(list(self._asked)) if self._asked else _NONE

    def ask(self, future: Any, answer: Answer) -> None:
        """Take a task back. The answer comes in another thread; it is no if the task ends first."""
        number = int(future.parsl_executor_task_id)
        with self._lock:
            self._asked[number] = answer
        future.add_done_callback(lambda _: self._answer(number, taken=False))

    def look(self, seen: Sightings) -> None:
        """See what the interchange has to say of them."""
        for number in seen.withdrawn & self.numbers:
            future = self._tasks.pop(number, None)
            self._answer(number, taken=future is not None and not future.done())
        for number in seen.begun & self.numbers:
            self._answer(number, taken=False)

    def _answer(self, number: int, *, taken: bool) -> None:
        with self._lock:
            answer = self._asked.pop(number, None)
        if answer is not None:
            answer(taken)


_NONE: frozenset[int] = frozenset()
