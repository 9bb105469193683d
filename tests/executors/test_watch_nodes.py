"""What the watch does about nodes that fall silent, ends that are told, holds, and tasks that never start."""

from __future__ import annotations

import time

import pytest
from parsl.jobs.states import JobState

from parsl_diaspora.events import (
    ManagerEnded,
    ManagerLost,
    ManagerSeen,
    NodeLost,
    NodeRecovered,
    NodeSeen,
    NodeSuspected,
    PlaceHeld,
    PlaceReleased,
    TryStarted,
    WorkerEnded,
    encode,
)
from parsl_diaspora.executors.agent.control import MAIL
from parsl_diaspora.executors.errors import NeverStarted, WorkerDied
from parsl_diaspora.executors.supervision.orders import OrdersBox, read_order
from parsl_diaspora.executors.watch.endings import START_OF_WORKER
from parsl_diaspora.executors.watch.nodes import SUSPECT_AFTER
from parsl_diaspora.executors.watch.stalls import PATIENCE_WITH_SUPERVISOR
from tests.executors.pools import Pool, manager, node


@pytest.fixture
def pool(tmp_path):
    def make(*managers):
        made = Pool(tmp_path, *managers)
        made.live.listen(made.watch._hear)
        made.see()
        made.look()
        return made

    return make


# --- nodes ---


def test_a_silent_node_is_suspected_and_gets_no_work_until_it_is_heard_again(pool):
    made = pool(manager(), manager("m2"))
    made.see(node(silent=SUSPECT_AFTER, connected=True), node("m2"))
    made.look(2)
    (event,) = made.said(NodeSuspected)
    assert (event.executor, event.block, event.manager, event.node) == ("alder", "0", "m1", "n-m1")
    assert made.denied() == ["m1"]
    assert made.live.picture.present["alder"] == {"m2"}
    assert made.said(NodeLost, ManagerLost) == []

    made.see(node(silent=41.0, connected=True), node("m2"))
    made.look()
    made.see(node(), node("m2"))
    made.look(2)
    assert [event.seconds for event in made.said(NodeRecovered)] == [41.0]
    assert made.denied() == []
    assert made.live.picture.present["alder"] == {"m1", "m2"}


def test_a_suspected_node_gets_no_work_even_if_there_is_no_other(pool):
    made = pool(manager())
    made.see(node(silent=SUSPECT_AFTER))
    made.look()
    assert made.denied() == ["m1"]


def test_a_silent_node_whose_connection_is_closed_is_lost(pool):
    made = pool(manager(tasks=3))
    made.see(node(silent=2.1, connected=False))
    made.look(2)
    (event,) = made.said(NodeLost)
    assert event.evidence == ("its connection is closed",)
    (lost,) = made.said(ManagerLost)
    assert (lost.manager, lost.held, lost.node) == ("m1", 3, "n-m1")
    assert made.control().lost == {"m1"}
    made.executor.managers = []
    made.see()
    made.look()
    assert (made.control().lost, made.denied()) == (frozenset(), [])


def test_a_silent_node_whose_block_has_ended_is_lost_as_soon_as_the_provider_says_so(pool):
    made = pool(manager())
    made.executor.become(JobState.RUNNING, "0")
    made.executor.answer = JobState.FAILED
    made.see(node(silent=2.1))
    made.look()
    end = time.monotonic() + 10
    while not made.said(NodeLost) and time.monotonic() < end:
        time.sleep(0.01)
        made.look()
    (event,) = made.said(NodeLost)
    assert event.evidence == ("its block 0 has ended",)
    assert made.executor.asked == ["job-0"]


def test_a_provider_that_fails_when_it_is_asked_is_told_of_once(pool):
    made = pool(manager())
    made.executor.status = None
    made.see(node(silent=4.0))
    end = time.monotonic() + 10
    while not made.live.faults and time.monotonic() < end:
        time.sleep(0.01)
        made.look()
    assert set(made.live.faults) == {"status of blocks of alder"}
    assert made.said(NodeLost) == []


def test_what_an_earlier_interchange_saw_counts_no_more(pool):
    made = pool(manager())
    made.see(node(silent=60.0, connected=False), interchange=1)
    made.look(2)
    assert made.said(NodeSuspected, NodeLost) == []


def test_the_node_of_a_manager_that_has_left_in_order_is_not_missed(pool):
    made = pool(manager())
    made.executor.managers = []
    made.look()
    made.see(node(silent=60.0, connected=False))
    made.look(2)
    assert made.said(NodeSuspected, NodeLost) == []


def test_a_manager_is_seen_with_its_node(pool):
    made = pool(manager())
    assert [event.node for event in made.said(ManagerSeen)] == ["n-m1"]


# --- ends that are told ---


def ended(task=7, try_id=0, **more):
    place = {"executor": "alder", "manager": "m1", "worker": 1, "node": "n1", "block": "0"}
    return WorkerEnded(task=task, try_id=try_id, **{"exit_code": -9, **place, **more})


