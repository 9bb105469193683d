"""The pool controller in a simulated world: thousands of nodes, hours of time, in seconds.

scenario.py   what the world is like          world.py     its time
cluster.py    its sites, blocks and nodes     work.py      its tasks
run.py        one simulation                  measure.py   what came of it
from_log.py   a world as one that was
"""

from parsl_diaspora.scaling.simulator.from_log import scenario_of
from parsl_diaspora.scaling.simulator.measure import Outcome
from parsl_diaspora.scaling.simulator.run import simulate
from parsl_diaspora.scaling.simulator.scenario import Scenario

__all__ = ["Outcome", "Scenario", "scenario_of", "simulate"]
