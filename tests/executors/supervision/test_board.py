"""What workers run, on memory that two processes share."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time

import pytest

from parsl_diaspora.executors.supervision.board import SLOTS, VARIABLE, Board, own_slot, remove_abandoned


@pytest.fixture
def board(tmp_path):
    return Board.create(tmp_path / "board")


def test_a_new_board_is_idle_and_for_this_user_only(board):
    assert not any(board.slot(rank).read().busy for rank in (0, SLOTS - 1))
    assert not board.slot(0).must_stop()
    assert stat.S_IMODE(os.stat(board.path).st_mode) == 0o600


def test_a_try_stands_there_from_its_begin_to_its_end(board):
    slot = board.slot(7)
    before = time.monotonic()
    slot.enter(11, 3, 2)
    work = Board.open(board.path).slot(7).read()
    assert (work.pid, work.task, work.try_id, work.busy) == (11, 3, 2, True)
    assert before <= work.started <= time.monotonic()
    slot.leave()
    assert not slot.read().busy
    assert slot.read().changes == work.changes + 1


def test_another_process_reads_what_a_killed_worker_ran(board):
    program = (
        "import os, signal, sys\n"
        "from parsl_diaspora.executors.supervision.board import own_slot\n"
        "own_slot().enter(os.getpid(), 41, 1)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environ = {**os.environ, VARIABLE: str(board.path), "PARSL_WORKER_RANK": "5"}
    killed = subprocess.Popen([sys.executable, "-c", program], env=environ)
    assert killed.wait(30) == -9
    work = board.slot(5).read()
    assert (work.pid, work.task, work.try_id, work.busy) == (killed.pid, 41, 1, True)


def test_what_a_dead_worker_left_is_cleared_unless_a_new_one_has_begun(board):
    slot = board.slot(0)
    slot.enter(11, 3, 0)
    slot.enter(12, 4, 0)  # a new worker in its place
    slot.clear(11)
    assert slot.runs(4, 0)
    slot.clear(12)
    assert not slot.read().busy
    slot.clear(12)
    assert not slot.read().busy


def test_only_the_try_that_is_meant_must_stop(board):
    slot = board.slot(0)
    slot.enter(11, 3, 0)
    slot.ask_stop(3, 1)
    assert not slot.must_stop()
    slot.ask_stop(3, 0)
    assert slot.must_stop()
    slot.leave()
    assert not slot.must_stop()
    slot.enter(11, 4, 0)
    assert not slot.must_stop()
    assert board.stops == 2


def test_a_try_is_found_while_it_runs(board):
    board.slot(1023).enter(11, 3, 0)
    found = board.find(3, 0)
    assert found is not None
    assert found.rank == 1023
    assert board.find(3, 1) is None
    board.slot(1023).leave()
    assert board.find(3, 0) is None


def test_a_new_pool_begins_with_an_idle_board(board):
    board.slot(3).enter(11, 3, 0)
    board.slot(3).ask_stop(3, 0)
    board.reset()
    assert not board.slot(3).read().busy
    assert board.slot(3).read().task == -1
    assert board.stops == 0


def test_what_is_no_board_is_refused(tmp_path):
    (tmp_path / "short").write_bytes(b"PDboard1")
    (tmp_path / "zeros").write_bytes(bytes(Board.create(tmp_path / "b").path.stat().st_size))
    for name in ("short", "zeros"):
        with pytest.raises(ValueError, match="no board"):
            Board.open(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        Board.open(tmp_path / "none")
    (tmp_path / "link").symlink_to(tmp_path / "b")
    with pytest.raises(OSError, match="symbolic"):
        Board.open(tmp_path / "link")


def test_a_worker_without_a_board_has_no_slot(board):
    there = {VARIABLE: str(board.path), "PARSL_WORKER_RANK": "1"}
    assert own_slot(there).rank == 1
    assert own_slot({}) is None
    assert own_slot({**there, "PARSL_WORKER_RANK": "many"}) is None
    assert own_slot({**there, "PARSL_WORKER_RANK": str(SLOTS)}) is None
    assert own_slot({**there, VARIABLE: "/nowhere/board"}) is None


def test_a_board_by_default_is_in_memory_and_leaves_nothing():
    board = Board.create()
    assert board.path.exists()
    board.remove()
    assert not board.path.exists()


def test_all_workers_that_have_had_a_try_are_found_by_rank(tmp_path):
    board = Board.create(tmp_path / "board")
    assert board.works() == {}
    board.slot(1023).enter(7, 3, 1)
    board.slot(2).enter(8, 4, 0)
    board.slot(2).leave()
    works = board.works()
    assert [(rank, work.pid, work.task, work.busy) for rank, work in works.items()] == [
        (2, 8, 4, False),
        (1023, 7, 3, True),
    ]


def test_boards_whose_maker_was_killed_are_removed_and_no_others(tmp_path):
    name = f"parsl-diaspora-{os.getuid()}-"
    alive = Board.create(tmp_path / f"{name}alive")
    program = (
        "import os, signal, sys\n"
        "from parsl_diaspora.executors.supervision.board import Board\n"
        "Board.create(sys.argv[1])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / f"{name}dead")], check=False)
    (tmp_path / "another").write_bytes(b"")
    assert remove_abandoned([tmp_path]) == 0  # too young to be sure
    later = time.time() + 120
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: later)
        assert remove_abandoned([tmp_path]) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["another", f"{name}alive"]
    alive.remove()
    alive.remove()
