"""Whatever is done to parked tasks, in any order: each goes on when it should, once, and never before."""

from __future__ import annotations

import tempfile
import threading
import time
from concurrent.futures import Future
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from parsl_diaspora.events import DecisionMade, Diagnosis
from parsl_diaspora.monitoring.kernel import Gate
from tests.monitoring.fakes import Program

TASKS = 3
tasks = st.integers(0, TASKS - 1)
NEVER = float("inf")
HELD = DecisionMade(diagnosis=Diagnosis(failure_class="unknown"), rule="hold", reason="look", action="hold")


class ParkedTasks(RuleBasedStateMachine):
    """What is expected: for each task the time at which it goes on, or None if it is not parked."""

    def __init__(self):
        super().__init__()
        self.program = Program(Path(tempfile.mkdtemp()), "alder", "birch", hold_timeout=None)
        self.clock, self.session = self.program.clock, self.program.session
        self.parked = self.session.parked
        self.session.begin(self.program.run_id)
        self.tasks = [self._task() for _ in range(TASKS)]
        self.due = [None] * TASKS
        self.held = [False] * TASKS
        self.launches = [0] * TASKS

    def _task(self):
        return self.program.task(
            task_launch_lock=threading.Lock(), exec_fu=None, app_fu=Future(), depends=["an input"]
        )

    def _goes_on(self, number):
        self.due[number], self.held[number] = None, False
        self.launches[number] += 1

    @rule(number=tasks, seconds=st.sampled_from([1.0, 5.0, 30.0]))
    def delay(self, number, seconds):
        self.parked.delay(self.tasks[number], seconds)
        if not self.held[number]:
            self.due[number] = self.clock.monotonic() + seconds

    @rule(number=tasks, seconds=st.sampled_from([2.0, 20.0]), otherwise=st.sampled_from(["retry", "hold"]))
    def wait_in_vain(self, number, seconds, otherwise):
        if not self.held[number] and otherwise == "retry":
            self.due[number] = self.clock.monotonic() + seconds
            self.parked.wait(self.tasks[number], "file:/no/such/file", seconds, otherwise)

    @rule(number=tasks)
    def hold_by_rule(self, number):
        self.parked.hold(self.tasks[number], HELD)
        self.due[number], self.held[number] = NEVER, True

    @rule(number=tasks)
    def hold_by_person(self, number):
        assert self.parked.hold_back(self.tasks[number], "let me see", "ada")
        self.due[number], self.held[number] = NEVER, True

    @rule(number=tasks, how=st.sampled_from(["release", "retry"]), to=st.sampled_from(["", "birch"]))
    def release(self, number, how, to):
        entry = self.parked.entry_of(number)
        assert (entry is None) == (self.due[number] is None)
        if entry is not None:
            assert self.parked.release(entry, how, "ada", to=to)
            self._goes_on(number)

    @precondition(lambda self: any(due is not None for due in self.due))
    @rule(number=tasks, again=st.sampled_from(["retry", "delay", "hold"]))
    def revise(self, number, again):
        done = []

        def carry_out():
            done.append(again)
            if again == "delay":
                self.parked.delay(self.tasks[number], 7.0)
            if again == "hold":
                self.parked.hold(self.tasks[number], HELD)
            return True

        entry = self.parked.entry_of(number)
        is_delayed = entry is not None and entry.state == "delayed"
        self.parked.revise(self.tasks[number], carry_out)
        assert bool(done) == is_delayed
        if done:
            after = {"delay": self.clock.monotonic() + 7.0, "hold": NEVER}.get(again)
            if after is None:
                self._goes_on(number)
            self.due[number], self.held[number] = after, again == "hold"
            self._is_looked_at_once_more(number, after)

    def _is_looked_at_once_more(self, number, after):
        """The kernel looks at a task that was parked anew, and finds that it has to wait."""
        if after is not None:
            self.launches[number] += 1

    @rule(seconds=st.sampled_from([0.5, 3.0, 25.0]))
    def time_passes(self, seconds):
        self.clock.advance(seconds)
        for number, due in enumerate(self.due):
            if due is not None and due <= self.clock.monotonic():
                self._goes_on(number)

    @invariant()
    def each_goes_on_when_it_should(self):
        end = time.monotonic() + 10
        while self._launches() != self.launches and time.monotonic() < end:
            time.sleep(0.001)
        assert self._launches() == self.launches
        for number, task in enumerate(self.tasks):
            gates = [each for each in task["depends"] if isinstance(each, Gate)]
            assert len(gates) <= 1
            assert task["depends"][0] == "an input"
            is_open = all(gate.done() for gate in gates)
            assert is_open == (self.due[number] is None)
            assert (number in self.program.picture.held) == self.held[number]

    def _launches(self):
        return [self.program.relaunched.count(number) for number in range(TASKS)]

    def teardown(self):
        self.parked._errands.close()
        self.session.live.stop()


ParkedTasks.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestParkedTasks = ParkedTasks.TestCase