def test_the_try_of_a_dead_worker_ends_at_once_with_the_cause(pool):
    made = pool(manager())
    future, other = made.submit(1, 7), made.submit(2, 8)
    made.live.say(ended(out_of_memory=True, memory=5_000))
    made.watch.act_on_news()
    error = future.exception(timeout=0)
    assert type(error) is WorkerDied
    assert (error.exit_code, error.out_of_memory, error.memory) == (-9, True, 5_000)
    assert (error.worker_id, error.hostname, error.manager) == (1, "n1", "m1")
    assert "signal 9" in str(error)
    assert not other.done()
    assert 1 in made.executor.tasks, "stock's own word for it is still to come, and finds its number"


@pytest.mark.parametrize("event", [ended(try_id=1), ended(task=8), ended(task=None), ended(executor="birch")])
def test_no_other_try_ends(pool, event):
    made = pool(manager())
    future = made.submit(1, 7)
    made.live.say(event)
    made.watch.act_on_news()
    assert not future.done()


def test_another_runs_events_end_nothing(pool):
    made = pool(manager())
    future = made.submit(1, 7)
    made.live.say(ended(run="other"))
    made.look()
    assert not future.done()


def test_the_tasks_of_an_ended_manager_come_back_at_once(pool):
    made = pool(manager(tasks=2))
    made.live.say(ManagerEnded(executor="alder", manager="m1", exit_code=-9))
    made.watch.act_on_news()
    assert made.control().lost == {"m1"}
    (lost,) = made.said(ManagerLost)
    assert "signal 9" in lost.reason


def test_the_end_of_a_manager_that_nobody_knows_changes_nothing(pool):
    made = pool(manager())
    made.live.say(ManagerEnded(executor="alder", manager="m9"))
    made.watch.act_on_news()
    assert made.control().lost == frozenset()


def test_events_that_came_through_the_interchange_are_said_on(pool, tmp_path):
    made = pool(manager())
    events = [NodeSeen(run="run", boot="b", seq=n, manager="m1", pid=n) for n in (1, 2, 1)]
    (tmp_path / MAIL).write_bytes(
        b"\n".join([encode(events[0], "json"), b"{", encode(events[1], "json"), b""])
    )
    made.look()
    with (tmp_path / MAIL).open("ab") as file:
        file.write(encode(events[2], "json") + b"\n" + b"half a li")
    made.look()
    made.live._take_heard()
    assert [event.pid for event in made.said(NodeSeen)] == [1, 2]


# --- stalls of a pool that has a supervisor ---


def stall(made):
    made.end_try(made.start_try())
    made.executor.managers[0]["tasks"] = 2


@pytest.fixture
def orders(tmp_path):
    return OrdersBox(tmp_path / "orders")


def given(orders):
    return [read_order(path.read_bytes()) for path in sorted(orders.directory.iterdir())]


def test_a_stalled_pool_with_a_supervisor_is_started_anew_and_its_block_goes_on(pool, orders):
    made = pool(manager())
    made.executor.orders = orders
    made.see(node())
    stall(made)
    made.look(7)
    (order,) = given(orders)
    assert (order.to, order.message["kind"]) == ({"manager": "m1"}, "restart_pool")
    assert "stalled" in order.message["reason"]
    assert (made.control().lost, made.executor.ended) == ({"m1"}, [])
    made.live.say(ManagerEnded(executor="alder", manager="m1", next="m2"))
    made.executor.managers = [manager("m2")]
    made.look(20)
    assert made.executor.ended == []


def test_a_supervisor_that_does_nothing_loses_its_block(pool, orders):
    made = pool(manager())
    made.executor.orders = orders
    made.see(node())
    stall(made)
    made.look(7)
    made.executor.managers = []
    made.look(int(PATIENCE_WITH_SUPERVISOR) + 2)
    assert made.executor.ended == ["0"]


def test_a_box_that_takes_no_orders_costs_the_block(pool):
    made = pool(manager())
    made.executor.orders = object()
    made.see(node())
    stall(made)
    made.look(7)
    assert made.executor.ended == ["0"]


def test_where_an_idle_worker_was_killed_a_stall_is_believed_sooner(pool):
    made = pool(manager())
    stall(made)
    made.live.say(ended(task=None, try_id=None))
    made.look(3)
    assert made.executor.ended == ["0"]


def test_a_stall_is_believed_where_an_idle_worker_was_killed_before_anything_had_started_there(pool):
    made = pool(manager())
    made.look()
    made.live.say(ended(task=None, try_id=None))
    made.executor.managers[0]["tasks"] = 2
    made.look(4)
    assert made.executor.ended == [], "the first task may take long to begin"
    made.look(3)
    assert made.executor.ended == ["0"]


def test_but_not_after_its_pool_has_started_something_again(pool):
    made = pool(manager())
    made.live.say(ended(task=None, try_id=None))
    made.look(1)
    stall(made)
    made.look(3)
    assert made.executor.ended == []


