"""Where tasks run: Parsl's executors, hardened.

    htex.py      ResilientHighThroughputExecutor: the stock one with the parts below put in
    launch.py    what travels with a try to its worker, and what comes back with it
    plain.py     plain data travels by pickle, which costs a tenth of what Parsl's serializer does
    gate.py      the only way in for results: nothing that arrives can end the executor's result thread
    watch.py     managers and blocks come and go: seen, said, and acted upon
    blocks.py    a lost block is replaced; an executor is given up only when blocks cannot start
    selector.py  managers in quarantine get no tasks
    sweep.py     nothing is left behind on this host

Names are loaded on first use, so that a worker can import what it needs without the rest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parsl_diaspora.executors.htex import ResilientHighThroughputExecutor

__all__ = ["ResilientHighThroughputExecutor"]


def __getattr__(name: str) -> Any:
    """Load a public name on first use."""
    if name not in __all__:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module("parsl_diaspora.executors.htex"), name)
