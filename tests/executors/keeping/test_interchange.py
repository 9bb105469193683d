"""The interchange is replaced when it is dead or silent; the executor is given up when that does not help."""

from __future__ import annotations

import pytest

from parsl_diaspora.events import InterchangeEnded, InterchangeStarted
from parsl_diaspora.executors.errors import InterchangeLost
from parsl_diaspora.executors.keeping.interchange import RESTART_WINDOW, InterchangeKeeper
from parsl_diaspora.testing.clock import VirtualClock


class Process:
    """An interchange; it may be dead, or answer nothing."""

    pids = iter(range(100, 10_000))

    def __init__(self):
        self.pid = next(self.pids)
        self.returncode = None
        self.silent = False

    def poll(self):
        return self.returncode

    def kill(self):
        self.returncode = -9

    def wait(self, timeout):
        assert self.returncode is not None


class Commands:
    can_time_out = True

    def __init__(self, executor, clock):
        self.executor, self.clock = executor, clock
        self.last_answer = clock.monotonic()
        self.asked = 0

    def ask(self, timeout):
        self.asked += 1
        if self.executor.interchange_proc.silent:
            self.clock.advance(timeout)
            return False
        self.last_answer = self.clock.monotonic()
        return True


class Executor:
    """What the keeper needs of an executor."""

    label = "alder"

    def __init__(self):
        self.clock = VirtualClock()
        self.interchange_proc = Process()
        self.commands = Commands(self, self.clock)
        self.is_ending = False
        self.bad_state = None
        self.held = 0
        self.calls, self.said, self.faults, self.errors = [], [], [], []
        self.start_fails = 0

    @property
    def bad_state_is_set(self):
        return self.bad_state is not None

    def look_after_tasks(self):
        self.calls.append("look")

    def take_back_tasks(self):
        self.calls.append("take back")
        return self.held

    def end_taken_tasks(self, make_error):
        self.calls.append("end")
        self.errors.append(make_error())

    def start_interchange_again(self):
        self.calls.append("start")
        if self.start_fails:
            self.start_fails -= 1
            raise OSError("no port is free")
        self.clock.advance(2)
        self.interchange_proc = Process()
        self.commands.last_answer = self.clock.monotonic()

    def set_bad_state_and_fail_all(self, exception):
        self.bad_state = exception

    def say(self, event):
        self.said.append(event)

    def absorb(self, part, error):
        self.faults.append((part, error))


class Kept:
    def __init__(self, silence=10.0, restarts=3):
        self.executor = Executor()
        self.clock = self.executor.clock
        self.keeper = InterchangeKeeper(self.executor, self.clock, silence=silence, restarts=restarts)

    def look(self, seconds=0.5):
        self.clock.advance(seconds)
        try:
            self.keeper.look()
        except OSError as error:
            self.executor.absorb("look", error)

    def until(self, condition, most=60):
        began = self.clock.monotonic()
        while not condition() and self.clock.monotonic() - began < most:
            self.look()
        return self.clock.monotonic() - began

    def said(self, kind):
        return [event for event in self.executor.said if isinstance(event, kind)]


@pytest.fixture
def kept():
    return Kept()


def test_while_it_answers_only_the_tasks_are_looked_after(kept):
    for _ in range(100):
        kept.look()
    assert set(kept.executor.calls) == {"look"}
    assert kept.executor.commands.asked < 60
    assert not kept.executor.said


def test_it_is_not_asked_while_others_get_answers(kept):
    for _ in range(20):
        kept.executor.commands.last_answer = kept.clock.monotonic()
        kept.look()
    assert kept.executor.commands.asked == 0


def test_a_dead_one_is_replaced_at_the_next_look(kept):
    kept.look()
    dead = kept.executor.interchange_proc
    dead.returncode, kept.executor.held = -9, 7
    kept.look()
    assert kept.executor.calls == ["look", "take back", "end", "start", "look"]
    (ended,), (started,) = kept.said(InterchangeEnded), kept.said(InterchangeStarted)
    assert (ended.pid, ended.exit_code, ended.held) == (dead.pid, -9, 7)
    assert "ended by itself with exit code -9" in ended.reason
    assert (started.pid, started.number) == (kept.executor.interchange_proc.pid, 2)
    assert started.seconds == pytest.approx(2)
    (error,) = kept.executor.errors
    assert isinstance(error, InterchangeLost)
    assert (error.executor, error.exit_code) == ("alder", -9)
    assert not kept.keeper.is_down


