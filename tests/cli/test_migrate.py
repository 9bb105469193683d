"""What the command says, and what a program is asked. Real moves: tests/integration/test_migration.py."""

from __future__ import annotations

import threading

import pytest

from parsl_diaspora.clock import SystemClock
from parsl_diaspora.events import OrderAnswered, TaskActionAsked
from parsl_diaspora.monitoring.order_gate import OrderGate
from parsl_diaspora.monitoring.run_key import RunKey
from parsl_diaspora.state import read_events
from tests.cli.conftest import RUN, still_going


@pytest.fixture
def log(tmp_path):
    return still_going(tmp_path)


class Answering(threading.Thread):
    """A program that answers the first order that is signed with its key."""

    def __init__(self, log, directory, *, accepted, why):
        super().__init__(daemon=True)
        self.log, self.accepted, self.why = log, accepted, why
        self.consumer = log.fabric.consumer("program", start="latest")
        self.gate = OrderGate(RUN, RunKey.load(directory / "orders.key"), lambda event: None, SystemClock())

    def run(self):
        while True:
            for event in self.consumer.poll(0.1):
                if isinstance(event, TaskActionAsked) and self.gate.passes(event):
                    tasks = (event.task,) if self.accepted else ()
                    self.log.say(
                        3,
                        OrderAnswered(order=event.order, accepted=self.accepted, tasks=tasks, why=self.why),
                    )
                    return


def test_a_program_is_asked_with_a_signed_order(log, call, tmp_path):
    program = Answering(log, tmp_path, accepted=True, why="task 1 on its way")
    program.start()
    where = ("--fabric", f"file:{log.directory}")
    answer = call("migrate", "last", "1", "--to", "birch", "--reason", "a storm", "--owner", "ada", *where)
    program.join(10)
    assert (answer.status, answer.out, answer.err) == (0, "Task 1 on its way.\n", "")
    (event,) = [each for each in read_events(log.fabric) if isinstance(each, TaskActionAsked)]
    assert (event.action, event.task, event.to) == ("migrate", 1, "birch")
    assert (event.reason, event.owner) == ("a storm", "ada")
    assert event.mac


def test_why_a_task_does_not_move_is_told(log, call, tmp_path):
    why = "task 1 does not move: Task 1 cannot move yet: it has not saved its state."
    program = Answering(log, tmp_path, accepted=False, why=why)
    program.start()
    answer = call("migrate", "last", "1", "--to", "birch", "--fabric", f"file:{log.directory}")
    program.join(10)
    assert answer.status == 1
    assert "has not saved its state" in answer.out


def test_nobody_answers(log, call):
    where = ("--wait", "0.3", "--fabric", f"file:{log.directory}")
    answer = call("migrate", "last", "1", "--to", "birch", *where)
    assert (answer.status, answer.out) == (1, "No program has answered.\n")


def test_without_a_place_to_go_nothing_is_asked(log, call):
    answer = call("migrate", "last", "1")
    assert answer.status == 2
    assert "--to" in answer.err
