"""What `top` shows: the view from events in any order, one look as text or JSON, and the live view."""

from __future__ import annotations

import asyncio
import builtins
import json
import random
import sys

import pytest

from parsl_diaspora.cli.find import Found
from parsl_diaspora.cli.top import command
from parsl_diaspora.cli.top.follow import Follower
from parsl_diaspora.cli.top.model import RECENT, Model
from parsl_diaspora.cli.top.tables import headline, resources, sparkline, tables_of
from parsl_diaspora.events import (
    BlockLost,
    BlockSeen,
    DecisionMade,
    Failure,
    ManagerEnded,
    ManagerLost,
    ManagerSeen,
    NodeLost,
    NodeRecovered,
    NodeSampled,
    NodeSeen,
    NodeSuspected,
    PlaceHeld,
    PlaceQuarantined,
    PlaceReleased,
    RunStarted,
    TaskEnded,
    TaskHeld,
    TaskReleased,
    TaskSubmitted,
    TryEnded,
    TryFailed,
    TryLaunched,
    TryStarted,
    TryStopped,
    WorkerEnded,
    WorkerSampled,
)
from parsl_diaspora.fabric import open_fabric
from tests.cli.conftest import RUN, T0, Log

PLACE = {"executor": "cpu", "block": "0", "manager": "m1", "node": "n1"}


class Speaker:
    """Sources of events, each with its numbers."""

    def __init__(self):
        self.events = []
        self._numbers = {}

    def say(self, at, event, source="submit"):
        event.run, event.time, event.source, event.boot = "r", T0 + at, source, source
        event.seq = self._numbers[source] = self._numbers.get(source, 0) + 1
        self.events.append(event)

    def start(self, at, task, try_id=0, worker=0, pid=70, **place):
        event = TryStarted(task=task, try_id=try_id, worker=worker, pid=pid, **{**PLACE, **place})
        self.say(at, event, "worker")

    def frame(self, now=10.0, order=None):
        model = Model("r")
        for event in order or self.events:
            model.add(event)
        return model.frame(T0 + now)


@pytest.fixture
def speaker():
    made = Speaker()
    made.say(0, RunStarted(program="study.py", node="elsewhere", executors=("cpu",)))
    return made


def place_of(worker=0):
    return {**PLACE, "worker": worker}


# --- tasks ---


def tell_tasks(speaker):
    for task, app in enumerate(["train", "train", "train", "read", "read", "read"]):
        speaker.say(1, TaskSubmitted(task=task, try_id=0, executor="cpu", func=app))
    speaker.start(2, 0)
    speaker.say(3, TryEnded(task=0, try_id=0, seconds=1.0, **place_of()))
    speaker.say(3, TaskEnded(task=0, outcome="done", tries=1))
    speaker.start(3, 1)
    speaker.start(3, 3, worker=1, pid=71)
    speaker.say(
        4, TryFailed(task=3, try_id=0, failure=Failure(chain=("a.Odd",), message="odd"), **place_of(1))
    )
    speaker.say(
        4, DecisionMade(task=3, try_id=0, action="retry", rule="once-more", reason="it may help", tries=1)
    )
    speaker.say(4, TryLaunched(task=3, try_id=1, executor="cpu"))
    speaker.say(5, TaskEnded(task=4, outcome="cancelled", tries=1, error="TaskCancelled: x"))
    speaker.say(5, TaskEnded(task=9, outcome="dependency_failed", tries=0, func="plot"))


def test_tasks_are_counted_by_app_and_state(speaker):
    tell_tasks(speaker)
    rows = {row.app: row for row in speaker.frame().apps}
    assert (rows["train"].running, rows["train"].waiting, rows["train"].done) == (1, 1, 1)
    assert (rows["read"].waiting, rows["read"].cancelled, rows["read"].failed_tries) == (2, 1, 1)
    assert rows["plot"].dependency_failed == 1
    frame = speaker.frame()
    assert frame.outstanding == 4
    assert frame.total("running") == 1


@pytest.mark.parametrize("seed", range(20))
def test_the_order_in_which_sources_are_read_makes_no_difference(speaker, seed):
    tell_tasks(speaker)
    chance = random.Random(seed)
    waiting = {}
    for event in speaker.events:
        waiting.setdefault(event.source, []).append(event)
    order = []
    while waiting:
        source = chance.choice(sorted(waiting))
        order.append(waiting[source].pop(0))
        if not waiting[source]:
            del waiting[source]
    found, expected = speaker.frame(order=order), speaker.frame()
    assert [(row.app, row.running, row.waiting, row.done) for row in found.apps] == [
        (row.app, row.running, row.waiting, row.done) for row in expected.apps
    ]
    assert [(row.worker, row.task) for row in found.workers] == [
        (row.worker, row.task) for row in expected.workers
    ]
    assert found.failures == expected.failures


