"""What is said: typed, versioned events, their codecs and their published schema.

Nothing here knows how events travel (`parsl_diaspora.fabric`) or what they mean for a run
(`parsl_diaspora.state`).
"""

from parsl_diaspora.events.codec import decode, decode_many, encode, join, split
from parsl_diaspora.events.envelope import Event, Unknown
from parsl_diaspora.events.kinds import KINDS
from parsl_diaspora.events.kinds.decisions import (
    DecisionMade,
    DiagnosisRevised,
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
from parsl_diaspora.events.kinds.held import (
    OrderAnswered,
    TaskActionAsked,
    TaskHeld,
    TaskReleased,
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
from parsl_diaspora.events.kinds.places import Lesson, PlacesLearned
from parsl_diaspora.events.kinds.pools import (
    BlockDraining,
    BlockRefused,
    BlockReleased,
    BlockRequested,
    MemberReplaced,
    PoolDeficitHealed,
    PoolDeficitSeen,
    TaskHedged,
    TaskMoved,
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
    "BlockDraining",
    "BlockLost",
    "BlockRefused",
    "BlockReleased",
    "BlockRequested",
    "BlockSeen",
    "DecisionMade",
    "Diagnosis",
    "DiagnosisRevised",
    "Event",
    "EventsCompacted",
    "EventsDamaged",
    "EventsLost",
    "FabricLagged",
    "Failure",
    "FaultInjected",
    "InterchangeEnded",
    "InterchangeStarted",
    "Lesson",
    "ManagerEnded",
    "ManagerLost",
    "ManagerSeen",
    "MemberReplaced",
    "NodeEnding",
    "NodeLost",
    "NodeRecovered",
    "NodeSampled",
    "NodeSeen",
    "NodeShortOfMemory",
    "NodeSuspected",
    "OrderAnswered",
    "PlaceHeld",
    "PlaceQuarantined",
    "PlaceReleased",
    "PlacesLearned",
    "PoolDeficitHealed",
    "PoolDeficitSeen",
    "RunEnded",
    "RunStarted",
    "SamplesReduced",
    "ServiceDegraded",
    "TaskActionAsked",
    "TaskCancelAsked",
    "TaskEnded",
    "TaskHedged",
    "TaskHeld",
    "TaskMoved",
    "TaskProgressed",
    "TaskReleased",
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
    "Unknown",
    "WorkerEnded",
    "WorkerSampled",
    "decode",
    "decode_many",
    "encode",
    "join",
    "split",
]
