"""Faults and what comes of them, stock beside ours: shared by the demo, a benchmark and tests.

scenarios.py  the faults: what runs, what is struck, what the program waits for afterwards
stage.py      a Parsl program at Parsl's default heartbeats, and hands to strike its processes
apps.py       what it computes
program.py    one scenario in a process of its own
playing.py    several at a time, with nothing left behind
outcomes.py   what came of one, and how it is said
"""

from parsl_diaspora.testing.faults.outcomes import Outcome
from parsl_diaspora.testing.faults.playing import play, play_all
from parsl_diaspora.testing.faults.scenarios import LONG_TASK, SCENARIOS, SIX, Scenario

__all__ = ["LONG_TASK", "SCENARIOS", "SIX", "Outcome", "Scenario", "play", "play_all"]
