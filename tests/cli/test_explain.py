"""The story of one task: complete, the same in text and JSON, and told in whatever order the events lie."""

from __future__ import annotations

import io
import itertools
import json
import random

import msgspec
import pytest

from parsl_diaspora.cli.action_words import action_words
from parsl_diaspora.cli.find import Found
from parsl_diaspora.cli.output import console
from parsl_diaspora.cli.story_text import render
from parsl_diaspora.cli.storyteller import Storyteller
from parsl_diaspora.events import (
    BlockLost,
    DecisionMade,
    Diagnosis,
    Failure,
    FaultInjected,
    ManagerLost,
    PlaceQuarantined,
    TaskEnded,
    TaskHedged,
    TaskMoved,
    TaskSubmitted,
    TryDeclined,
    TryFailed,
    TryLaunched,
    TryStopped,
)
from parsl_diaspora.state import read_events

from .conftest import BUG, LOST, T0


def told(log, task, *, width=100, traceback=False):
    out = io.StringIO()
    render(story(log, task), console(out, width), traceback=traceback)
    return out.getvalue()


def story(log, task, events=None):
    teller = Storyteller(log.run, task)
    for event in events if events is not None else read_events(log.fabric):
        teller.listen(event)
    return teller.tell(now=T0 + 10)


def test_a_bad_task_is_told_from_its_submission_to_its_end(call, log):
    answer = call("explain", "last", 1)
    assert answer.status == 0
    assert answer.lines[0] == "Task 1  train"
    for words in (
        f"run {log.run} of campaign.py, ended",
        "Try 0 failed at +0.4 s, after 0.2 s on the worker",
        "where alder, node n1, block 0, manager m0, worker 1, pid 77",
        "when launched +0 ms, started +0.1 s, failed +0.4 s",
        "failure ZeroDivisionError: division by zero",
        "in campaign.py:train:26",
        "(4 lines; --traceback shows them)",
        "diagnosis application (application layer, confidence 70 %) the app raised ZeroDivisionError",
        "decision move to birch",
        "because a try at birch tells a bad task from a bad place",
        "rule second-opinion-move",
        "budget application: 1 of 2 used; tries: 1 of 12",
        "not taken second-opinion-avoid: no other manager is there at this executor",
        "Try 1 failed at +0.9 s",
        "where birch, node n2, block 0, manager m1, worker 1, pid 88",
        "decision fail now",
        "rule proven-hopeless",
        "It failed 1.0 s after it was submitted, in 2 tries with 0.5 s on workers.",
        "The program sees: ZeroDivisionError: division by zero",
    ):
        assert words in answer.words


def test_a_saved_task_tells_the_loss_the_delay_and_the_success(call, log):
    words = call("explain", "last", 2).words
    assert "Try 0 failed at +1.0 s where" in words  # the worker did not live to tell how long
    assert "failure WorkerLost: Task failure due to loss of worker 1 on host n2" in words
    assert "phase lost: nothing came back from the worker" in words
    assert "decision retry here, after 0.5 s" in words
    assert "Try 1 succeeded at +2.0 s, after 0.4 s on the worker" in words
    assert "It succeeded 2.0 s after it was submitted, in 2 tries with 0.4 s on workers." in words


def test_why_a_place_of_a_pool_was_chosen_is_told_of_each_try_and_of_its_copies(call, make_log):
    log = make_log().start()
    first, again = {"task": 4, "try_id": 0}, {"task": 4, "try_id": 1}
    log.say(0.0, TaskSubmitted(executor="alder", func="fit", placed="2 slots are free there", **first))
    log.say(0.1, TryFailed(executor="alder", failure=LOST, **first))
    log.say(0.2, TryLaunched(executor="birch", placed="its last block lasts longest", **again))
    log.say(0.3, TaskMoved(executor="birch", to="alder", reason="birch goes down at six", **again))
    log.say(5.0, TaskHedged(executor="alder", to="birch", reason="most take 1.0 s at most", **again))
    words = call("explain", log.run, 4).words
    for told in (
        "where alder placed 2 slots are free there when launched +0 ms",
        "placed its last block lasts longest moved +0.3 s to alder, birch goes down at six",
        "second copy +5.0 s to birch, most take 1.0 s at most",
    ):
        assert told in words


def test_run_may_be_left_out(call, log):
    assert call("explain", 1).out == call("explain", "last", 1).out == call("explain", log.run, 1).out


