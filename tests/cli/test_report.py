"""What a person wants to know in the morning, and that the text and the JSON say the same."""

from __future__ import annotations

import io
import json

import pytest

from parsl_diaspora.cli.find import Found
from parsl_diaspora.cli.output import console
from parsl_diaspora.cli.report import report_of
from parsl_diaspora.cli.report_text import render
from parsl_diaspora.events import (
    BlockLost,
    EventsLost,
    FaultInjected,
    ManagerLost,
    PlaceQuarantined,
    PlaceReleased,
    ServiceDegraded,
    TaskEnded,
    TaskHeld,
    TryDeclined,
)

DEPENDENCY = (
    "DependencyError: Dependency failure for task {}. The representative cause is via task 4 <- task 1, "
    "which failed with ZeroDivisionError: division by zero"
)


def as_json(call, *arguments):
    answer = call("report", "--json", *arguments)
    assert answer.status == 0
    return json.loads(answer.out)


def test_it_begins_with_which_run_when_how_long_and_with_what(call, log):
    answer = call("report")
    assert answer.status == 0
    assert answer.lines[0] == f"Run {log.run}  campaign.py  ended"
    for words in (
        "took 1 min 0 s",
        "elsewhere, pid 1, /scratch/runinfo/000",
        "Parsl 2026.10.26, Python 3.11.7, retries=2",
        "alder, birch",
        "25 events",
        "none: this package met no fault of its own",
    ):
        assert words in answer.words


def test_outcomes_and_tries_are_counted(call, log):
    words = call("report").words
    assert "2 succeeded 1 failed 1 of those that succeeded had failed tries before" in words
    assert "5 tries in all 3 of them failed (60.0 %), which took 1.4 s of workers' time" in words
    report = as_json(call)
    assert report["outcomes"] == {"done": 2, "failed": 1}
    assert report["recovered"] == 1
    assert report["wasted"] == pytest.approx(0.25 + 0.25 + 0.9)  # twice as told, and once until it was lost


def test_failures_are_counted_by_class_tasks_and_place(call, log):
    report = as_json(call)
    assert report["failures"] == [
        {
            "failure_class": "application",
            "layer": "application",
            "tries": 2,
            "tasks": 1,
            "places": {"alder/n1": 1, "birch/n2": 1},
        },
        {
            "failure_class": "worker_lost",
            "layer": "runtime",
            "tries": 1,
            "tasks": 1,
            "places": {"birch/n2": 1},
        },
    ]
    assert "application application 2 1 alder/n1 1, birch/n2 1" in call("report").words


def test_a_failed_try_without_a_decision_is_undiagnosed(call, log):
    log.submitted(9, 10)
    log.failed(9, 0, 11)
    assert as_json(call)["failures"][-1]["failure_class"] == "undiagnosed"


def test_decisions_are_counted_by_rule_with_the_reason(call, log):
    report = as_json(call)
    assert [(row["rule"], row["action"], row["count"]) for row in report["decisions"]] == [
        ("proven-hopeless", "fail", 1),
        ("second-opinion-move", "move", 1),
        ("worker-lost-retry", "retry", 1),
    ]
    words = call("report").words
    assert "1 move second-opinion-move a try at birch tells a bad task from a bad place" in words


def test_managers_tell_what_ran_there_and_why_they_are_gone(call, log):
    place = {"executor": "birch", "block": "0", "manager": "m1"}
    log.say(20, ManagerLost(reason="the interchange no longer lists it", held=3, **place))
    alder, birch = as_json(call)["managers"]
    assert (alder["manager"], alder["tries"], alder["failed_tries"], alder["lost"]) == ("m0", 2, 1, "")
    assert (birch["node"], birch["workers"], birch["tries"], birch["failed_tries"]) == ("n2", 2, 3, 2)
    words = call("report").words
    assert "alder 0 n1 m0 2 2 1 -" in words
    assert "birch 0 n2 m1 2 3 2 the interchange no longer lists it" in words


def test_tasks_that_failed_are_grouped_by_the_first_line_of_their_error(call, log):
    for task in (10, 11, 12, 13, 14):
        log.submitted(task, 5, func="evaluate")
        log.say(6, TaskEnded(task=task, outcome="failed", error="ValueError: no such seed\nand more"))
    rows = as_json(call)["errors"]
    assert rows[0] == {
        "outcome": "failed",
        "error": "ValueError: no such seed",
        "apps": ["evaluate"],
        "tasks": [10, 11, 12, 13, 14],
    }
    words = call("report").words
    assert "5 evaluate 10, 11, 12 and 2 more ValueError: no such seed" in words
    assert f"parsl-diaspora explain {log.run[:8]} 10" in words


def test_tasks_that_never_ran_for_the_same_cause_are_one_group(call, log):
    for task in (20, 21):
        log.say(9, TaskEnded(task=task, outcome="dependency_failed", tries=0, error=DEPENDENCY.format(task)))
    report = as_json(call)
    assert report["outcomes"]["dependency_failed"] == 2
    assert [row["tasks"] for row in report["errors"]] == [[1], [20, 21]]
    assert "2 never ran, because a task that they wait for failed" in call("report").words


