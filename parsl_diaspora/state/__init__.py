"""What is true now: the picture of a run, folded from its events.

The same fold serves the running program (`live`) and the reader of a log afterwards (`history`).

picture.py      one run: its tasks and their tries, and all questions about it
managers.py     its managers, and which of them get work
surroundings.py what went on around tries: memory, silence, ends, blocks
recent.py       the newest failures
held.py         tasks that somebody must release
holds.py        places that somebody must release
quarantined.py  places that get no work for a while
records.py      what is kept of one try, task, manager and node
live.py         the running program speaks, and folds what it says and hears
reading.py      all events of a log, each once; dedupe.py knows what came twice, and what is missing
history.py      all runs of a log
run_state.py    whether a run goes on, by its log; run_record.py by what it leaves in its directory
offers.py       what managers have to offer
places.py       what was learned of places, over runs
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
