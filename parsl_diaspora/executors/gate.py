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

import msgspec
from parsl.app.errors import RemoteExceptionWrapper
from parsl.serialize import deserialize

from parsl_diaspora.errors import ExceptionUnreadable, ResultUnreadable
from parsl_diaspora.events import Failure
from parsl_diaspora.executors.errors import RunnerUnusable
from parsl_diaspora.executors.launch import MAGIC, Report, read_report, unseal
from parsl_diaspora.executors.plain import PICKLED
from parsl_diaspora.failures.evidence import clean_text

logger = logging.getLogger(__name__)

CONTROL = -1
_BEGINNING = 32  # bytes in which a pickle of bytes comes to these bytes

#: What unpickling may raise; a module that exits when it is imported must not end the thread of results.
_WHATEVER = (Exception, SystemExit)


class _Queue(Protocol):
    def get(self, timeout_ms: int | None = None) -> bytes | list[bytes] | None: ...


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

    def get(self, timeout_ms: int | None = None) -> bytes | list[bytes] | None:
        """The interchange's control messages, or None when there were none: results are dealt with here.

        Parsl before 2026.10.05 hands over lists of messages, later releases one message at a time.
        """
        raw = self._queue.get(timeout_ms=timeout_ms)
        if isinstance(raw, list):
            return [each for each in raw if self._is_control(each)] or None
        return raw if raw is not None and self._is_control(raw) else None

    def _is_control(self, raw: bytes) -> bool:
        try:
            message = pickle.loads(raw)  # noqa: S301 - from Parsl's own interchange, as in stock HTEX
            if message["task_id"] == CONTROL:
                return True
            self._accept(message)
        except Exception as error:  # noqa: BLE001 - whatever arrives, the executor must go on
            self._drop(_words(error))
        return False

    def _accept(self, message: dict[str, Any]) -> None:
        future = self._tasks.pop(message["task_id"], None)
        if future is None:
            self._drop("it is of no task that is under way")
            return
        if future.done():  # as after a worker's death, which its supervisor tells sooner than its manager
            self.dropped += 1
            logger.debug("A late result of task %s was dropped.", message["task_id"])
            return
        if "result" in message:
            end = self._read_result(future, message["result"])
        else:
            end = None, _exception(message.get("exception"), future)
        if end is not None:
            complete(future, *end)

    def _read_result(self, future: Future[Any], payload: bytes) -> tuple[Any, BaseException | None] | None:
        """Result and error, of which one is None; None if the try was handed back and goes on."""
        ours = _went_to_our_runner(future)  # else it is the app's own, even if it looks like ours
        outcome = _rebuild(payload, plain=ours and MAGIC in payload[:_BEGINNING])
        if not ours or (parts := unseal(outcome)) is None:
            return _outcome(outcome)
        header, body = parts
        try:
            report = read_report(header)
            if self._on_report(future, report):
                return None
        except Exception as error:  # noqa: BLE001 - another release's report or our fault: the result still counts
            logger.warning("A try's report was not understood (%s); its result is taken.", _words(error))
            return _outcome(_rebuild(body))
        return _open_body(body, report)

    def _drop(self, why: str) -> None:
        self.dropped += 1
        if self.dropped == 1:
            logger.warning("parsl_diaspora: a result was dropped: %s; further ones are only counted.", why)


def complete(future: Future[Any], result: Any, error: BaseException | None) -> None:
    """Give a future its one end; a second one is absorbed."""
    try:
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
    except InvalidStateError:
        logger.debug("A future that had ended was ended again; the first end holds.")
    except BaseException as fault:  # noqa: BLE001 - a callback of the program's own that exits: this thread serves others
        logger.warning("A callback of a future ended with %s; it has its end.", _words(fault))


_OF_RESULTS = (
    "Return what can be pickled, of classes that can be imported here; or a file's path in its place."
)
_OF_EXCEPTIONS = (
    "An exception class must pass all its arguments to super().__init__() and be importable here."
)


def _rebuild(payload: bytes, *, plain: bool = False) -> Any:
    try:
        if plain and payload.startswith(PICKLED):
            return pickle.loads(payload[len(PICKLED) :])  # noqa: S301 - as deserialize would, in a tenth of the time
        return deserialize(payload)
    except _WHATEVER as error:
        message = f"The result cannot be rebuilt on the submit side: {_words(error)}."
        return ResultUnreadable(message, hint=_OF_RESULTS)


def _open_body(body: bytes, report: Report) -> tuple[Any, BaseException | None]:
    if report.failure is None:
        outcome = _rebuild(body, plain=report.plain)
        if isinstance(outcome, ResultUnreadable):
            outcome.place = _place(report)
        return _outcome(outcome)
    try:
        return None, deserialize(body).get_exception()
    except _WHATEVER as error:  # an exception class that cannot be rebuilt is common
        return None, _unreadable(report.failure, report, error)


def _outcome(outcome: Any) -> tuple[Any, BaseException | None]:
    if isinstance(outcome, ResultUnreadable):
        return None, outcome
    if not isinstance(outcome, RemoteExceptionWrapper):
        return outcome, None
    try:
        return None, outcome.get_exception()
    except _WHATEVER as fault:
        message = f"The exception cannot be rebuilt here: {_words(fault)}."
        return None, ExceptionUnreadable(message, hint=_OF_EXCEPTIONS)


def _exception(payload: bytes | None, future: Future[Any]) -> BaseException:
    if payload is None:
        return ResultUnreadable(
            "A message came for this task with neither a result nor an exception.", hint=_OF_RESULTS
        )
    try:
        found = deserialize(payload)
        error = found.get_exception() if isinstance(found, RemoteExceptionWrapper) else found
    except _WHATEVER as fault:
        message = f"The exception cannot be rebuilt on the submit side: {_words(fault)}."
        return ExceptionUnreadable(message, hint=_OF_EXCEPTIONS)
    if not isinstance(error, BaseException):
        return ExceptionUnreadable(
            f"In place of an exception came a {type(error).__name__}.", hint=_OF_EXCEPTIONS
        )
    return _runner_unusable(error) if _is_of_our_runner(error, future) else error


def _went_to_our_runner(future: Future[Any]) -> bool:
    return getattr(future, "launch", None) is not None


def _is_of_our_runner(error: BaseException, future: Future[Any]) -> bool:
    """What an app raises comes in the runner's envelope, so this is about importing or calling the runner."""
    kinds = ImportError | AttributeError | msgspec.MsgspecError
    return _went_to_our_runner(future) and isinstance(error, kinds)


def _runner_unusable(error: BaseException) -> RunnerUnusable:
    unusable = RunnerUnusable(
        f"The workers cannot run this package's part: {_words(error)}.",
        hint="Install this release of parsl-diaspora where the workers run: see worker_init of the provider.",
    )
    unusable.__cause__ = error
    return unusable


def _unreadable(failure: Failure, report: Report, error: BaseException) -> ExceptionUnreadable:
    return ExceptionUnreadable(
        f"{failure.type}: {failure.message} (the exception itself cannot be rebuilt here: {_words(error)})",
        chain=failure.chain,
        traceback=failure.traceback,
        place=_place(report),
        hint=_OF_EXCEPTIONS,
    )


def _place(report: Report) -> str:
    return f"node={report.node} block={report.block} manager={report.manager} worker={report.worker}"


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {clean_text(lambda: str(error), None)}"
