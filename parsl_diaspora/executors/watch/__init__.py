"""Managers, blocks and nodes come and go: seen, said, and acted upon. One thread an executor.

watch.py      the thread: when to look, and what becomes of what was seen
watched.py    what it needs of an executor
blocks.py     blocks change their state
managers.py   managers connect, vanish, and are given up
nodes.py      a node that falls silent is suspected, and lost when there is more against it
endings.py    a worker or manager whose end was told
stalls.py     a pool that holds tasks and starts none
unstarted.py  a task that was passed over by later ones
holds.py      places that get no work because somebody said so
mail.py       events that came through the interchange
"""

from parsl_diaspora.executors.watch.stalls import PATIENCE_WITH_NEIGHBOURS
from parsl_diaspora.executors.watch.watch import Watch
from parsl_diaspora.executors.watch.watched import Watched

__all__ = ["PATIENCE_WITH_NEIGHBOURS", "Watch", "Watched"]
