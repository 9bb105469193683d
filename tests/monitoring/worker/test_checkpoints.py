"""What a running try does with its states, without a pool around it."""

from __future__ import annotations

import pytest

from parsl_diaspora.checkpoint.instructions import Instructions
from parsl_diaspora.executors.launch import Launch, Report
from parsl_diaspora.executors.supervision.board import LEAVE, SAVE, STAY, Board
from parsl_diaspora.monitoring.worker import checkpoints
from parsl_diaspora.monitoring.worker.checkpoints import TaskCheckpoints
from parsl_diaspora.monitoring.worker.stopping import Leave
from tests.waiting import until

REPORT = Report("0", "m1", 0, "n1", 4711)


class Seconds:
    """Stands in for the module of time, but for the clock that a test turns."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now

    def __getattr__(self, name):
        import time

        return getattr(time, name)


@pytest.fixture
def seconds(monkeypatch):
    clock = Seconds()
    monkeypatch.setattr(checkpoints, "time", clock)
    return clock


@pytest.fixture
def slot(tmp_path):
    board = Board.create(tmp_path / "board")
    found = board.slot(0)
    found.enter(4711, 3, 0)
    yield found
    board.remove()


@pytest.fixture
def of_a_try(tmp_path, slot):
    made = []

    def make(path=tmp_path / "store", **more):
        launch = Launch("run", 3, 0, "cpu")
        made.append(
            TaskCheckpoints(Instructions("key", (str(path),), 1 + len(made), **more), launch, REPORT, slot)
        )
        return made[-1]

    yield make
    for each in made:
        each.close(done=False, stopped=True)


def test_it_is_time_to_save_after_the_interval_and_not_while_a_save_is_written(of_a_try, seconds):
    task = of_a_try(interval=30.0)
    assert not task.should_checkpoint()
    seconds.now += 29.0
    assert not task.should_checkpoint()
    seconds.now += 1.0
    assert task.should_checkpoint()
    assert task.save({"step": 1})
    until(lambda: not task._saver.is_busy)
    assert not task.should_checkpoint()


def test_who_is_asked_to_save_does_so_once(of_a_try, slot, seconds):
    task = of_a_try(interval=1e6)
    slot.ask(3, 0, SAVE)
    assert task.should_checkpoint()
    task.save({"step": 1})
    until(lambda: not task._saver.is_busy)
    assert not task.should_checkpoint()
    assert not task.should_exit()
    slot.ask(3, 0, STAY)
    assert not task.should_checkpoint()
    slot.ask(3, 0, SAVE)
    assert task.should_checkpoint()


def test_who_is_asked_to_leave_ends_with_a_state_that_the_next_try_goes_on_from(of_a_try, slot):
    task = of_a_try()
    slot.ask(3, 0, LEAVE)
    assert task.should_exit()
    assert task.should_checkpoint()
    with pytest.raises(Leave, match="asked to"):
        task.save({"step": 7})
    assert of_a_try().restore(None) == {"step": 7}


def test_an_order_for_another_try_is_none(of_a_try, slot):
    task = of_a_try()
    slot.ask(3, 1, LEAVE)
    assert not task.should_exit()
    assert task.save({"step": 1})


def test_who_cannot_save_its_last_state_stays_and_tries_again_later(of_a_try, slot, seconds, tmp_path):
    place = tmp_path / "store"
    place.write_text("no directory")
    task = of_a_try(place)
    slot.ask(3, 0, LEAVE)
    assert task.save({"step": 1}) is False
    assert not task.should_checkpoint()  # not in each step: the store has just refused
    seconds.now += 10.0
    assert task.should_checkpoint()
    place.unlink()
    with pytest.raises(Leave):
        task.save({"step": 2})
    assert of_a_try().restore(None) == {"step": 2}


def test_memory_for_the_first_copy_is_made_ready_while_the_task_computes(of_a_try, seconds):
    import numpy as np

    task = of_a_try(interval=60.0)
    state = task.restore({"x": np.zeros(2_000_000)})
    seconds.now += 29.0
    assert not task.should_checkpoint()
    assert task._saver._staging._memory is None
    seconds.now += 1.0
    assert not task.should_checkpoint()
    until(lambda: not task._saver.is_busy)
    ready = task._saver._staging._memory
    assert len(ready) >= state["x"].nbytes
    seconds.now += 30.0
    assert task.should_checkpoint()
    assert task.save(state)
    assert task._saver._staging._memory is ready


def test_a_try_whose_successor_has_begun_leaves_at_its_next_save(of_a_try):
    first, second = of_a_try(), of_a_try()
    assert first.save({"step": 1})
    until(lambda: not first._saver.is_busy)
    assert second.restore(None) == {"step": 1}
    assert first.save({"step": 2})
    until(first.should_exit)
    with pytest.raises(Leave, match="later try"):
        first.save({"step": 3})
    assert second.save({"step": 2})
