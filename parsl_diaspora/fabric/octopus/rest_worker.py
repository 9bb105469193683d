"""A thread that asks the web service, so that nobody else waits for it longer than he wants to."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any


class Worker:
    """Works off questions one after the other, in a thread that is started with the first one."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._questions: SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def ask(self, question: Callable[[], Any]) -> Future[Any]:
        """The future answer."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=_work, args=(self._questions,), name=self._name, daemon=True
            )
            self._thread.start()
        future: Future[Any] = Future()
        self._questions.put((question, future))
        return future

    def close(self, timeout: float) -> None:
        """End the thread when it has worked off what there is; wait some seconds for that."""
        if self._thread is not None:
            self._questions.put(None)
            self._thread.join(timeout)
            self._thread = None


def _work(questions: SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None]) -> None:
    while (item := questions.get()) is not None:
        question, future = item
        try:
            future.set_result(question())
        except Exception as error:  # noqa: BLE001 - whoever asked gets it
            future.set_exception(error)
        del question, future, item