def test_a_task_that_waits_for_a_person_is_among_the_holds_until_it_is_released_or_ends(speaker):
    for task in (3, 4, 5):
        speaker.say(1.0, TaskHeld(task=task, number=101, reason="its disk is full", owner="ada"))
    speaker.say(2.0, TaskReleased(task=3))
    speaker.say(3.0, TaskEnded(task=4, outcome="failed"))
    (row,) = speaker.frame().holds
    assert (row.what, row.place, row.owner, row.reason) == ("held", "task 5", "ada", "its disk is full")


def test_events_that_come_twice_count_once(speaker):
    tell_tasks(speaker)
    twice = [each for event in speaker.events for each in (event, event)]
    assert speaker.frame(order=twice) == speaker.frame()


def test_how_fast_tasks_end_is_told_over_the_last_seconds_and_in_all(speaker):
    for task in range(50):
        at = 1 + task * 0.1
        speaker.say(at, TaskSubmitted(task=task, try_id=0, func="f"))
        speaker.say(at, TaskEnded(task=task, outcome="done"))
    frame = speaker.frame(now=6.2)
    assert frame.rate == 5.0
    assert frame.mean_rate == pytest.approx(50 / 6.2)
    assert frame.history[-5:] == [10, 10, 10, 10, 10]
    assert sum(frame.history) == 50
    assert sparkline([0, 5, 10]) == " ▄█"


def test_a_long_run_takes_little_memory(speaker):
    model = Model("r")
    for task in range(60_000):
        place = {"manager": f"m{task // 100}", "node": f"n{task // 100}", "executor": "cpu", "worker": 0}
        at = T0 + task * 0.01
        for event in (
            TaskSubmitted(task=task, try_id=0, func="f"),
            TryStarted(task=task, try_id=0, pid=1, **place),
            TryFailed(task=task, try_id=0, failure=Failure(message="x" * 500), **place),
            TaskEnded(task=task, outcome="failed"),
            *((ManagerLost(**place), NodeLost(**place)) if task % 100 == 99 else ()),
        ):
            event.run, event.time = "r", at
            model.add(event)
    frame = model.frame(T0 + 700)
    assert frame.total("failed") == 60_000
    assert len(frame.failures) == RECENT
    assert (len(frame.workers), len(frame.nodes)) == (0, 50)
    assert len(frame.failures[0].words) <= 300
    kept = sys.getsizeof(model._tasks._is_over) + sum(
        map(sys.getsizeof, (model._tasks.open, model._tasks._per_second, model._places._closed))
    )
    assert kept < 200_000


# --- places ---


def test_nodes_have_what_was_measured_and_what_runs_there(speaker):
    speaker.say(1, ManagerSeen(workers=4, **PLACE))
    speaker.say(1, NodeSeen(cores=8, memory=16_000_000_000, **PLACE), "node")
    speaker.say(
        2, NodeSampled(cpu=3.5, memory_used=4_000_000_000, pool_cpu=3.0, pool_memory=10**9, **PLACE), "node"
    )
    speaker.say(2, WorkerSampled(pid=70, cpu=0.9, memory=5 * 10**8, **place_of()), "node")
    speaker.say(1, TaskSubmitted(task=5, try_id=0, func="train"))
    speaker.start(3, 5)
    frame = speaker.frame(now=10)
    (node,) = frame.nodes
    assert (node.state, node.workers, node.running, node.cores, node.cpu) == ("up", 4, 1, 8, 3.5)
    (worker,) = frame.workers
    assert (worker.task, worker.app, worker.seconds, worker.memory) == (5, "train", 7.0, 5 * 10**8)
    assert resources(frame) == "1 node, 4 workers, CPU 3.5 of 8 cores, memory 4 GB of 16 GB"


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([NodeSuspected(reason="silent for 3 s")], "suspected"),
        ([NodeSuspected(reason="silent"), NodeRecovered()], "up"),
        ([NodeSuspected(reason="silent"), NodeLost(evidence=("its connection is closed",))], "lost"),
        ([PlaceHeld(reason="odd results", owner="ann")], "held"),
        ([PlaceHeld(reason="odd results", drain=True)], "draining"),
        ([PlaceHeld(reason="odd results"), PlaceReleased()], "up"),
    ],
)
def test_a_nodes_state_is_told(speaker, events, state):
    speaker.say(1, ManagerSeen(workers=4, **PLACE))
    for event in events:
        event.node = "n1"
        speaker.say(2, event)
    assert [row.state for row in speaker.frame().nodes] == [state]


