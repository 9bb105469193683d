"""Executors made anew from their own constructor arguments, which Parsl's classes keep under their names."""

from __future__ import annotations

import inspect
import logging
import math
from typing import Any

from parsl.executors.base import ParslExecutor
from parsl.executors.high_throughput.executor import DEFAULT_INTERCHANGE_LAUNCH_CMD
from parsl.jobs.error_handlers import noop_error_handler, simple_error_handler

logger = logging.getLogger(__name__)

#: What the stock constructors store for arguments that were not given, and would not take themselves.
_AS_NOT_GIVEN = {
    "max_workers_per_node": math.inf,
    "interchange_launch_cmd": DEFAULT_INTERCHANGE_LAUNCH_CMD,
}

#: Attributes that no constructor takes, which others (as Globus Compute) set on the finished executor.
_SET_AFTERWARDS = ("_check_python_mismatch",)

#: Parsl turns the two flags into these functions, and its constructor takes flags or other functions.
_HANDLER_FLAGS = ((simple_error_handler, True), (noop_error_handler, False))


def arguments_of(cls: type, instance: Any) -> dict[str, Any]:
    """Constructor arguments of a Parsl object, which keeps each under its own name.

    Raises:
        AttributeError: it does not.
    """
    names = [name for name in inspect.signature(cls.__init__).parameters if name != "self"]  # type: ignore[misc]
    return {name: getattr(instance, name) for name in names}


class Recipe:
    """How an executor was made, taken down before it is started: then its parts are no longer as given.

    Args:
        executor: that has not been started.

    Example:
        >>> from parsl.executors import ThreadPoolExecutor
        >>> Recipe(ThreadPoolExecutor(label="alder", max_threads=3)).make().max_threads
        3
    """

    def __init__(self, executor: ParslExecutor) -> None:
        self._kind = type(executor)
        self._arguments = _as_given(executor)
        self._afterwards = {
            name: getattr(executor, name) for name in _SET_AFTERWARDS if hasattr(executor, name)
        }

    def make(self, kind: type[ParslExecutor] | None = None, *, fresh_provider: bool = False) -> Any:
        """An executor with the same arguments.

        Args:
            kind: another class that takes them.
            fresh_provider: the provider is made anew as well, so that it knows nothing of earlier jobs.
        """
        arguments = dict(self._arguments)
        if fresh_provider and arguments.get("provider") is not None:
            arguments["provider"] = _fresh(arguments["provider"])
        made = (kind or self._kind)(**arguments)
        for name, value in self._afterwards.items():
            setattr(made, name, value)
        return made


def _as_given(executor: ParslExecutor) -> dict[str, Any]:
    arguments = arguments_of(type(executor), executor)
    for name, value in _AS_NOT_GIVEN.items():
        if name in arguments and arguments[name] == value:
            arguments[name] = None
    for handler, flag in _HANDLER_FLAGS:
        if arguments.get("block_error_handler") is handler:
            arguments["block_error_handler"] = flag
    return arguments


def _fresh(provider: Any) -> Any:
    try:
        return type(provider)(**arguments_of(type(provider), provider))
    except Exception as error:  # noqa: BLE001 - a class of the program's own need not keep its arguments
        logger.debug("A provider is used again, as it cannot be made anew: %s", error)
        return provider
