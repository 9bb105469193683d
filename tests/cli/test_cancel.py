"""What the command says when there is nobody, or nothing, to be stopped. Real programs: tests/integration."""

from __future__ import annotations

import threading

import pytest

from parsl_diaspora.cli.cancel import who
from parsl_diaspora.events import DecisionMade, TaskCancelAsked, TaskEnded
from parsl_diaspora.state import read_events
from tests.cli.conftest import RUN, still_going


@pytest.fixture
def log(tmp_path):
    return still_going(tmp_path)


def asked(log):
    return [event for event in read_events(log.fabric) if isinstance(event, TaskCancelAsked)]


class Answering(threading.Thread):
    """A program that does what it is asked the second time."""

    def __init__(self, log):
        super().__init__(daemon=True)
        self.log = log
        self.consumer = log.fabric.consumer("program", start="latest")

    def run(self):
        heard = 0
        while heard < 2:
            heard += sum(isinstance(event, TaskCancelAsked) for event in self.consumer.poll(0.1))
        reason = "ann@desk asked for it; its worker is told to stop it"
        self.log.say(3, DecisionMade(task=1, action="cancel", rule="cancelled", reason=reason))
        self.log.say(3, TaskEnded(task=1, outcome="cancelled", error="TaskCancelled: x"))


def test_a_program_is_asked_until_it_answers(log, call):
    program = Answering(log)
    program.start()
    answer = call("cancel", "last", "1", "--reason", "too slow", "--fabric", f"file:{log.directory}")
    program.join(10)
    assert answer.status == 0, answer.err
    assert answer.out == "Task 1 was cancelled: ann@desk asked for it; its worker is told to stop it\n"
    events = asked(log)
    assert len(events) == 2
    assert {(event.run, event.task, event.reason, event.owner) for event in events} == {
        (RUN, 1, "too slow", who())
    }


def test_a_program_that_does_not_answer_is_told_of(log, call):
    answer = call("cancel", RUN[:8], "1", "--wait", "0.3", "--fabric", f"file:{log.directory}")
    assert answer.status == 1
    assert answer.out == "Task 1 has not ended: no program answered, or it has no such task.\n"
    assert len(asked(log)) == 1


def test_a_task_that_has_ended_is_left_alone(log, call):
    log.good_task(2)
    answer = call("cancel", "last", "2", "--fabric", f"file:{log.directory}")
    assert (answer.status, answer.out) == (1, "Task 2 had ended already (done)\n")
    assert asked(log) == []


def test_a_run_that_is_over_cannot_be_asked(log, call):
    log.end()
    answer = call("cancel", "last", "1", "--fabric", f"file:{log.directory}")
    assert (answer.status, answer.out) == (1, "")
    assert f"Run {RUN} has ended: no task of it can be cancelled any more." in answer.err
    assert asked(log) == []


@pytest.mark.parametrize("arguments", [("last",), ("last", "x"), ("last", "1", "--wait", "soon")])
def test_a_wrong_command_line_is_told(call, arguments):
    answer = call("cancel", *arguments)
    assert answer.status == 2
    assert answer.err.startswith("usage: parsl-diaspora cancel")
