"""Where tasks run: Parsl's executors, hardened.

    htex.py      ResilientHighThroughputExecutor, and
    mpi.py       ResilientMPIExecutor: the stock ones with the mixin before them
    mixin.py     what hardens them: the parts below put in
    kept.py      an executor whose interchange may be replaced while it runs, and
    interchange.py when that is done: the interchange is dead, or answers nothing
    commands.py  each command to the interchange has a time-out
    pipes.py     what stands in front of the queues of tasks and results
    launch.py    what travels with a try to its worker, and what comes back with it
    plain.py     plain data travels by pickle, which costs a tenth of what Parsl's serializer does
    gate.py      the only way in for results: nothing that arrives can end the executor's result thread
    watch/       managers, blocks and nodes come and go: seen, said, and acted upon
    blocks.py    a lost block is replaced; an executor is given up only when none of its blocks ever started
    stranded.py  tasks at an executor that has no block, and none to come, are ended
    selector.py  places that are held, in quarantine or given up get no tasks
    agent.py     our part in the interchange: it sees who is there, and lets managers go
    control.py   what submit side and interchange tell each other
    sweep.py     nothing is left behind on this host
    alive.py     whether a process is there
    board.py     what each worker runs now, seen by its node's supervisor
    nodefile.py  what supervisors are told
    orders.py    orders for supervisors, as files

Names are loaded on first use, so that a worker can import what it needs without the rest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parsl_diaspora.executors.htex import ResilientHighThroughputExecutor
    from parsl_diaspora.executors.mpi import ResilientMPIExecutor

__all__ = ["ResilientHighThroughputExecutor", "ResilientMPIExecutor"]

_MODULES = {"ResilientHighThroughputExecutor": "htex", "ResilientMPIExecutor": "mpi"}


def __getattr__(name: str) -> Any:
    """Load a public name on first use."""
    if name not in _MODULES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"parsl_diaspora.executors.{_MODULES[name]}"), name)
