"""Why a try failed: the taxonomy, the evidence, and the diagnosis drawn from it.

taxonomy.py    the classes, in four layers
evidence.py    an exception as plain data
context.py     what is known beyond it: node, block, memory, neighbours
rules.yaml     from evidence to class, read by rules.py and matched by matching.py
determinism.py whether trying again is proven useless
diagnosis.py   all of it together
"""

import typing as _typing
from importlib import import_module as _import_module

from parsl_diaspora.failures.context import Context
from parsl_diaspora.failures.evidence import describe
from parsl_diaspora.failures.taxonomy import CLASSES, FailureClass, current_name, got_on, is_infrastructure

if _typing.TYPE_CHECKING:
    from parsl_diaspora.failures.diagnosis import Diagnoser, diagnose

__all__ = [
    "CLASSES",
    "Context",
    "Diagnoser",
    "FailureClass",
    "current_name",
    "describe",
    "diagnose",
    "got_on",
    "is_infrastructure",
]


def __getattr__(name: str) -> _typing.Any:
    """Load a public name on first use."""
    if name not in ("Diagnoser", "diagnose"):
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(_import_module("parsl_diaspora.failures.diagnosis"), name)
