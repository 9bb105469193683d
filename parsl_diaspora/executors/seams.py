"""What we rest on in Parsl without a promise of it, looked for when an executor starts.

A seam that a release of Parsl has lost is named once, and the part of ours that needs it stays out of the
way: that part is then as in stock Parsl. ``tests/contract`` shows for each seam that it does what we think.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from inspect import getsource, unwrap
from types import FunctionType
from typing import Any, NamedTuple

import parsl
from parsl.executors.high_throughput import interchange, process_worker_pool, zmq_pipes
from parsl.executors.high_throughput.executor import HighThroughputExecutor
from parsl.executors.high_throughput.manager_selector import ManagerSelector
from parsl.executors.status_handling import BlockProviderExecutor

from parsl_diaspora.executors.errors import SeamMissing

logger = logging.getLogger(__name__)

Absorb = Callable[[str, BaseException], None]


class Seam(NamedTuple):
    """One thing in Parsl.

    Attributes:
        name: what it is, as in Parsl's source.
        part: of ours that needs it.
        without: what is not done without it, as a clause.
        is_there: whether this release of Parsl has it.
    """

    name: str
    part: str
    without: str
    is_there: Callable[[], bool]


def _uses(owner: type | FunctionType, *names: str) -> Callable[[], bool]:
    """Whether a function, or the methods of a class together, speak of all these attributes."""
    functions = [each for each in vars(owner).values() if isinstance(each, FunctionType)]
    if isinstance(owner, FunctionType):
        functions = [owner]
    spoken = {name for each in functions for name in each.__code__.co_names}
    return lambda: spoken.issuperset(names)


def _has(owner: Any, *names: str) -> Callable[[], bool]:
    return lambda: all(hasattr(owner, name) for name in names)


def _says(function: Any, *texts: str) -> Callable[[], bool]:
    """Whether a function's code holds these texts."""
    code = getattr(unwrap(function), "__code__", None) if function is not None else None
    return lambda: code is not None and set(texts) <= {each for each in code.co_consts if each is not None}


def _holds(module: Any, *texts: str) -> Callable[[], bool]:
    """Whether a program's source holds these texts: what runs as a script can be looked at only there."""
    return lambda: all(text in getsource(module) for text in texts)


_HTEX, _BLOCKS = HighThroughputExecutor, BlockProviderExecutor

SEAMS: tuple[Seam, ...] = (
    Seam(
        "HighThroughputExecutor.start assigning incoming_q, outgoing_q and command_client",
        "gate",
        "results that cannot be read may end the executor",
        _uses(_HTEX, "incoming_q", "outgoing_q", "command_client"),
    ),
    Seam(
        "CommandClient.zmq_socket",
        "commands",
        "commands to the interchange have no time-outs, and a frozen one is not noticed",
        _uses(zmq_pipes.CommandClient, "zmq_socket"),
    ),
    Seam(
        "TasksOutgoing.zmq_socket",
        "pipes",
        "a submission may wait for an interchange that is gone",
        _uses(zmq_pipes.TasksOutgoing, "zmq_socket"),
    ),
    Seam(
        "HighThroughputExecutor._start_local_interchange_process, initialize_scaling, worker_port, "
        "interchange_proc and launch_cmd",
        "interchange",
        "an interchange that dies is not replaced, and its executor is given up",
        lambda: (
            _has(_HTEX, "_start_local_interchange_process", "initialize_scaling")()
            and _uses(_HTEX, "interchange_proc", "worker_port", "launch_cmd", "loopback_address")()
            and _has(zmq_pipes, "CommandClient", "TasksOutgoing", "ResultsIncoming")()
        ),
    ),
    Seam(
        "HighThroughputExecutor._task_counter and tasks",
        "runner",
        "nothing is known of where tries run, and tasks are sent as stock does",
        lambda: _uses(_HTEX, "_task_counter", "outgoing_q")() and _has(_HTEX, "tasks", "submit_payload")(),
    ),
    Seam(
        "context['task_executor'] in process_worker_pool.worker",
        "runner",
        "nothing is known of where tries run, and tasks are sent as stock does",
        _says(getattr(process_worker_pool, "worker", None), "task_executor"),
    ),
    Seam(
        "BlockProviderExecutor._status and _simulated_status",
        "blocks",
        "blocks that are ended on purpose look like failed ones",
        _uses(_BLOCKS, "_status", "_simulated_status"),
    ),
    Seam(
        "BlockProviderExecutor.block_error_handler and handle_errors",
        "block replacement",
        "lost blocks are not replaced",
        lambda: _uses(_BLOCKS, "block_error_handler")() and _has(_BLOCKS, "handle_errors")(),
    ),
    Seam(
        "ManagerSelector.sort_managers and HighThroughputExecutor.manager_selector",
        "quarantine",
        "managers in quarantine go on getting tasks",
        lambda: _has(ManagerSelector, "sort_managers")() and _uses(_HTEX, "manager_selector")(),
    ),
    Seam(
        "ic and its _ready_managers in interchange.py, with last_heartbeat and draining",
        "agent",
        "nodes are not heard, and managers are neither drained nor given up early",
        _holds(interchange, "ic = Interchange(", "_ready_managers", "'last_heartbeat'", "'draining'"),
    ),
    Seam(
        "pending_task_queue in interchange.py, with add, pop and the task as the last part of an entry",
        "withdrawing",
        "tasks that wait at an executor cannot be taken back",
        _holds(interchange, "self.pending_task_queue.add(queue_entry)", "= self.pending_task_queue.pop()"),
    ),
    Seam(
        "the options --uid, --addresses, --port and --block_id of process_worker_pool",
        "supervisors",
        "pools start without supervisors, as stock has it",
        _holds(process_worker_pool, '"--uid"', '"--addresses"', '"--port"', '"--block_id"'),
    ),
    Seam(
        "worker-watchdog and HTEX-Worker- in process_worker_pool",
        "deaths of workers",
        "the death of a worker is noticed once a heartbeat period only",
        _holds(process_worker_pool, '"worker-watchdog"', '"HTEX-Worker-{}"'),
    ),
)


def missing_parts(absorb: Absorb, label: str) -> frozenset[str]:
    """Parts of ours that must stay out of the way; each missing seam is named once.

    Args:
        absorb: takes note of a fault of a part.
        label: of the executor.
    """
    missing = [seam for seam in SEAMS if not _is_there(seam)]
    for part in dict.fromkeys(seam.part for seam in missing):
        names = ", ".join(seam.name for seam in missing if seam.part == part)
        without = next(seam.without for seam in missing if seam.part == part)
        message = f"Parsl {parsl.__version__} no longer has {names}: {without}."
        absorb(
            f"{part} of {label}", SeamMissing(message, seam=names, hint="Look for a newer parsl-diaspora.")
        )
    return frozenset(seam.part for seam in missing)


def _is_there(seam: Seam) -> bool:
    try:
        return seam.is_there()
    except Exception:
        logger.debug("The seam %s could not be looked for.", seam.name, exc_info=True)
        return False
