"""What is true now: the picture of a run, folded from its events.

The same fold serves the running program (`live`) and the reader of a log afterwards (`history`).
"""

from parsl_diaspora.state.dedupe import Dedupe
from parsl_diaspora.state.held import HeldTask, HeldTasks
from parsl_diaspora.state.history import History, read_events, read_history
from parsl_diaspora.state.holds import Holds
from parsl_diaspora.state.live import Live
from parsl_diaspora.state.picture import Picture
from parsl_diaspora.state.records import Hold, ManagerState, TaskState, TryState

__all__ = [
    "Dedupe",
    "HeldTask",
    "HeldTasks",
    "History",
    "Hold",
    "Holds",
    "Live",
    "ManagerState",
    "Picture",
    "TaskState",
    "TryState",
    "read_events",
    "read_history",
]
