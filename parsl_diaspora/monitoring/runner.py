"""On the worker: runs one try and tells where, whether it succeeds, fails, or is killed in the middle.

The start is written to the fabric before function and arguments are touched, so a killed worker has told
where it was; the board tells its node's supervisor the same. The end travels back with the result, in plain
data that the submit side can always read.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from parsl.app.errors import AppTimeout, RemoteExceptionWrapper

from parsl_diaspora.errors import TaskStopped
from parsl_diaspora.events import Failure
from parsl_diaspora.executors.launch import Launch, Report, pack, read_launch, seal
from parsl_diaspora.executors.plain import serialize_bytes_fast, unpack_call
from parsl_diaspora.executors.supervision.board import own_slot
from parsl_diaspora.failures.evidence import describe, named_redactor
from parsl_diaspora.monitoring.task import begin_task, end_task, own_checkpoints, waits_for_predecessor
from parsl_diaspora.monitoring.worker import leaving, packing, speaking
from parsl_diaspora.monitoring.worker.children import begun, end_children
from parsl_diaspora.monitoring.worker.declining import declines
from parsl_diaspora.monitoring.worker.ending import as_failure, exit_code
from parsl_diaspora.monitoring.worker.peak import PeakMemory
from parsl_diaspora.monitoring.worker.place import here
from parsl_diaspora.monitoring.worker.restoring import WorkerState, state_of_worker
from parsl_diaspora.monitoring.worker.stderr import last_words
from parsl_diaspora.monitoring.worker.stopping import Leave, Stop, Stopping

if TYPE_CHECKING:
    from parsl_diaspora.checkpoint.instructions import Instructions


class Runner:
    """What one worker keeps between its tries. Made with the first of them, in the worker itself."""

    def __init__(self) -> None:
        serialize_bytes_fast()
        self.slot = own_slot()
        self.stopping = Stopping(self.slot)
        self.peak = PeakMemory()
        self.state = state_of_worker()  # last: what the others did stays

    def run(self, buffer: bytes, launch: Launch, report: Report) -> bytes:
        """Run a try on this worker; the packed result or exception."""
        leaving.stay()
        slot = self.slot
        if slot is not None:
            slot.enter(report.pid, launch.task, launch.try_id)
        try:
            speaking.say_started(launch, report)
            return self._measured(buffer, launch, report)
        finally:
            if slot is not None:
                slot.leave()

    def _measured(self, buffer: bytes, launch: Launch, report: Report) -> bytes:
        if self.state is not None:
            self.state.begin()
        self.peak.begin()
        used, started = _cpu_seconds(), time.monotonic()
        begin_task(launch, report, self.slot)
        try:
            outcome, phase = self._call(buffer, launch)
        except BaseException as error:  # noqa: BLE001 - a stop that came while another end was dealt with
            outcome, phase = _Raised(error), "run"
        if waits_for_predecessor() and not isinstance(outcome, _Raised):
            outcome = _Raised(Leave("it restored no state, so it cannot stand in for the try that runs"))
        if os.getpid() != report.pid:
            _leave_to_the_worker(outcome)
        report.seconds = time.monotonic() - started
        report.memory = self.peak.end(report.seconds)
        report.cpu = round(_cpu_seconds() - used, 3) or None
        raised = outcome.error if isinstance(outcome, _Raised) else None
        end_task(done=raised is None, stopped=isinstance(raised, Stop))
        if launch.restore and self.state is not None:
            self._restore(self.state, report)
        return _packed(outcome, phase, launch, report, started)

    def _call(self, buffer: bytes, launch: Launch) -> tuple[Any, str]:
        """What came of the try and in which phase it ended."""
        phase, kwargs = "unpack", {}
        try:
            self.stopping.armed = True
            function, args, kwargs = unpack_call(buffer, plain=launch.plain)
            phase = "run"
            if launch.checkpoint is not None and launch.checkpoint.files:
                function = _with_files(function, launch.checkpoint)
            outcome = function(*args, **kwargs)
            self.stopping.armed = False
        except BaseException as error:  # noqa: BLE001 - whatever the app raises, exits included, is to be reported
            self.stopping.armed = False
            return _Raised(error, said=last_words(error, kwargs)), phase
        if isinstance(outcome, RemoteExceptionWrapper):  # Parsl's apps return what they raise
            return _Raised(outcome.e_value, outcome, last_words(outcome.e_value, kwargs)), phase
        return outcome, phase

    def _restore(self, state: WorkerState, report: Report) -> None:
        state.restore(report.seconds)
        if state.stuck:
            report.stuck = state.stuck
            leaving.leave_after_this_try()


def _with_files(function: Callable[..., Any], told: Instructions) -> Callable[..., Any]:
    """The function, which finds the files of its program as they were saved, and has them saved."""
    from parsl_diaspora.monitoring.worker.program_files import ProgramFiles
    from parsl_diaspora.monitoring.worker.program_saves import FileCheckpoints

    checkpoints = own_checkpoints()
    if not isinstance(checkpoints, FileCheckpoints):
        return function  # they can be kept nowhere from here
    files = ProgramFiles(checkpoints, told.files, exit_code=told.exit_code, signal=told.signal)
    return partial(files.call, function)


def _cpu_seconds() -> float:
    """Of this process and of children that it has waited for, as bash apps have; to 10 ms."""
    return sum(os.times()[:4])


class _Raised:
    """In place of a result."""

    __slots__ = ("error", "said", "wrapper")

    def __init__(
        self, error: BaseException, wrapper: RemoteExceptionWrapper | None = None, said: str = ""
    ) -> None:
        self.error = error
        self.wrapper = wrapper
        self.said = said


_runner: Runner | None = None


def run(buffer: bytes, header: bytes) -> bytes:
    """Run one try; named in the task's context, so Parsl's worker calls it in place of its own function.

    Args:
        buffer: function and arguments as Parsl packed them.
        header: a packed `Launch`.

    Returns:
        A packed `Report` and the serialized result or exception, sealed as one.
    """
    global _runner  # noqa: PLW0603 - one for the life of the worker
    launch = read_launch(header)
    report = here()
    if declines(launch, report):
        report.declined = True
        return seal(pack(report), b"")
    if _runner is None:
        _runner = Runner()
    body = _runner.run(buffer, launch, report)
    report.unsaid = speaking.unsaid()
    return seal(pack(report), body)


def _packed(outcome: Any, phase: str, launch: Launch, report: Report, started: float) -> bytes:
    if isinstance(outcome, _Raised):
        return _failed(outcome, phase, launch, report, started)
    try:
        return packing.pack_result(outcome, report)
    except BaseException as error:  # noqa: BLE001 - pickling the program's result may raise anything
        return _failed(_Raised(error), "pack", launch, report, started)


def _failed(raised: _Raised, phase: str, launch: Launch, report: Report, started: float) -> bytes:
    error = as_failure(raised.error)
    if isinstance(error, AppTimeout | TaskStopped):  # it was cut short, and so is what it has started
        end_children(begun() - (time.monotonic() - started))
    report.failure = _describe(error, phase, launch, raised.said)
    return packing.pack_exception(error, raised.wrapper if error is raised.error else None)


def _leave_to_the_worker(outcome: Any) -> None:
    """A child that the task forked came back out of it: it ends here, as only the worker itself reports."""
    error = outcome.error if isinstance(outcome, _Raised) else None
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    os._exit(exit_code(error.code) if isinstance(error, SystemExit) else int(error is not None))


def _describe(error: BaseException, phase: str, launch: Launch, said: str) -> Failure:
    redact = named_redactor(launch.redact) if launch.redact else None
    return describe(error, phase=phase, traceback_limit=launch.traceback_limit, redact=redact, stderr=said)
