"""What triggers did."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from parsl_diaspora.events.envelope import Event, Topic


class TriggerFired(Event, tag="trigger.fired"):
    """The action of a trigger was done for an event, whose id is the cause.

    Attributes:
        trigger: the trigger's name.
        action: what was done, without secrets.
        event_kind: kind of the event.
        tries: how often the action was tried.
        seconds: from the event's arrival at the engine to the action's end.
    """

    topic: ClassVar[Topic] = "control"

    trigger: str = ""
    action: str = ""
    event_kind: str = ""
    tries: int = 1
    seconds: float = 0.0


class TriggerFailed(Event, tag="trigger.failed"):
    """The action of a trigger was given up for an event, whose id is the cause: a dead letter.

    Attributes:
        trigger: the trigger's name.
        action: what was to be done, without secrets.
        event_kind: kind of the event.
        tries: how often the action was tried.
        why: in words.
        event: the event itself, as the action would have had it.
    """

    topic: ClassVar[Topic] = "failures"

    trigger: str = ""
    action: str = ""
    event_kind: str = ""
    tries: int = 0
    why: str = ""
    event: dict[str, Any] = msgspec.field(default_factory=dict)


class TriggerHeldBack(Event, tag="trigger.held_back"):
    """A trigger did nothing for events that it matched, as it was told. The last one's id is the cause.

    Attributes:
        trigger: the trigger's name.
        count: how many events, since it was last said.
        why: ``throttled`` or ``repeated``.
    """

    topic: ClassVar[Topic] = "control"

    trigger: str = ""
    count: int = 0
    why: str = ""
