"""Where tasks run: Parsl's executors, hardened.

    htex.py      ResilientHighThroughputExecutor, and
    mpi.py       ResilientMPIExecutor: the stock ones with the mixin before them
    mixin.py     what hardens them: the parts below put in
    launch.py    what travels with a try to its worker, and what comes back with it
    pool/        PoolExecutor: several executors as one
    remake.py    executors made anew from their own arguments
    withdrawing.py  tasks taken back before any manager has them
    walltime.py  walltimes as providers take them
    plain.py     plain data travels by pickle, which costs a tenth of what Parsl's serializer does
    gate.py      the only way in for results: nothing that arrives can end the executor's result thread
    keeping/     interchange, blocks, and the tasks that are with them: replaced, or ended with the reason
    agent/       our part in the interchange's process, and how the submit side talks with it
    watch/       managers, blocks and nodes come and go: seen, said, and acted upon
    supervision/ how supervisors of nodes are started, and what is shared with them
    pool_provider.py  what an executor and a pool provider tell each other
    seams.py     what we rest on in Parsl without a promise of it
    sweep.py     nothing is left behind on this host
    alive.py     whether a process is there
    steps.py     time between looks, for what has to last

Names are loaded on first use, so that a worker can import what it needs without the rest.
"""

import typing as _typing
from importlib import import_module as _import_module

if _typing.TYPE_CHECKING:
    from parsl_diaspora.executors.htex import ResilientHighThroughputExecutor
    from parsl_diaspora.executors.mpi import ResilientMPIExecutor
    from parsl_diaspora.executors.pool.executor import PoolExecutor

__all__ = ["PoolExecutor", "ResilientHighThroughputExecutor", "ResilientMPIExecutor"]

_MODULES = {
    "PoolExecutor": "pool.executor",
    "ResilientHighThroughputExecutor": "htex",
    "ResilientMPIExecutor": "mpi",
}


def __getattr__(name: str) -> _typing.Any:
    """Load a public name on first use."""
    if name not in _MODULES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(_import_module(f"parsl_diaspora.executors.{_MODULES[name]}"), name)
