"""The manager selector: places that may get no work are left out.

It is unpickled in the interchange's process, where it brings our agent along, and learns the names from a
small file that the submit side replaces as a whole: it needs no channel of its own.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from parsl.executors.high_throughput.manager_selector import ManagerSelector

from parsl_diaspora.executors.agent.agent import NODE_LINK, Agent
from parsl_diaspora.executors.agent.control import control_file

CAPACITY = "diaspora_max_capacity"  # in the interchange's record of a manager on trial: what it has otherwise

logger = logging.getLogger("parsl.executors.high_throughput.interchange")


class QuarantineSelector(ManagerSelector):
    """Passes on to the program's own selector only the managers that may get tasks.

    Args:
        directory: of the file that names who gets none; one that is missing or unreadable denies nobody.
        inner: the program's selector.
        agent: bring our agent along.
    """

    def __init__(self, directory: str, inner: ManagerSelector, *, agent: bool = True) -> None:
        self.directory = directory
        self.inner = inner
        self._brings_agent = agent
        self._maker = os.getpid()
        self._agent: Agent | None = None
        self._control = control_file(Path(directory))
        self._limited: frozenset[str] = frozenset()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_agent": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if os.getpid() == self._maker or not self._brings_agent:
            return  # a copy on the submit side, or a release of Parsl in which it would find nothing
        try:
            self._agent = Agent(Path(self.directory), self._maker)
            self._agent.start()
        except Exception:
            logger.exception("parsl_diaspora: there is no agent in this interchange; it works as stock does")

    def sort_managers(self, ready_managers: dict[bytes, Any], manager_list: set[bytes]) -> list[bytes]:
        """The managers to offer tasks to; the last one is served first.

        Supervisors of nodes have registered as managers that take nothing. They stay in the list, last to be
        asked, so that the interchange finds that out and does not ask again.
        """
        if self._agent is not None:
            self._agent.records = ready_managers
            self._agent.guard_queue()
        links = [name for name in manager_list if name.startswith(NODE_LINK.encode())]
        wanted = self._permitted(ready_managers, manager_list.difference(links))
        return [*links, *self.inner.sort_managers(ready_managers, wanted)]

    def _tried(self, ready: dict[bytes, Any], names: set[bytes], trials: frozenset[str]) -> set[bytes]:
        """A manager on trial is offered one task when it holds none: the interchange fills all capacity."""
        for name in self._limited - trials:
            if (record := ready.get(name.encode())) is not None:
                record["max_capacity"] = record.pop(CAPACITY, record["max_capacity"])
        self._limited = trials
        for name in trials:
            if (record := ready.get(name.encode())) is not None and "max_capacity" in record:
                record.setdefault(CAPACITY, record["max_capacity"])
                record["max_capacity"] = 1
        return {name for name in names if name.decode() not in trials or not ready[name]["tasks"]}

    def _permitted(self, ready: dict[bytes, Any], names: set[bytes]) -> set[bytes]:
        control = self._control.read()
        names = self._tried(ready, names, control.trials)
        if control.denied:
            names = {name for name in names if name.decode() not in control.denied}
        if control.blocks or control.nodes:
            names = {
                name
                for name in names
                if ready[name]["block_id"] not in control.blocks
                and ready[name].get("hostname") not in control.nodes
            }
        return names