def test_json_says_what_the_text_says(call, log):
    found = json.loads(call("explain", 1, "--json").out)
    assert (found["task"], found["func"], found["outcome"], found["run_state"]) == (
        1,
        "train",
        "failed",
        "ended",
    )
    assert found["submitted"] == T0 + 2
    first, second = found["tries"]
    assert first["place"] == {
        "executor": "alder",
        "block": "0",
        "manager": "m0",
        "node": "n1",
        "worker": 1,
        "pid": 77,
    }
    assert first["failure"]["traceback"] == BUG.traceback
    assert first["decision"]["words"] == "move to birch"
    assert first["diagnosis"]["failure_class"] == "application"
    assert second["decision"]["rule"] == "proven-hopeless"
    assert [round(each["ended"], 3) for each in found["tries"]] == [0.4, 0.9]
    assert found["ended"] == pytest.approx(1.0)


def test_the_whole_traceback_is_shown_when_it_is_asked_for(call, log):
    out = call("explain", 1, "--traceback").out
    assert out.count('File "campaign.py", line 26, in train') == 2
    assert "--traceback shows" not in out


def test_without_the_whole_traceback_its_last_line_is_shown_if_it_says_more(log):
    failure = Failure(
        chain=("lib.Odd",), message="odd", traceback="Traceback\n  x\nlib.Odd: odd\nhint: look\n"
    )
    log.submitted(5, 10)
    log.failed(5, 0, 11, failure)
    assert "traceback   hint: look (4 lines; --traceback shows them)" in told(log, 5)
    assert "failure     lib.Odd: odd" in told(log, 5)


def test_the_order_of_events_in_the_log_does_not_matter(log):
    events = list(read_events(log.fabric))
    expected = story(log, 1, events)
    for seed in range(20):
        random.Random(seed).shuffle(events)
        assert story(log, 1, events) == expected


@pytest.mark.parametrize("task", [0, 1, 2])
@pytest.mark.parametrize("width", [80, 100])
def test_it_fits_the_terminal(log, task, width):
    for text in (told(log, task, width=width), told(log, task, width=width, traceback=True)):
        assert max(map(len, text.splitlines())) <= width


def test_it_is_plain_text_when_nobody_watches(call, log):
    assert "\x1b" not in call("explain", 1).out


def test_a_first_try_that_was_routed_elsewhere_tells_why(call, log):
    log.say(
        9.999,
        DecisionMade(
            task=6,
            try_id=0,
            executor="alder",
            diagnosis=Diagnosis(failure_class="missing_module", missing="strokes"),
            rule="known-lack",
            reason="alder lacks 'strokes', as earlier tasks have shown; birch is used at once",
            action="move",
            target="birch",
        ),
    )
    log.submitted(6, 10, label="birch")
    log.started(6, 0, 10.1, label="birch")
    log.succeeded(6, 0, 10.5, label="birch")
    words = call("explain", 6).words
    assert "routed before its first try: move to birch because alder lacks 'strokes'" in words
    assert "rule known-lack, for failures of class missing_module" in words
    assert "where birch, node n2" in words
    found = json.loads(call("explain", 6, "--json").out)
    assert found["routing"]["rule"] == "known-lack"
    assert found["tries"][0]["decision"] is None


def test_declined_and_avoided_places_are_told(call, log):
    log.submitted(7, 10)
    log.failed(7, 0, 10.5)
    log.decided(7, 0, 10.5, action="avoid", target=None, avoid=("m0",))
    log.launched(7, 1, 10.6, label="alder", avoid=("m0",))
    log.say(10.7, TryDeclined(task=7, try_id=1, count=1, **log.place("alder")))
    log.started(7, 1, 11, label="birch")
    log.succeeded(7, 1, 11.5, label="birch")
    words = call("explain", 7).words
    assert "decision avoid manager m0" in words
    assert "avoids manager m0 declined +0.7 s by alder, node n1, block 0, manager m0, worker 1" in words
    assert "where birch, node n2, block 0, manager m1, worker 1, pid 77" in words


def test_a_copy_that_loses_does_not_end_the_try(call, log):
    log.submitted(7, 10, label="alder")
    log.started(7, 0, 11, label="alder")
    log.say(20.0, TaskHedged(task=7, try_id=0, executor="alder", to="birch", after=9.0, usual=1.0))
    log.started(7, 0, 20.1, label="birch")
    log.succeeded(7, 0, 21, label="birch")
    log.say(21.5, TryStopped(task=7, try_id=0, how="kill", **log.place("alder")))
    (told,) = json.loads(call("explain", 7, "--json").out)["tries"]
    assert (told["status"], told["place"]["executor"]) == ("succeeded", "birch")
    assert set(told["copies"]) == {"alder", "birch"}


