"""The kinds of events, past tense, grouped by what they are about.

A kind that changes its meaning gets a new ``VERSION`` and an entry in `parsl_diaspora.events.codec.UPGRADES`
that turns the old one into the new.
"""

from __future__ import annotations

from parsl_diaspora.events.envelope import Event, kind_of
from parsl_diaspora.events.kinds.decisions import (
    DecisionMade,
    FaultInjected,
    PlaceHeld,
    PlaceQuarantined,
    PlaceReleased,
    ServiceDegraded,
)
from parsl_diaspora.events.kinds.fabrics import (
    EventsCompacted,
    EventsDamaged,
    EventsLost,
    FabricLagged,
    SamplesReduced,
)
from parsl_diaspora.events.kinds.nodes import (
    InterchangeEnded,
    InterchangeStarted,
    ManagerEnded,
    NodeEnding,
    NodeLost,
    NodeRecovered,
    NodeSampled,
    NodeSeen,
    NodeShortOfMemory,
    NodeSuspected,
    WorkerEnded,
    WorkerSampled,
)
from parsl_diaspora.events.kinds.resources import (
    BlockLost,
    BlockSeen,
    ManagerLost,
    ManagerSeen,
)
from parsl_diaspora.events.kinds.tasks import (
    RunEnded,
    RunStarted,
    TaskCancelAsked,
    TaskEnded,
    TaskProgressed,
    TaskSubmitted,
    TryDeclined,
    TryEnded,
    TryFailed,
    TryLaunched,
    TryStarted,
    TryStopped,
)
from parsl_diaspora.events.kinds.triggers import (
    TriggerFailed,
    TriggerFired,
    TriggerHeldBack,
)
from parsl_diaspora.events.kinds.values import (
    Diagnosis,
    Failure,
)

__all__ = [
    "KINDS",
    "BlockLost",
    "BlockSeen",
    "DecisionMade",
    "Diagnosis",
    "EventsCompacted",
    "EventsDamaged",
    "EventsLost",
    "FabricLagged",
    "Failure",
    "FaultInjected",
    "InterchangeEnded",
    "InterchangeStarted",
    "ManagerEnded",
    "ManagerLost",
    "ManagerSeen",
    "NodeEnding",
    "NodeLost",
    "NodeRecovered",
    "NodeSampled",
    "NodeSeen",
    "NodeShortOfMemory",
    "NodeSuspected",
    "PlaceHeld",
    "PlaceQuarantined",
    "PlaceReleased",
    "RunEnded",
    "RunStarted",
    "SamplesReduced",
    "ServiceDegraded",
    "TaskCancelAsked",
    "TaskEnded",
    "TaskProgressed",
    "TaskSubmitted",
    "TriggerFailed",
    "TriggerFired",
    "TriggerHeldBack",
    "TryDeclined",
    "TryEnded",
    "TryFailed",
    "TryLaunched",
    "TryStarted",
    "TryStopped",
    "WorkerEnded",
    "WorkerSampled",
]


def _all_kinds(base: type[Event]) -> dict[str, type[Event]]:
    return {kind_of(cls): cls for cls in base.__subclasses__() if cls.__module__.startswith(__name__)}


KINDS: dict[str, type[Event]] = _all_kinds(Event)
