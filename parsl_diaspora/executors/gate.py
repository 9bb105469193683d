"""The only way in for results.

Stock HTEX ends its result thread, silently and for good, when a result cannot be unpickled, arrives late,
or belongs to an unknown task. Here each message is handled, absorbed or counted before the stock loop sees
it; the loop gets only the interchange's own control messages.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from typing import Any, Protocol

from parsl.app.errors import RemoteExceptionWrapper
from parsl.serialize import deserialize

from parsl_diaspora.errors import ExceptionUnreadable, ResultUnreadable
from parsl_diaspora.events import Failure
from parsl_diaspora.executors.launch import MAGIC, Report, read_report

logger = logging.getLogger(__name__)

CONTROL = -1


class _Queue(Protocol):
    def get(self, timeout_ms: int | None = None) -> bytes | None: ...


class ResultGate:
    """Stands in front of the executor's queue of results and completes its futures.

    Args:
        queue: Parsl's queue of results.
        tasks: the executor's futures by its own task ids.
        on_report: called with (future, report) before the future is completed; True keeps it open.

    Attributes:
        dropped: late, foreign or undecodable messages.
    """

    def __init__(
        self, queue: _Queue, tasks: dict[object, Future[Any]], on_report: Callable[[Any, Report], bool]
    ) -> None:
        self._queue = queue
        self._tasks = tasks
        self._on_report = on_report
        self.dropped = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    def get(self, timeout_ms: int | None = None) -> bytes | None:
        """One control message, or None when there was none: results are dealt with here."""
        raw = self._queue.get(timeout_ms=timeout_ms)
        if raw is None:
            return None
        try:
            message = pickle.loads(raw)  # noqa: S301 - from Parsl's own interchange, as in stock HTEX
            if message["task_id"] == CONTROL:
                return raw
            self._accept(message)
        except Exception as error:  # noqa: BLE001 - whatever arrives, the executor must go on
            self._drop(f"{type(error).__name__}: {error}")
        return None

    def _accept(self, message: dict[str, Any]) -> None:
        future = self._tasks.pop(message["task_id"], None)
        if future is None or future.done():
            self._drop("it is late, or of another run")
            return
        if "result" in message:
            self._accept_result(future, message["result"])
        else:
            complete(future, *_exception(message["exception"]))

    def _accept_result(self, future: Future[Any], payload: bytes) -> None:
        outcome = _rebuild(payload)
        if not _is_envelope(outcome):
            complete(future, *_outcome(outcome))
            return
        _, header, body = outcome
        report = read_report(header)
        if not self._on_report(future, report):
            complete(future, *_open_body(body, report))

    def _drop(self, why: str) -> None:
        self.dropped += 1
        if self.dropped == 1:
            logger.warning("A result was dropped (%s); further ones are only counted.", why)


def complete(future: Future[Any], result: Any, error: BaseException | None) -> None:
    """Give a future its one end; a second one is absorbed."""
    try:
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
    except InvalidStateError:
        logger.debug("A future that had ended was ended again; the first end holds.")


def _is_envelope(outcome: Any) -> bool:
    return isinstance(outcome, tuple) and len(outcome) == 3 and outcome[0] == MAGIC  # noqa: PLR2004


def _rebuild(payload: bytes) -> Any:
    try:
        return deserialize(payload)
    except Exception as error:  # noqa: BLE001 - the user's classes decide what can happen here
        return ResultUnreadable(f"The result cannot be rebuilt on the submit side: {_words(error)}.")


def _open_body(body: bytes, report: Report) -> tuple[Any, BaseException | None]:
    if report.failure is None:
        outcome = _rebuild(body)
        if isinstance(outcome, ResultUnreadable):
            outcome.place = _place(report)
        return _outcome(outcome)
    try:
        return None, deserialize(body).get_exception()
    except Exception as error:  # noqa: BLE001 - an exception class that cannot be rebuilt is common
        return None, _unreadable(report.failure, report, error)


def _outcome(outcome: Any) -> tuple[Any, BaseException | None]:
    if isinstance(outcome, ResultUnreadable):
        return None, outcome
    if isinstance(outcome, RemoteExceptionWrapper):
        return None, outcome.get_exception()
    return outcome, None


def _exception(payload: bytes) -> tuple[Any, BaseException | None]:
    try:
        found = deserialize(payload)
        error = found.get_exception() if isinstance(found, RemoteExceptionWrapper) else found
    except Exception as fault:  # noqa: BLE001 - the user's classes decide what can happen here
        return None, ExceptionUnreadable(
            f"The exception cannot be rebuilt on the submit side: {_words(fault)}."
        )
    if isinstance(error, BaseException):
        return None, error
    return None, ExceptionUnreadable(f"In place of an exception came a {type(error).__name__}.")


def _unreadable(failure: Failure, report: Report, error: Exception) -> ExceptionUnreadable:
    return ExceptionUnreadable(
        f"{failure.type}: {failure.message} (the exception itself cannot be rebuilt here: {_words(error)})",
        chain=failure.chain,
        traceback=failure.traceback,
        place=_place(report),
        hint="An exception class must pass all its arguments to super().__init__() and be importable here.",
    )


def _place(report: Report) -> str:
    return f"node={report.node} block={report.block} manager={report.manager} worker={report.worker}"


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