def test_what_befell_the_place_meanwhile_is_told(call, log):
    """The worker of task 2 ran from +3.1 to +4.0 at manager m1 of birch, with pid 99."""
    log.say(3.9, FaultInjected(fault="kill_busy_worker", pid=99, note="signal 9"))
    log.say(4.5, ManagerLost(executor="birch", block="0", manager="m1", reason="no heartbeat"))
    log.say(5.0, PlaceQuarantined(executor="birch", manager="m1", seconds=300, reason="3 tasks failed there"))
    log.say(
        8.0, BlockLost(executor="birch", block="0", state="FAILED", exit_code=1, message="node\n failure")
    )
    log.say(3.9, FaultInjected(fault="kill_busy_worker", pid=12345))  # somewhere else
    log.say(50.0, ManagerLost(executor="birch", block="0", manager="m1", reason="much later"))
    log.say(4.0, BlockLost(executor="birch", block="0", state="SCALED_IN", expected=True))
    found = json.loads(call("explain", 2, "--json").out)
    assert [each["words"] for each in found["tries"][0]["nearby"]] == [
        "on purpose: kill_busy_worker, pid 99, signal 9",
        "the manager was lost: no heartbeat",
        "the manager was put in quarantine for 5 min 0 s: 3 tasks failed there",
        "the block ended: FAILED, exit code 1, node failure",
    ]
    assert found["tries"][1]["nearby"] == []
    assert "meanwhile +0.9 s on purpose: kill_busy_worker, pid 99, signal 9" in call("explain", 2).words


@pytest.mark.parametrize(("failure_class", "told"), [("manager_lost", 1), ("worker_lost", 0)])
def test_a_late_end_of_the_block_explains_only_the_loss_of_all_that_it_held(call, log, failure_class, told):
    log.submitted(9, 10)
    log.failed(9, 0, 12, LOST, seconds=None)
    log.decided(9, 0, 12, failure_class=failure_class)
    log.say(60, BlockLost(executor="alder", block="0", state="TIMEOUT", message="x" * 999))
    found = json.loads(call("explain", 9, "--json").out)
    assert len(found["tries"][0]["nearby"]) == told
    assert all(len(each["words"]) < 200 for each in found["tries"][0]["nearby"])


def test_a_task_that_never_ran_names_the_one_where_the_trouble_began(call, log):
    error = (
        "DependencyError: Dependency failure for task 8. The representative cause is via task 7 (+ others) "
        "<- task 1, which failed with ValueError: task 99 is odd"
    )
    log.say(12, TaskEnded(task=8, outcome="dependency_failed", tries=0, error=error))
    words = call("explain", 8).words
    assert f"It never ran: a task that it waits for failed. The program sees: {error}" in words
    assert f"The trouble began there: parsl-diaspora explain {log.run[:8]} 1" in words
    assert json.loads(call("explain", 8, "--json").out)["root"] == 1


def test_a_failed_dependency_in_other_words_is_told_without_a_name(call, log):
    log.say(12, TaskEnded(task=8, outcome="dependency_failed", tries=0, error="DependencyError: odd"))
    answer = call("explain", 8)
    assert "It never ran" in answer.out
    assert "The trouble began there" not in answer.out


def test_a_task_whose_result_was_known_says_so(call, log):
    log.say(12, TaskEnded(task=8, outcome="memoized", tries=0))
    assert "Its result was known from before, so it never ran." in call("explain", 8).words


def test_a_task_without_an_end_says_where_the_log_stops(call, make_log):
    log = make_log().start()
    log.submitted(0, 1)
    log.started(0, 0, 1.5)
    words = call("explain", 0).words
    assert "Try 0 running; its end is not in the log" in words
    assert "The log has no end of it: the run is interrupted?." in words


def test_a_task_of_a_running_program_has_not_ended_yet(call, make_log, here):
    import time

    log = make_log(t0=time.time(), **here).start()
    log.submitted(0, 1)
    words = call("explain", 0).words
    assert "Try 0 launched where alder" in words
    assert "(no worker told of its start)" in words
    assert "It has not ended yet." in words


def test_an_executor_that_tells_no_place_leaves_only_the_label(call, log):
    from parsl_diaspora.events import TryEnded

    log.submitted(9, 10, label="threads")
    log.say(11, TryEnded(task=9, try_id=0, executor="threads"))
    log.say(11, TaskEnded(task=9))
    words = call("explain", 9).words
    assert "Try 0 succeeded at +1.0 s where threads when" in words
    assert "It succeeded 1.0 s after it was submitted, in 1 try." in words


def test_a_worker_whose_clock_is_behind_does_not_break_the_story(call, log):
    log.submitted(9, 10)
    log.started(9, 0, 8)
    log.succeeded(9, 0, 11)
    assert "launched +0 ms, started -2.0 s, succeeded +1.0 s" in call("explain", 9).words


def test_an_app_that_forbids_a_retry_is_quoted(call, log):
    failure = Failure(chain=("parsl_diaspora.errors.NonRetryable",), retryable=False, declared="BadInput")
    log.submitted(9, 10)
    log.failed(9, 0, 11, failure)
    words = call("explain", 9).words
    assert "declared BadInput, the app says that trying again cannot help" in words


