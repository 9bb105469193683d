"""With `catch_up` the pool asks for more than restarted tasks' share, so that they draw level sooner."""

from __future__ import annotations

import statistics

from parsl_diaspora import PoolSpec, SiteSpec
from parsl_diaspora.events import BlockRequested, TaskEnded, TryFailed, TryStarted
from parsl_diaspora.scaling.simulator import Scenario, simulate

SEEDS = range(16)
#: Eight tasks of ten minutes on a node each; after seven one of them loses its node. Queues differ much.
WORLD = {
    "hours": 0.6,
    "work": [{"tasks": 8, "seconds": 600}],
    "losses": {"at": ["7m"]},
    "sites": {"cpu": {"wait": "1m", "spread": 1.2, "start": "5s"}},
}


class Campaign:
    """One world.

    Attributes:
        lost: the try that was lost with its node; None in a world where it had none.
        wait: seconds until its task began again.
        level: seconds until its task ended.
        for_level: requests that were made for its sake.
    """

    def __init__(self, catch_up, seed):
        said = []
        spec = PoolSpec(sites={"cpu": SiteSpec(max_nodes=16)}, catch_up=catch_up, idle="1m")
        self.outcome = simulate(spec, Scenario.read({**WORLD, "seed": seed}), listener=said.append)
        asked = [event for event in said if isinstance(event, BlockRequested)]
        self.for_level = [event for event in asked if "as 1 restarted task may draw level" in event.reason]
        self.lost = next((event for event in said if isinstance(event, TryFailed)), None)
        if self.lost is not None:
            again = (event for event in said if isinstance(event, TryStarted) and event.try_id == 1)
            ends = (event for event in said if isinstance(event, TaskEnded) and event.task == self.lost.task)
            self.ended = next(ends).time
            self.wait, self.level = next(again).time - self.lost.time, self.ended - self.lost.time


def mean(found, what):
    return statistics.mean(getattr(each, what) for each in found)


def test_restarted_tasks_draw_level_sooner_and_the_request_says_for_whose_sake_it_is():
    pairs = [(Campaign(1.0, seed), Campaign(3.0, seed)) for seed in SEEDS]
    pairs = [pair for pair in pairs if all(each.lost is not None for each in pair)]
    without, thrice = zip(*pairs, strict=True)
    waits, levels = ([mean(found, what) for found in (without, thrice)] for what in ("wait", "level"))
    hours = [statistics.mean(each.outcome.node_hours for each in found) for found in (without, thrice)]
    print(
        f"{len(pairs)} of seeds {SEEDS}: a lost task begins again after {waits[0]:.0f} s without, "
        f"{waits[1]:.0f} s with catch_up 3, and is level after {levels[0]:.0f} s and {levels[1]:.0f} s; "
        f"node-hours {hours[0]:.2f} and {hours[1]:.2f}"
    )
    assert len(pairs) >= 5
    assert waits[1] < 0.8 * waits[0]
    assert levels[1] < levels[0]
    assert hours[1] < 1.3 * hours[0]
    assert all((each.outcome.done, each.outcome.killed) == (8, 0) for pair in pairs for each in pair)
    requests = [sooner.for_level for _, sooner in pairs]
    assert max(map(len, requests)) == 3, "its own node, and two more: three times its share"
    assert sum(map(bool, requests)) > len(pairs) / 2, "where a node was idle none is needed"
    assert not any(plain.for_level for plain, _ in pairs)
    for _, sooner in pairs:
        assert all(sooner.lost.time <= event.time < sooner.ended for event in sooner.for_level)
