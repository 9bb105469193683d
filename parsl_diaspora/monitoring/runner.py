"""On the worker: runs one try and tells where, whether it succeeds, fails, or is killed in the middle.

The start is written to the fabric before function and arguments are touched, so a killed worker has told
where it was. The end travels back with the result, in plain data that the submit side can always read.
"""

from __future__ import annotations

import os
import time
from functools import lru_cache
from typing import Any

from parsl.app.errors import RemoteExceptionWrapper
from parsl.serialize import serialize

from parsl_diaspora.events import Failure, TryStarted
from parsl_diaspora.executors.launch import MAX_DECLINES, Launch, Report, pack, read_launch, seal
from parsl_diaspora.executors.plain import PICKLED, dumps, serialize_bytes_fast, unpack_call
from parsl_diaspora.fabric import Publisher, open_fabric
from parsl_diaspora.fabric.stamp import default_source
from parsl_diaspora.failures.evidence import describe, named_redactor
from parsl_diaspora.monitoring import orders
from parsl_diaspora.monitoring.task import TaskContext, set_current

_unsaid = ""


def run(buffer: bytes, header: bytes) -> bytes:
    """Run one try; named in the task's context, so Parsl's worker calls it in place of its own function.

    Args:
        buffer: function and arguments as Parsl packed them.
        header: a packed `Launch`.

    Returns:
        A packed `Report` and the serialized result or exception, sealed as one.
    """
    launch = read_launch(header)
    report = _here()
    if report.manager in launch.avoid and launch.declined < MAX_DECLINES:
        report.declined = True
        return seal(pack(report), b"")
    _say_started(launch, report)
    started = time.monotonic()
    set_current(_context(launch, report))
    try:
        body = _run(buffer, launch, report)
    finally:
        set_current(None)
    report.seconds = time.monotonic() - started
    report.unsaid = _unsaid
    return seal(pack(report), body)


def _run(buffer: bytes, launch: Launch, report: Report) -> bytes:
    try:
        function, args, kwargs = unpack_call(buffer, plain=launch.plain)
    except Exception as error:  # noqa: BLE001 - unpickling the user's objects may raise anything
        return _failed(error, "unpack", launch, report)
    try:
        outcome = function(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 - the app's own failure, to be reported
        return _failed(error, "run", launch, report)
    if isinstance(outcome, RemoteExceptionWrapper):  # Parsl's apps return what they raise
        return _failed(outcome.e_value, "run", launch, report, outcome)
    try:
        return _serialized(outcome, report)
    except Exception as error:  # noqa: BLE001 - pickling the user's result may raise anything
        return _failed(error, "pack", launch, report)


def _serialized(outcome: Any, report: Report) -> bytes:
    pickled = dumps(outcome)
    report.plain = pickled is not None
    return serialize(outcome) if pickled is None else PICKLED + pickled


def _failed(
    error: BaseException,
    phase: str,
    launch: Launch,
    report: Report,
    wrapper: RemoteExceptionWrapper | None = None,
) -> bytes:
    report.failure = _describe(error, phase, launch)
    wrapper = wrapper or RemoteExceptionWrapper(type(error), error, error.__traceback__)
    try:
        return serialize(wrapper)
    except Exception:  # noqa: BLE001 - it cannot travel; the description does
        return b""


def _describe(error: BaseException, phase: str, launch: Launch) -> Failure:
    redact = named_redactor(launch.redact) if launch.redact else None
    return describe(error, phase=phase, traceback_limit=launch.traceback_limit, redact=redact)


def _here() -> Report:
    manager = os.environ.get("PARSL_WORKER_POOL_ID", "")
    block, worker, node = _place(manager)
    return Report(block=block, manager=manager, worker=worker, node=node, pid=os.getpid())


@lru_cache(maxsize=1)
def _place(manager: str) -> tuple[str, int, str]:
    """This manager's block, the rank of this worker of it, and the node: a worker's never change."""
    del manager
    serialize_bytes_fast()
    environ = os.environ
    block, rank = environ.get("PARSL_WORKER_BLOCK_ID", ""), environ.get("PARSL_WORKER_RANK", "-1")
    return block, int(rank), os.uname().nodename


def _context(launch: Launch, report: Report) -> TaskContext:
    return TaskContext(
        run=launch.run,
        task=launch.task,
        attempt=launch.try_id,
        executor=launch.executor,
        block=report.block,
        manager=report.manager,
        node=report.node,
    )


def _say_started(launch: Launch, report: Report) -> None:
    global _unsaid  # noqa: PLW0603 - told with each report of this worker
    publisher = _publisher(launch.url, launch.run, launch.executor)
    if publisher is None:
        return
    event = TryStarted(
        run=launch.run,
        task=launch.task,
        try_id=launch.try_id,
        executor=launch.executor,
        pid=report.pid,
        manager_pid=os.getppid(),
    )
    report.put_place_on(event)
    publisher.publish(event)
    if publisher.flush(0.0).lost:
        _unsaid = f"a worker on {report.node} could not write its events"


@lru_cache(maxsize=4)
def _publisher(url: str, run: str, executor: str) -> Publisher | None:
    global _unsaid  # noqa: PLW0603 - told with each report of this worker
    if not url:
        _unsaid = "the run's fabric cannot be reached from workers"
        return None
    try:
        return _open(url, run, executor)
    except Exception as error:  # noqa: BLE001 - a backend may lack its library here: the try runs all the same
        _unsaid = str(error) or type(error).__name__
        return None


def _open(url: str, run: str, executor: str) -> Publisher:
    """A publisher that writes at once; one that goes through a relay also takes orders."""
    source = default_source("worker")
    if not url.startswith("relay:"):
        return open_fabric(url).publisher(source, immediate=True)
    from parsl_diaspora.fabric.relay import RelayFabric

    here = _here()
    place: dict[str, Any] = {"run": run, "executor": executor, "block": here.block, "manager": here.manager}
    place |= {"node": here.node, "worker": here.worker, "pid": here.pid}
    return RelayFabric(url).publisher(source, immediate=True, on_order=orders.take, place=place)