def test_a_spent_budget_says_so(call, log):
    log.submitted(9, 10)
    log.failed(9, 0, 11)
    log.decided(9, 0, 11, used=3, limit=2)
    assert "budget application: 3 of 2 used, spent; tries: 1 of 12" in call("explain", 9).words


def test_what_tasks_say_cannot_steer_the_terminal(call, log):
    evil = Failure(
        chain=("lib.Evil",), message="\x1b]0;owned\x07\x1b[2J[bold]x\x9b31m", traceback="\x1b[1mT\x1b[0m"
    )
    log.submitted(9, 10)
    log.failed(9, 0, 11, evil)
    out = call("explain", 9).out
    assert "lib.Evil: [bold]x" in out
    assert "\x1b" not in out
    assert "\x9b" not in out
    assert "owned" not in out


def test_an_unknown_task_is_refused_with_what_is_known(call, log):
    answer = call("explain", 99)
    assert (answer.status, answer.out) == (1, "")
    assert "has no task 99. It tells of tasks up to 2." in answer.err
    assert "still waits for others" in answer.err


def test_a_run_without_tasks_says_so(call, make_log):
    make_log().start()
    assert "It tells of no task." in call("explain", 0).err


@pytest.mark.parametrize(
    "arguments", [("last", "one"), ("last", "1.5"), ("last", ""), ("--json", "last", "one")]
)
def test_a_task_that_is_no_number_is_refused(call, log, arguments):
    answer = call("explain", *arguments)
    assert answer.status == 2
    assert "is no number of a task. Write explain RUN TASK" in answer.err


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"action": "retry"}, "retry here"),
        ({"action": "retry", "delay": 2.0}, "retry here, after 2.0 s"),
        ({"action": "avoid", "avoid": ("m1",)}, "avoid manager m1"),
        ({"action": "avoid", "avoid": ("m1", "m2")}, "avoid 2 managers m1, m2"),
        ({"action": "avoid"}, "avoid the manager where it failed"),
        ({"action": "move", "target": "birch"}, "move to birch"),
        ({"action": "fail"}, "fail now"),
        ({"action": "substitute"}, "end it with a value that stands in for its result"),
        ({"action": "hold", "held_number": 101}, "hold it until somebody releases it (reason 101)"),
        (
            {"action": "avoid", "avoid": ("m1", "node:n1", "worker:m2/3")},
            "avoid manager m1 and node n1 and worker m2/3",
        ),
        (
            {"action": "retry", "memory": 8 * 10**9, "priority": 1},
            "retry here, with 8 GB of memory, with priority 1",
        ),
        (
            {"action": "retry", "wait": "file:/x", "wait_timeout": 60.0, "wait_else": "hold"},
            "retry here, when file /x is there, or after 1 min 0 s hold",
        ),
        (
            {"action": "retry", "rest": "node", "rest_for": 5.0},
            "retry here, no new work for its node for 5.0 s",
        ),
        ({"action": "of a later release"}, "of a later release"),
    ],
)
def test_a_decision_is_told_in_words(fields, words):
    assert action_words(DecisionMade(**fields)) == words


def test_every_field_of_the_story_is_in_the_text(log):
    """A decision with every field filled in: nothing that the JSON has is missing from the text."""
    log.submitted(9, 10)
    log.failed(9, 0, 11)
    numbers = itertools.count(101)
    log.decided(
        9,
        0,
        11,
        rule="the-rule",
        reason="the reason",
        target="the-target",
        alternatives=("the-other: why not",),
        budget="the-budget",
        used=next(numbers),
        limit=next(numbers),
        max_tries=next(numbers),
        delay=7.0,
    )
    text = told(log, 9)
    choice = msgspec.to_builtins(story(log, 9).tries[0].decision)
    for name in ("words", "rule", "reason", "target", "budget", "used", "limit", "max_tries"):
        assert str(choice[name]) in text, name
    assert "the-other: why not" in text


def test_the_story_is_found_by_run_and_task_together(log):
    log.say(1, TaskEnded(run="other", task=1, outcome="memoized"))
    assert story(log, 1).outcome == "failed"
    assert Found(log.run, log.fabric, 0.0).run == log.run


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Write explain RUN TASK, as explain last 21, or explain RUN --failed"),
        (("last", 1, 2), "Write explain RUN TASK"),
        (("last", 1, "--failed"), "Leave the task's number out"),
    ],
)
def test_what_explain_needs_to_know_is_said(call, log, arguments, words):
    answer = call("explain", *arguments)
    assert answer.status == 2
    assert words in answer.err
