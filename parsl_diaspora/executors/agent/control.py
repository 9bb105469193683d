"""What submit side and interchange tell each other through two small files.

The interchange has no command for which places get no work or are to go, and does not say whom it hears.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from parsl_diaspora.executors.agent.shared_file import SharedFile

CONTROL, SIGHTINGS, MAIL = "control.json", "nodes.json", "node_events.jsonl"


class Control(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the submit side asks of the interchange.

    Attributes:
        denied: managers that get no tasks.
        blocks: blocks whose managers get none, those that join later as well.
        nodes: host names whose managers get none, those that join later as well.
        lost: managers whose tasks are to come back as lost, at once.
        draining: managers that are to leave when they have ended what they hold.
        asked: managers whose tasks are to be listed.
        trials: managers that hold one task at a time.
        withdrawn: the executor's numbers of tasks that no manager is to get.
    """

    denied: frozenset[str] = frozenset()
    blocks: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()
    draining: frozenset[str] = frozenset()
    asked: frozenset[str] = frozenset()
    trials: frozenset[str] = frozenset()
    withdrawn: frozenset[int] = frozenset()


class NodeSighting(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the interchange hears the supervisor of a node.

    Attributes:
        link: name under which the supervisor has registered.
        manager: that it looks after.
        block: of that manager.
        node: host name.
        silent: seconds since it was heard; 0 while that is no time at all.
        connected: whether its connection is there; None where that cannot be told, or was not looked at.
    """

    link: str
    manager: str
    block: str
    node: str
    silent: float = 0.0
    connected: bool | None = None


class ManagerSighting(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the interchange knows of a manager and does not tell otherwise.

    Attributes:
        manager: its id.
        block: its block.
        node: host name.
        tasks: the executor's numbers of the tasks that it holds, in the order in which it got them; None if
            nobody asked.
    """

    manager: str
    block: str
    node: str
    tasks: tuple[int, ...] | None = None


class Sightings(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that one interchange sees.

    Attributes:
        interchange: its process id; 0 before any has looked.
        nodes: their supervisors.
        managers: those that are connected.
        withdrawn: of the tasks that are to be withdrawn, those that no manager will ever get.
        begun: those that a manager has.
    """

    interchange: int = 0
    nodes: tuple[NodeSighting, ...] = ()
    managers: tuple[ManagerSighting, ...] = ()
    withdrawn: frozenset[int] = frozenset()
    begun: frozenset[int] = frozenset()


def control_file(directory: Path) -> SharedFile[Control]:
    """Written by the submit side. Unless it makes sense nobody is denied: better than no tasks."""
    return SharedFile(directory / CONTROL, Control, Control())


def sightings_file(directory: Path) -> SharedFile[Sightings]:
    """Written in the interchange."""
    return SharedFile(directory / SIGHTINGS, Sightings, Sightings())