def test_holds_are_listed_with_who_and_why(speaker):
    speaker.say(1, PlaceHeld(node="n1", reason="odd results", owner="ann"))
    speaker.say(2, PlaceQuarantined(manager="m2", reason="3 failures"))
    speaker.say(3, PlaceHeld(node="n3", reason="x"))
    speaker.say(4, PlaceReleased(node="n3"))
    rows = [(row.what, row.place, row.owner, row.reason) for row in speaker.frame().holds]
    assert rows == [("held", "node n1", "ann", "odd results"), ("quarantine", "manager m2", "", "3 failures")]


def test_workers_of_a_lost_manager_are_gone_and_their_late_events_change_nothing(speaker):
    speaker.say(1, ManagerSeen(workers=2, **PLACE))
    speaker.start(2, 0)
    speaker.say(3, ManagerEnded(exit_code=-9, reason="killed", **PLACE))
    speaker.start(2.5, 1, worker=1)
    frame = speaker.frame()
    assert frame.workers == []
    assert [(row.state, row.workers) for row in frame.nodes] == [("gone", 0)]
    assert [event.kind for event in frame.incidents] == ["manager.ended"]


def test_a_dead_or_stopped_workers_try_is_no_longer_shown(speaker):
    speaker.say(1, ManagerSeen(workers=2, **PLACE))
    speaker.start(2, 0)
    speaker.start(2, 1, worker=1, pid=71)
    speaker.say(3, WorkerEnded(pid=70, exit_code=-9, **place_of()), "node")
    speaker.say(3, TryStopped(task=1, try_id=0, how="kill", **place_of(1)), "node")
    assert [(row.worker, row.task) for row in speaker.frame().workers] == [(0, None), (1, None)]


def test_blocks_are_listed_with_their_managers(speaker):
    speaker.say(1, BlockSeen(executor="cpu", block="0", state="RUNNING", job="17"))
    speaker.say(1, ManagerSeen(workers=2, **PLACE))
    speaker.say(2, BlockSeen(executor="cpu", block="1", state="PENDING", job="18"))
    speaker.say(3, BlockLost(executor="cpu", block="1", state="FAILED", job="18", message="no node"))
    rows = [(row.block, row.state, row.job, row.workers) for row in speaker.frame().blocks]
    assert rows == [("0", "RUNNING", "17", 2), ("1", "FAILED", "18", 0)]
    assert [event.kind for event in speaker.frame().incidents] == ["block.lost"]


# --- one frame ---


@pytest.fixture
def log(tmp_path):
    made = Log(tmp_path / "events").start()
    for task in range(3):
        made.good_task(task)
    made.bad_task(3)
    made.say(4, PlaceHeld(node="n2", reason="odd results", owner="ann"))
    return made


def test_one_look_as_text_has_each_table_that_has_rows(log, call):
    log.end()
    answer = call("top", "--once", "--fabric", f"file:{log.directory}")
    assert answer.status == 0
    lines = answer.out.splitlines()
    assert lines[0] == f"run {RUN[:8]}  campaign.py  ended, 1 min 0 s"
    assert lines[1].startswith("0 running, 0 waiting; 3 done, 1 failed; ")
    for title in ("Tasks", "Nodes", "Failures", "Decisions", "Incidents", "Holds"):
        assert title in lines
    assert "Workers" in lines
    assert "Blocks" in lines
    assert "ZeroDivisionError: division by zero" in answer.out
    assert "odd results" in answer.out
    assert all(line == line.rstrip() for line in lines)


def test_where_there_is_no_terminal_one_look_is_printed(log, call):
    assert call("top", "last", "--fabric", f"file:{log.directory}").out.startswith("run ")


def test_one_look_as_json_has_the_frame(log, call):
    frame = json.loads(call("top", "--json", "--fabric", f"file:{log.directory}").out)
    assert frame["run"] == RUN
    assert [row["done"] for row in frame["apps"]] == [3]
    assert {row["node"] for row in frame["nodes"]} == {"n1", "n2"}


def test_a_run_that_is_not_there_is_told(log, call):
    answer = call("top", "0000", "--fabric", f"file:{log.directory}")
    assert (answer.status, answer.out) == (1, "")
    assert "No run" in answer.err


@pytest.mark.parametrize("every", ["0", "-1", "nan", "1000"])
def test_a_span_that_is_none_is_refused(log, call, every):
    answer = call("top", "--every", every, "--fabric", f"file:{log.directory}")
    assert answer.status == 2


def test_without_the_library_the_live_view_says_what_to_install(log, call, monkeypatch):
    real = builtins.__import__

    def without(name, *more):
        if name.partition(".")[0] == "textual":
            raise ImportError(name)
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    with pytest.raises(Exception, match=r"needs the library textual.*parsl-diaspora\[top\]"):
        command.check_textual()
    assert call("top", "--once", "--fabric", f"file:{log.directory}").status == 0