def test_blocks_quarantines_and_injected_faults_have_sections_of_their_own(call, log):
    place = {"executor": "birch", "block": "0"}
    log.say(4, FaultInjected(fault="kill_busy_worker", pid=99, note="signal 9", **place))
    log.say(9, BlockLost(state="FAILED", job="777", exit_code=1, message="node failure", **place))
    log.say(10, BlockLost(state="SCALED_IN", expected=True, **place))
    quarantined = {"manager": "m1", "node": "n2", "executor": "birch"}
    reason = "3 different tasks failed there within 60 s, and none succeeded"
    log.say(11, PlaceQuarantined(reason=reason, seconds=300, **quarantined))
    log.say(31, PlaceReleased(reason="its time is over", manager="m1"))
    words = call("report").words
    assert "Faults injected on purpose" in words
    assert "+4.0 s kill_busy_worker birch, block 0, pid 99 signal 9" in words
    assert "+9.0 s FAILED birch, block 0 exit code 1, job 777, node failure" in words
    assert "SCALED_IN" not in words
    assert f"for 5 min 0 s: {reason}, released at +31.0 s: its time is over" in words
    report = as_json(call)
    assert [len(report[name]) for name in ("faults", "blocks_lost", "quarantines")] == [1, 1, 1]


def test_tasks_that_are_held_are_listed_with_the_way_to_release_them(call, make_log):
    log = make_log().start()
    log.submitted(7, 1)
    fields = {"number": 28, "reason": "the disk is full", "suggestion": "make room", "owner": "the policy"}
    log.say(2, TaskHeld(task=7, failure_class="disk_full", **fields))
    words = call("report").words
    assert "Tasks that are held" in words
    assert "7 disk_full the disk is full make room" in words
    assert f"parsl-diaspora release {log.run[:8]} --task 7" in words
    assert [row["task"] for row in as_json(call)["held"]] == [7]
    log.end()
    assert as_json(call)["held"] == []


def test_sections_of_what_did_not_happen_are_left_out(call, make_log):
    log = make_log().start()
    log.good_task(0)
    log.end(done=1)
    out = call("report").out
    for title in ("Failed", "Decisions", "Blocks", "Quarantines", "Faults", "Tasks that failed", "whole"):
        assert title not in out


def test_own_faults_are_told_with_their_reason(call, make_log):
    log = make_log().start()
    log.say(1, ServiceDegraded(part="retry handler", why="KeyError: 7"))
    assert "retry handler (once) KeyError: 7" in call("report").words
    log.end(faults={"retry handler": 4})
    assert "retry handler (4 times) KeyError: 7" in call("report").words


def test_declined_tries_are_counted(call, log):
    log.say(3, TryDeclined(task=2, try_id=1, **log.place("alder")))
    assert "1 handed back before they began, because they should avoid the place" in call("report").words


def test_events_that_could_not_be_kept_are_told(call, log):
    log.submit.publish(EventsLost(count=12, why="the buffer was full"))
    log.submit.publish(EventsLost(count=5, why="of another run", run="other"))
    answer = call("report", log.run)
    assert "12 events could not be kept: the buffer was full" in answer.words
    assert "of another run" not in answer.words


def test_a_run_that_was_interrupted_says_so(call, make_log):
    log = make_log().start()
    log.submitted(0, 1)
    words = call("report").words
    assert f"Run {log.run} campaign.py interrupted?" in words
    assert "took 1.0 s until its last event" in words
    assert "1 have no end in the log" in words


def test_a_run_that_is_running_says_so(call, make_log, here):
    import time

    log = make_log(t0=time.time(), **here).start()
    log.submitted(0, 0.001)
    words = call("report").words
    assert "so far" in words
    assert "1 have not ended yet" in words


def test_a_log_without_its_beginning_can_be_reported(call, make_log):
    log = make_log()
    log.bad_task(1)
    answer = call("report")
    assert answer.status == 0
    assert "1 failed" in answer.words


def test_long_lists_are_cut_and_say_so(call, make_log):
    log = make_log().start()
    for task in range(30):
        log.submitted(task, 1)
        log.say(2, TaskEnded(task=task, outcome="failed", error=f"ValueError: seed {task}"))
        log.say(2, FaultInjected(fault="kill_worker", pid=task))
    words = call("report").words
    assert "and 10 more errors; --json has all" in words
    assert "and 10 more incidents; --json has all" in words
    assert len(as_json(call)["errors"]) == 30


def test_other_runs_in_the_same_log_are_left_out(call, log):
    log.say(1, TaskEnded(run="other", task=50, outcome="failed", error="nothing to do with it"))
    (log.directory.parent / "parsl.log").unlink()
    report = as_json(call, log.run)
    assert report["outcomes"] == {"done": 2, "failed": 1}
    assert "nothing to do" not in call("report", log.run).out


def test_what_tasks_say_cannot_steer_the_terminal(call, make_log):
    log = make_log().start()
    log.submitted(0, 1, func="f[bold]")
    log.say(2, TaskEnded(task=0, outcome="failed", error="\x1b[31mE: [red]x[/red] :smile:\x1b]0;title\x07\n"))
    out = call("report").out
    assert "E: [red]x[/red] :smile:" in out
    assert "f[bold]" in out
    assert "\x1b" not in out
    assert "title" not in out


@pytest.mark.parametrize("width", [80, 100, 140])
def test_it_fits_the_terminal(log, width):
    log.say(4, FaultInjected(fault="kill_busy_worker", pid=99, note="x" * 200, executor="birch"))
    out = io.StringIO()
    render(report_of(Found(log.run, log.fabric, 0.0)), console(out, width))
    assert max(map(len, out.getvalue().splitlines())) <= width


def test_text_has_no_spaces_at_the_ends_of_lines(call, log):
    assert all(line == line.rstrip() for line in call("report").lines)