def test_a_silent_one_is_killed_after_its_time_and_replaced(kept):
    kept.look()
    frozen = kept.executor.interchange_proc
    frozen.silent = True
    seconds = kept.until(lambda: frozen.returncode is not None)
    assert 9 < seconds < 14
    (ended,) = kept.said(InterchangeEnded)
    assert "answered nothing for 10 s" in ended.reason
    assert kept.executor.interchange_proc is not frozen


@pytest.mark.parametrize("silence", [2.0, 4.0, 20.0])
def test_the_time_is_that_of_the_settings(silence):
    kept = Kept(silence=silence)
    kept.executor.interchange_proc.silent = True
    assert silence - 1 < kept.until(lambda: kept.executor.said) < silence + 4


def test_one_that_answers_again_in_time_is_kept(kept):
    for _ in range(5):
        kept.executor.interchange_proc.silent = True
        kept.until(lambda: False, most=7)
        kept.executor.interchange_proc.silent = False
        kept.look()
    assert not kept.executor.said


def test_time_in_which_the_program_itself_was_suspended_does_not_count(kept):
    kept.executor.interchange_proc.silent = True
    kept.look(seconds=3600)
    kept.look(seconds=3600)
    kept.executor.interchange_proc.silent = False
    kept.look()
    assert not kept.executor.said


def test_an_interchange_whose_answers_cannot_be_timed_is_only_looked_at(kept):
    kept.executor.commands.can_time_out = False
    kept.executor.interchange_proc.silent = True
    kept.until(lambda: False, most=60)
    assert not kept.executor.said


def test_one_that_ends_because_parsl_shuts_down_is_no_loss(kept):
    kept.executor.is_ending = True
    kept.executor.interchange_proc.returncode = 0
    kept.look()
    assert kept.executor.calls == []


def test_after_so_many_in_a_time_the_executor_is_given_up():
    kept = Kept(restarts=2)
    for _ in range(3):
        assert kept.executor.bad_state is None
        kept.executor.interchange_proc.kill()
        kept.look(10)
    assert "replaced 2 times within 10 minutes" in str(kept.executor.bad_state)
    assert isinstance(kept.executor.bad_state, InterchangeLost)
    assert len(kept.said(InterchangeStarted)) == 2
    kept.look()
    assert kept.executor.calls.count("start") == 2


def test_with_no_restarts_allowed_the_first_loss_is_the_last():
    kept = Kept(restarts=0)
    kept.executor.interchange_proc.kill()
    kept.look()
    assert kept.executor.bad_state is not None


def test_losses_that_are_long_ago_do_not_count():
    kept = Kept(restarts=1)
    for _ in range(5):
        kept.executor.interchange_proc.kill()
        kept.look(RESTART_WINDOW + 1)
    assert kept.executor.bad_state is None


def test_a_start_that_fails_is_tried_again_and_counted():
    kept = Kept(restarts=3)
    kept.executor.start_fails = 2
    kept.executor.interchange_proc.kill()
    kept.look()
    assert kept.keeper.is_down
    kept.look()
    kept.look()
    assert not kept.keeper.is_down
    assert [str(error) for _, error in kept.executor.faults] == ["no port is free"] * 2
    kept.executor.interchange_proc.kill()
    kept.look()
    assert kept.executor.bad_state is not None


def test_a_start_that_fails_each_time_gives_the_executor_up():
    kept = Kept(restarts=3)
    kept.executor.start_fails = 100
    kept.executor.interchange_proc.kill()
    for _ in range(10):
        kept.look()
    assert kept.executor.bad_state is not None
    assert kept.executor.calls.count("start") == 3


def test_one_may_be_replaced_on_purpose_which_counts_for_nothing():
    kept = Kept(restarts=0)
    for _ in range(3):
        old = kept.executor.interchange_proc
        kept.keeper.renew("its tasks were ended")
        kept.look()
        assert old.returncode == -9
    assert kept.executor.bad_state is None
    assert {event.reason for event in kept.said(InterchangeEnded)} == {"its tasks were ended"}
    assert kept.keeper.number == 4


def test_a_look_that_fails_does_not_end_the_keeping():
    kept = Kept()
    kept.executor.look_after_tasks = lambda: 1 / 0
    kept.keeper.start()
    while not kept.executor.faults:
        kept.clock.advance(0.5)
    kept.keeper.stop()
    part, error = kept.executor.faults[0]
    assert part == "keeper of alder"
    assert isinstance(error, ZeroDivisionError)
