"""How a pool is started on a node: under our supervisor where there is one, else as stock does."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from parsl.executors.high_throughput.executor import DEFAULT_LAUNCH_CMD

from parsl_diaspora.executors.supervision.nodefile import NAME, NodeFile, write_node_file
from parsl_diaspora.executors.supervision.orders import OrdersBox
from parsl_diaspora.providers.local_jobs import MARK

SUPERVISOR = "parsl-diaspora-node"
ORDERS = "orders"


class Launched(Protocol):
    """What has to be known of an executor to start its pools under supervision."""

    label: str
    launch_cmd: str
    cpu_affinity: str

    @property
    def cert_dir(self) -> str | None:
        """Where its certificates are, if it has been told."""
        ...

    @property
    def available_accelerators(self) -> Iterable[str]:
        """Their names."""
        ...

    @property
    def all_addresses(self) -> Iterable[str]:
        """Where its interchange may be found."""
        ...

    @property
    def logdir(self) -> str:
        """Where its logs are."""
        ...

    @property
    def worker_logdir(self) -> str:
        """Where those of its workers are."""
        ...


def marked(run: str, command: str = DEFAULT_LAUNCH_CMD) -> str:
    """The launch command of a pool whose processes can be found by the run's mark."""
    return f"env {MARK}={run} {command}"


def supervised(run: str, file: Path, command: str = DEFAULT_LAUNCH_CMD) -> str:
    """The launch command of a pool with a supervisor, or without one where the node has none that works.

    It holds no dollar sign, as some of Parsl's launchers put it into a text in which the shell replaces them.

    Example:
        >>> print(supervised("r", Path("/runs/node.json"), "pool.py").partition(";")[0])
        env _PARSL_DIASPORA_RUN=r sh -c 'if parsl-diaspora-node --check >/dev/null 2>&1
    """
    check = f"{SUPERVISOR} --check >/dev/null 2>&1"
    text = f"if {check}; then exec {SUPERVISOR} {file} -- {command}; else exec {command}; fi"
    return marked(run, f"sh -c '{text}'")


def supervise(executor: Launched, run: str, url: str, restarts: int = 3) -> OrdersBox | None:
    """Let an executor start its pools under supervision; where supervisors take orders.

    A launch command of the program's own stays as it is. Call it before the stock ``start``.

    Args:
        executor: that is about to start.
        run: Parsl's run id.
        url: fabric that supervisors publish to.
        restarts: how many killed pools each of them replaces within five minutes.

    Raises:
        OSError: the log directory cannot be written.
        ValueError: a path or an option holds what cannot stand in the command.
    """
    if executor.launch_cmd != DEFAULT_LAUNCH_CMD:
        return None
    executor.launch_cmd = marked(run)
    logdir = Path(executor.logdir).absolute()
    _check_quotes(executor, logdir)
    box = OrdersBox(logdir / ORDERS)
    told = NodeFile(
        run=run,
        executor=executor.label,
        url=url,
        orders=str(box.directory),
        restarts=restarts,
        run_dir=str(logdir.parent),
        submit_host=socket.gethostname(),
        submit_pid=os.getpid(),
        submit_start=_start_of_this_process(),
    )
    write_node_file(logdir / NAME, told)
    executor.launch_cmd = supervised(run, logdir / NAME)
    return box


def _check_quotes(executor: Launched, logdir: Path) -> None:
    """The command stands within single quotes, so nothing in it may hold one."""
    parts = (
        str(logdir),
        executor.worker_logdir,
        executor.cert_dir or "",
        executor.cpu_affinity,
        *executor.available_accelerators,
        *executor.all_addresses,
    )
    for part in parts:
        if "'" in part:
            message = f"Pools start without supervisors: {part!r} holds a quote."
            raise ValueError(message)


def _start_of_this_process() -> int:
    """In the kernel's ticks since boot; 0 if nobody knows."""
    try:
        return int(Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0
