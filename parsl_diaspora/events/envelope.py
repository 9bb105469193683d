"""The envelope: what every event carries, whatever it says."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

Topic = Literal["tasks", "resources", "failures", "control"]


class Event(
    msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="kind", forbid_unknown_fields=False, gc=False
):
    """Base of all kinds. Whoever speaks fills in what it knows; the publisher stamps the rest.

    Attributes:
        source: who speaks, as ``submit:HOST:PID`` or ``worker:HOST:PID``. Stamped.
        boot: random id of this life of the source, hex. Stamped.
        seq: number of the event within the boot, from 1 without gaps, so a reader sees gaps and duplicates.
            Stamped.
        time: wall-clock time, seconds since the epoch, UTC. Stamped.
        mono: monotonic time of the source's host, seconds; comparable within one boot only. Stamped.
        version: version of this kind.
        run: Parsl's run id.
        task: Parsl's task id within the run.
        try_id: number of the try within the task, from 0.
        executor: the executor's label.
        block: the block's id within the executor.
        manager: the manager's id (one manager a node and block).
        worker: the worker's rank within the manager.
        node: the node's host name.
        site: the site's name, where sites are declared.
        cause: ids of the events that led to this one.
        via: ids of the fabrics that a bridge took the event from, the first first; empty where it was said.
    """

    topic: ClassVar[Topic] = "tasks"
    VERSION: ClassVar[int] = 1

    source: str = ""
    boot: str = ""
    seq: int = 0
    time: float = 0.0
    mono: float = 0.0
    version: int = 1
    run: str = ""
    task: int | None = None
    try_id: int | None = None
    executor: str | None = None
    block: str | None = None
    manager: str | None = None
    worker: int | None = None
    node: str | None = None
    site: str | None = None
    cause: tuple[str, ...] = ()
    via: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Globally unique id: the source's boot and the number within it."""
        return f"{self.boot}-{self.seq}"

    @property
    def kind(self) -> str:
        """The kind's name, as ``task.try_failed``."""
        return kind_of(type(self))


class Unknown(Event, tag="unknown"):
    """An event of a kind or version that this release does not know, kept whole.

    Attributes:
        said_kind: the kind that it carries.
        data: its fields.
    """

    topic: ClassVar[Topic] = "control"

    said_kind: str = ""
    data: dict[str, Any] = {}


def kind_of(cls: type[Event]) -> str:
    """The name under which a kind is tagged."""
    return str(cls.__struct_config__.tag)


def place_of(event: Event) -> dict[str, Any]:
    """The parts of the envelope that say where, without those that are not known."""
    return {name: value for name in PLACE_FIELDS if (value := getattr(event, name)) is not None}


def tell_as(event: Event, other: Event) -> None:
    """Let an event be about the same try, at the same place, as another one."""
    for name in _ABOUT_A_TRY:
        setattr(event, name, getattr(other, name))


PLACE_FIELDS = ("site", "executor", "block", "manager", "node", "worker")
_ABOUT_A_TRY = ("task", "try_id", *PLACE_FIELDS)
ENVELOPE_FIELDS = Event.__struct_fields__