def test_text_of_tasks_steers_no_terminal(log, call):
    log.say(
        5,
        TryFailed(
            task=8, try_id=0, failure=Failure(message="\x1b[2J[bold]x[/bold]\x07"), **log.place("alder")
        ),
    )
    out = call("top", "--once", "--fabric", f"file:{log.directory}").out
    assert "\x1b" not in out
    assert "[bold]x[/bold]" in out


# --- the live view ---


def live(log):
    from parsl_diaspora.cli.top.app import Top

    follower = Follower(Found(RUN, open_fabric(f"file:{log.directory}"), T0))
    follower.start()
    assert follower.caught_up.wait(10)
    return follower, Top(follower, every=0.1)


def watch(log, scenario, size=(140, 40)):
    """Run the live view without a terminal and let the scenario press its keys."""
    follower, app = live(log)

    async def go():
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await scenario(app, pilot)

    try:
        asyncio.run(go())
    finally:
        follower.close()


def head(app):
    return str(app.query_one("#head").render())


def rows(app, name):
    grid = app.query_one(f"#grid-{name}")
    return [[str(cell) for cell in grid.get_row_at(number)] for number in range(grid.row_count)]


async def until(pilot, condition):
    for _ in range(100):
        if condition():
            return
        await pilot.pause(0.05)
    raise AssertionError("it did not come")


def test_the_live_view_follows_the_run(log):
    async def scenario(app, pilot):
        assert "3 done, 1 failed" in head(app)
        assert rows(app, "tasks")[0][0] == "train"
        log.good_task(7, at=9.0)
        await until(pilot, lambda: "4 done, 1 failed" in head(app))
        assert rows(app, "tasks")[0][3] == "4"
        log.end()
        await until(pilot, lambda: "ended" in head(app))

    watch(log, scenario)


def test_tab_and_arrows_go_from_table_to_table(log):
    async def scenario(app, pilot):
        tabs = app.query_one("#tabs")
        names = [view.name for view in tables_of(app._frame)]
        seen = []
        for _ in names:
            seen.append(tabs.active)
            await pilot.press("tab")
            await pilot.pause()
        assert seen == names
        assert tabs.active == names[0]
        await pilot.press("left")
        await pilot.pause()
        assert tabs.active == names[-1]
        await pilot.press("right", "right")
        await pilot.pause()
        assert tabs.active == "nodes"
        await until(pilot, lambda: [row[0] for row in rows(app, "nodes")] == ["n1", "n2"])

    watch(log, scenario)


def test_p_holds_what_is_shown_and_goes_on(log):
    async def scenario(app, pilot):
        await pilot.press("p")
        log.good_task(7, at=9.0)
        await pilot.pause(0.5)
        assert "paused" in head(app)
        assert "3 done" in head(app)
        await pilot.press("p")
        await until(pilot, lambda: "4 done" in head(app))
        assert "paused" not in head(app)

    watch(log, scenario)


def test_a_filter_shows_only_rows_with_its_words_until_escape(log):
    async def scenario(app, pilot):
        await pilot.press("right")
        await until(pilot, lambda: len(rows(app, "nodes")) == 2)
        await pilot.press("slash", "n", "2", "enter")
        await until(pilot, lambda: [row[0] for row in rows(app, "nodes")] == ["n2"])
        assert "filter: n2" in head(app)
        await pilot.press("escape")
        await until(pilot, lambda: len(rows(app, "nodes")) == 2)

    watch(log, scenario)


def test_the_live_view_bears_any_size(log):
    async def scenario(app, pilot):
        for size in ((20, 5), (300, 80), (80, 24)):
            await pilot.resize_terminal(*size)
            await pilot.pause(0.2)
        assert "3 done" in head(app)

    watch(log, scenario)


def test_top_ends_when_q_is_pressed(log):
    async def scenario(app, pilot):
        await pilot.press("q")
        await until(pilot, lambda: app._exit)

    watch(log, scenario)


def test_markup_in_text_of_tasks_is_shown_as_it_is(log):
    log.say(
        5,
        TryFailed(task=8, try_id=0, failure=Failure(message="[red]x[/red] [/nothing]"), **log.place("alder")),
    )

    async def scenario(app, pilot):
        app.query_one("#tabs").active = "failures"
        await until(pilot, lambda: any("[red]x[/red]" in row[3] for row in rows(app, "failures")))

    watch(log, scenario)


def test_the_headline_tells_what_has_not_ended(speaker):
    tell_tasks(speaker)
    first, second = headline(speaker.frame(now=8))
    assert first.startswith("run r  study.py  ")
    assert second.startswith(
        "1 running, 3 waiting; 1 done, 0 failed, 1 with a failed dependency, 1 cancelled; "
    )
