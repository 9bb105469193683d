"""Which blocks go while work is on them: those whose tasks can save themselves, where others have room."""

from __future__ import annotations

import pytest

from parsl_diaspora import PoolSpec, SiteSpec
from parsl_diaspora.events import BlockSeen, ManagerSeen, TaskSubmitted, TryStarted
from parsl_diaspora.scaling.counts import Count
from parsl_diaspora.scaling.letting_go import LettingGo
from parsl_diaspora.scaling.sites import Whereabouts
from parsl_diaspora.scaling.supply import Supply
from parsl_diaspora.state import Picture

RUN = "r1"
BEGUN, NOW = 1000.0, 2000.0


class Costs:
    """What the end of each block's tries would cost."""

    def __init__(self, **costs):
        self.costs = costs

    def cost(self, block):
        return self.costs.get(f"b{block.block}")

    def ask_to_save(self, block):
        raise AssertionError("only the controller asks")


class Pool:
    """Blocks of one node each, with a task on each of them."""

    def __init__(self, blocks, **spec):
        self.spec = PoolSpec(sites={"cpu": SiteSpec(max_nodes=8)}, idle="60s", **spec)
        self.picture = Picture(RUN)
        self.supply = Supply(self.picture, lambda executor, job: Whereabouts(executor))
        for number in range(blocks):
            place = {"executor": "cpu", "block": str(number), "time": BEGUN}
            self.hear(BlockSeen(state="RUNNING", **place))
            self.hear(ManagerSeen(manager=f"m{number}", workers=2, **place))
            self.start(number, number)
        self.supply.look(BEGUN)

    def start(self, task, block):
        place = {"executor": "cpu", "block": str(block), "manager": f"m{block}", "time": BEGUN}
        self.hear(TaskSubmitted(task=task, try_id=0, executor="cpu", func="walk", time=BEGUN))
        self.hear(TryStarted(task=task, try_id=0, **place))

    def hear(self, event):
        event.run = RUN
        self.picture.fold(event)
        self.supply.fold(event)

    def let_go(self, costs, needed, now=NOW):
        held = len(self.supply.blocks)
        chosen = LettingGo(self.spec, self.supply, costs).choose(
            now, {"cpu": Count(held=held)}, {"cpu": needed}
        )
        return [(each.block.block, each.drain, each.leave) for each in chosen]


def test_where_the_work_fits_on_fewer_nodes_the_block_goes_whose_tasks_lose_least():
    assert Pool(3).let_go(Costs(b0=30.0, b1=2.0, b2=9.0), needed=2) == [("1", True, True)]


def test_one_goes_at_a_time_however_many_are_too_many():
    pool = Pool(3)
    costs = Costs(b0=30.0, b1=2.0, b2=9.0)
    assert pool.let_go(costs, needed=1) == [("1", True, True)]
    pool.supply.blocks["cpu", "1"].draining = "it goes"
    assert pool.let_go(costs, needed=1) == []


@pytest.mark.parametrize(("costs", "needed"), [(Costs(), 1), (Costs(b0=1.0, b1=1.0), 2)])
def test_none_goes_whose_tasks_cannot_save_themselves_or_that_is_needed(costs, needed):
    assert Pool(2).let_go(costs, needed) == []


def test_what_the_pool_must_hold_stays():
    assert Pool(2, min_nodes=2).let_go(Costs(b0=1.0, b1=1.0), needed=1) == []


def test_a_block_that_has_just_begun_stays():
    assert Pool(2).let_go(Costs(b0=1.0, b1=1.0), needed=1, now=BEGUN + 30.0) == []
