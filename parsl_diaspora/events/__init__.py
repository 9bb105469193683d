"""What is said: typed, versioned events, their codecs and their published schema.

Nothing here knows how events travel (`parsl_diaspora.fabric`) or what they mean for a run
(`parsl_diaspora.state`).
"""

from __future__ import annotations

from parsl_diaspora.events.codec import decode, decode_many, encode, join, split
from parsl_diaspora.events.envelope import Event, Unknown
from parsl_diaspora.events.kinds import (
    KINDS,
    BlockLost,
    BlockSeen,
    DecisionMade,
    Diagnosis,
    EventsCompacted,
    EventsDamaged,
    EventsLost,
    FabricLagged,
    Failure,
    FaultInjected,
    ManagerLost,
    ManagerSeen,
    PlaceQuarantined,
    PlaceReleased,
    RunEnded,
    RunStarted,
    SamplesReduced,
    ServiceDegraded,
    TaskEnded,
    TaskSubmitted,
    TryDeclined,
    TryEnded,
    TryFailed,
    TryLaunched,
    TryStarted,
)

__all__ = [
    "KINDS",
    "BlockLost",
    "BlockSeen",
    "DecisionMade",
    "Diagnosis",
    "Event",
    "EventsCompacted",
    "EventsDamaged",
    "EventsLost",
    "FabricLagged",
    "Failure",
    "FaultInjected",
    "ManagerLost",
    "ManagerSeen",
    "PlaceQuarantined",
    "PlaceReleased",
    "RunEnded",
    "RunStarted",
    "SamplesReduced",
    "ServiceDegraded",
    "TaskEnded",
    "TaskSubmitted",
    "TryDeclined",
    "TryEnded",
    "TryFailed",
    "TryLaunched",
    "TryStarted",
    "Unknown",
    "decode",
    "decode_many",
    "encode",
    "join",
    "split",
]
