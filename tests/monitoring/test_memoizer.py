"""The program's memoizer works on inside ours, and does not learn of losses."""

from __future__ import annotations

from concurrent.futures import Future
from copy import copy
from types import SimpleNamespace

import pytest
from parsl.dataflow.memoization import BasicMemoizer, Memoizer
from parsl.executors.high_throughput.errors import WorkerLost

from parsl_diaspora.events import RunEnded, RunStarted, TaskEnded, TaskSubmitted, TryEnded
from parsl_diaspora.executors.launch import launching
from parsl_diaspora.monitoring.memoizer import LifecycleMemoizer
from tests.monitoring.fakes import Program

LOST = WorkerLost(3, "n1")


class OwnMemoizer(Memoizer):
    """The program's, which writes down each call."""

    def __init__(self):
        self.calls = []
        self.known = None

    def start(self, *, run_dir, config_run_dir):
        self.calls.append(("start", run_dir, config_run_dir))

    def check_memo(self, task):
        self.calls.append(("check", task["id"], launching.launch))
        return self.known

    def update_memo_result(self, task, r):
        self.calls.append(("result", task["id"], r))

    def update_memo_exception(self, task, e):
        self.calls.append(("exception", task["id"], e))

    def close(self):
        self.calls.append(("close",))


class OwnBasicMemoizer(BasicMemoizer):
    """Parsl's, with the program's own way to take note of failures."""

    def __init__(self):
        super().__init__()
        self.failures = []

    def update_memo_exception(self, task, e):
        self.failures.append(e)
        super().update_memo_exception(task, e)


@pytest.fixture
def program(tmp_path):
    made = []

    def make(**arguments):
        made.append(Program(tmp_path, "alder", **arguments))
        return made[-1]

    yield make
    for each in made:
        if each.session.live is not None:
            each.session.live.stop()


def cached(program, **more):
    return program.task(memoize=True, app_fu=Future(), **more)


def remembered(program, task):
    return program.memoizer.check_memo({**task, "id": 999})


def test_a_memoizer_of_the_programs_own_gets_every_call(program, tmp_path):
    own = OwnMemoizer()
    made = program(memoizer=own)
    good = made.run([LOST])
    bad = made.run([ValueError("x")] * 9)
    made.memoizer.close()
    kinds = [call[0] for call in own.calls]
    assert kinds == ["start", "check", "check", "result", "check", "check", "exception", "close"]
    assert own.calls[0][1:] == (str(tmp_path), str(tmp_path))
    assert own.calls[3] == ("result", good["id"], None)
    assert own.calls[-2][:2] == ("exception", bad["id"])


def test_the_program_reads_of_its_memoizer_what_it_reads_in_stock():
    inner = BasicMemoizer(checkpoint_mode="periodic", checkpoint_period="00:00:05")
    memoizer = copy(LifecycleMemoizer(inner, None))
    assert (memoizer.checkpoint_mode, memoizer.checkpoint_period) == ("periodic", "00:00:05")
    assert not hasattr(memoizer, "checkpoint_color")


def test_it_is_told_of_losses_too_because_it_may_want_to_know(program):
    own = OwnMemoizer()
    made = program(memoizer=own)
    made.run([LOST] * 9)
    assert own.calls[-1][0] == "exception"


def test_so_is_a_kind_of_parsls_own_memoizer_that_has_its_own_way(program):
    own = OwnBasicMemoizer()
    made = program(memoizer=own)
    made.run([LOST] * 9)
    assert [type(error) for error in own.failures] == [WorkerLost]


def test_a_loss_is_not_remembered_as_the_answer_to_a_call(program):
    made = program()
    task = made.run([LOST] * 9, cached(made))
    assert remembered(made, task) is None


def test_a_failure_of_the_app_is_remembered_as_in_stock(program):
    made = program()
    task = made.run([ValueError("x")] * 9, cached(made))
    assert remembered(made, task) is task["app_fu"]


def test_a_result_is_remembered_as_in_stock_after_losses_too(program):
    made = program()
    task = made.run([LOST, LOST], cached(made))
    assert remembered(made, task) is task["app_fu"]


def test_what_is_remembered_is_told_as_such_and_launches_nothing(program):
    own = OwnMemoizer()
    own.known = Future()
    made = program(memoizer=own)
    task = made.task()
    assert made.launch(task) is own.known
    assert made.launch_seen is None
    made.succeed(task, 1)
    assert made.said(TaskSubmitted, TryEnded) == []
    assert [(event.outcome, event.tries) for event in made.said(TaskEnded)] == [("memoized", 0)]


def test_a_launch_is_announced_for_the_executor_in_the_same_thread(program):
    made = program()
    task = made.task()
    made.launch(task)
    assert (made.launch_seen.task, made.launch_seen.try_id) == (task["id"], 0)
    assert made.launch_seen.executor == "alder"
    assert made.launch_seen.run == made.run_id


def test_an_announcement_that_nobody_used_is_gone_before_the_next_launch(program):
    own = OwnMemoizer()
    made = program(memoizer=own)
    made.memoizer.check_memo(made.task())  # its executor is of another kind
    assert launching.launch is not None
    made.memoizer.check_memo(made.task())
    assert own.calls[-1] == ("check", 1, None)
    launching.launch = None


def test_an_exception_of_the_programs_memoizer_is_parsls_to_handle_as_in_stock(program):
    own = OwnMemoizer()
    own.check_memo = lambda task: 1 / 0
    made = program(memoizer=own)
    with pytest.raises(ZeroDivisionError):
        made.memoizer.check_memo(made.task())


@pytest.mark.parametrize(
    ("hook", "part"), [("launch", "launch hook"), ("succeeded", "result hook"), ("failed", "exception hook")]
)
def test_a_fault_of_ours_does_not_reach_parsl_and_is_counted(program, monkeypatch, hook, part):
    made = program()
    monkeypatch.setattr(made.session.tries, hook, lambda *arguments: 1 / 0)
    made.run([])
    made.run([ValueError("x")] * 9)
    assert made.session.live.faults[part] >= 1


def test_a_fault_at_the_end_does_not_keep_the_programs_memoizer_open(program, monkeypatch):
    own = OwnMemoizer()
    made = program(memoizer=own)
    made.run([])
    monkeypatch.setattr(made.session, "end", lambda: 1 / 0)
    made.memoizer.close()
    assert own.calls[-1] == ("close",)


def test_the_run_is_told_from_beginning_to_end(program):
    made = program(retries=2, whole=True)
    made.run([])
    made.run([ValueError(n) for n in range(9)])
    made.memoizer.close()
    started, ended = made.said(RunStarted, RunEnded)
    assert (started.run, started.executors, started.retries) == (made.run_id, ("alder",), 2)
    assert started.settings["max_tries"] == 12
    assert (ended.done, ended.failed, ended.faults) == (1, 1, {})


def test_a_program_that_ran_nothing_ends_quietly(tmp_path):
    session = SimpleNamespace(open=lambda run_dir: None, end=lambda: None)
    memoizer = LifecycleMemoizer(BasicMemoizer(), session)
    memoizer.start(run_dir=str(tmp_path), config_run_dir=str(tmp_path))
    memoizer.close()