def test_a_worker_that_died_under_a_task_is_being_replaced_which_is_no_stall(pool):
    made = pool(manager(workers=1))
    made.end_try(made.start_try())
    made.live.say(ended(task=0))
    made.executor.managers[0]["tasks"] = 1
    made.look(int(START_OF_WORKER) - 2)
    assert made.executor.ended == []
    made.look(10)
    assert made.executor.ended == ["0"], "but it does not take for ever"


# --- holds ---


def held(**place):
    return PlaceHeld(reason="why", owner="ada", **place)


@pytest.mark.parametrize(
    ("place", "asked"),
    [
        ({"node": "n-m1"}, ([], {"n-m1"}, set())),
        ({"executor": "alder", "block": "0"}, ([], set(), {"0"})),
        ({"executor": "alder", "manager": "m1", "block": "0", "node": "n-m1"}, (["m1"], set(), set())),
        ({"executor": "birch", "node": "n-m1"}, ([], set(), set())),
    ],
)
def test_a_hold_reaches_the_interchange_and_is_lifted(pool, place, asked):
    made = pool(manager())
    for event, expected in (
        (held(**place), asked),
        (PlaceReleased(owner="bob", **place), ([], set(), set())),
    ):
        made.live.say(event)
        made.watch.act_on_news()
        assert (made.denied(), made.control().nodes, made.control().blocks) == expected


def test_the_end_of_a_quarantine_lifts_no_hold(pool):
    made = pool(manager(), manager("m2"))
    made.live.say(held(executor="alder", manager="m1"))
    made.live.say(PlaceReleased(manager="m1", reason="its time is over"))
    made.look()
    assert made.denied() == ["m1"]


def test_a_person_may_hold_the_last_manager(pool):
    made = pool(manager())
    made.live.say(held(executor="alder", manager="m1"))
    made.look()
    assert made.denied() == ["m1"]


def test_a_drained_node_gives_up_the_managers_that_are_there_and_only_holds_those_that_come(pool):
    made = pool(manager())
    made.live.say(held(node="n-m1", drain=True))
    made.look()
    assert (made.control().draining, made.control().nodes) == ({"m1"}, {"n-m1"})
    made.clock.advance(1.0)
    made.executor.managers.append(manager("m2"))
    made.see()
    made.look()
    made.watch._managers._nodes["m2"] = "n-m1"
    made.look()
    assert made.control().draining == {"m1"}


def test_a_drained_block_gives_up_all_its_managers(pool):
    made = pool(manager(), manager("m2", block="1"))
    made.live.say(held(executor="alder", block="0", drain=True))
    made.look()
    assert made.control().draining == {"m1"}
    made.executor.managers.append(manager("m3"))
    made.look(2)
    assert made.control().draining == {"m1", "m3"}


def test_a_held_manager_whose_pool_is_started_anew_stays_held(pool):
    made = pool(manager())
    made.live.say(held(executor="alder", manager="m1"))
    made.live.say(ManagerEnded(executor="alder", manager="m1", next="m2"))
    made.executor.managers = [manager("m2")]
    made.look()
    assert "m2" in made.denied()
    assert made.live.picture.present["alder"] == set()


# --- tasks that never start ---


def start(made, task, name="m1"):
    place = {"executor": "alder", "manager": name, "block": "0"}
    made.live.say(TryStarted(task=task, try_id=0, time=made.clock.time(), **place))


def pass_over(made):
    """Task 1 waits, while one after another of those behind it starts and ends."""
    waiting = made.submit(1, 1)
    made.executor.managers[0]["tasks"] = 1
    for number in range(2, 12):
        made.submit(number, number)
        made.see(tasks={"m1": (1,)})
        made.look(1)
        start(made, number)
        made.end_try(number)
    return waiting


def test_a_task_that_was_passed_over_by_later_ones_is_lost(pool):
    made = pool(manager(workers=2))
    made.end_try(made.start_try(task=100))
    waiting = pass_over(made)
    assert made.control().asked == {"m1"}
    error = waiting.exception(timeout=0)
    assert (type(error), error.manager) == (NeverStarted, "m1")


def test_a_task_that_starts_late_is_not(pool):
    made = pool(manager(workers=2))
    made.end_try(made.start_try(task=100))
    waiting = made.submit(1, 1)
    made.executor.managers[0]["tasks"] = 1
    made.see(tasks={"m1": (1,)})
    made.look(4)
    start(made, 1)
    for number in range(2, 12):
        made.submit(number, number)
        start(made, number)
        made.end_try(number)
        made.look(1)
    assert not waiting.done()


def test_nor_is_one_behind_others_that_wait(pool):
    made = pool(manager(workers=2))
    made.end_try(made.start_try(task=100))
    futures = [made.submit(number, number) for number in range(1, 10)]
    made.executor.managers[0]["tasks"] = 9
    made.see(tasks={"m1": tuple(range(1, 10))})
    made.look(4)
    for number in range(1, 8):
        start(made, number)
        made.end_try(number)
        made.see(tasks={"m1": tuple(range(number + 1, 10))})
        made.look(1)
    assert not any(future.done() for future in futures)
