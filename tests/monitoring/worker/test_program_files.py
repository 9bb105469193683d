"""Bash apps whose programs keep their state in files: real programs, signals and stores, no pool."""

from __future__ import annotations

import errno
import gc
import os
import sys
import threading
import time
from pathlib import Path

import pytest
from parsl.app.bash import BashApp
from parsl.app.errors import AppTimeout, BashExitFailure

from parsl_diaspora.checkpoint import DirectoryLevel, Store
from parsl_diaspora.checkpoint.instructions import Instructions
from parsl_diaspora.errors import RunAgain, StateNotRestored
from parsl_diaspora.executors.launch import Launch
from parsl_diaspora.executors.supervision.board import LEAVE, STAY
from parsl_diaspora.monitoring.worker import program_files
from parsl_diaspora.monitoring.worker.children import begun as begun_at
from parsl_diaspora.monitoring.worker.children import end_children
from parsl_diaspora.monitoring.worker.place import here
from parsl_diaspora.monitoring.worker.program_files import ProgramFiles
from parsl_diaspora.monitoring.worker.program_saves import FileCheckpoints
from parsl_diaspora.monitoring.worker.stopping import Leave
from parsl_diaspora.settings import BLOCK_ENDS_VARIABLE
from tests.waiting import until

PROGRAM = Path(__file__).with_name("counting.py")


def counting(*words, walltime=None, before="", after=""):
    """The command of a bash app."""
    return f"{before} {sys.executable} {PROGRAM} {' '.join(map(str, words))} {after}"


APP = BashApp(counting).wrapped_remote_function


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """The working directory of the programs."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


class Tries:
    """One task's tries, one after the other, as a worker would run them."""

    def __init__(self, place, board, monkeypatch):
        self.store = Store([DirectoryLevel(place.parent / "saves")], "key")
        self.launch = 0
        self.slot = board.slot(3)
        self.patch = monkeypatch

    def files(self, interval=0.2, files=("state.txt",), **options):
        self.launch += 1
        told = Instructions(
            key="key",
            levels=(str(self.store.levels[0].url),),
            launch=self.launch,
            interval=interval,
            files=files,
        )
        launch = Launch(run="r", task=7, try_id=self.launch, executor="alder")
        self.slot.enter(os.getpid(), 7, self.launch)
        self.patch.setattr(Instructions, "store", lambda _: self.store)
        self.checkpoints = FileCheckpoints(told, launch, here(), self.slot)
        return ProgramFiles(self.checkpoints, told.files, **{"exit_code": 85, **options})

    def ask(self, what):
        self.slot.ask(7, self.launch, what)

    def run(self, *words, interval=0.2, options=None, **kwargs):
        """The result, or what was raised."""
        files = self.files(interval, **(options or {}))
        try:
            outcome = files.call(APP, *words, **kwargs)
        except BaseException as error:
            return error
        finally:
            self.checkpoints.close(done=False)
            self.slot.leave()
        return getattr(outcome, "e_value", outcome)


@pytest.fixture
def tries(place, board, monkeypatch):
    return Tries(place, board, monkeypatch)


def begun():
    return [int(line) for line in Path("begun.txt").read_text().split()]


def lose_the_directory():
    """As if the next try ran at another node."""
    Path("state.txt").unlink()


def test_a_program_that_is_killed_goes_on_from_its_file_elsewhere(tries):
    Path("kill.txt").write_text("40")
    error = tries.run(60, "pause=0.05", "kill=yes")
    assert isinstance(error, BashExitFailure)
    assert tries.store.saves()
    lose_the_directory()
    assert tries.run(60) == 0
    first, second = begun()
    print(f"killed at 40, went on from {second}")
    assert first == 0
    assert 0 < second <= 40
    assert Path("result.txt").read_text() == "60"


def test_what_was_written_after_the_save_is_not_what_the_next_try_begins_with(tries):
    assert isinstance(tries.run(10, "again=4"), RunAgain)
    Path("state.txt").write_text("torn by the end of the node")
    assert isinstance(tries.run(10, "again=4"), RunAgain)
    assert begun() == [0, 4]


def test_a_program_may_ask_to_be_run_again_three_times(tries):
    for _ in range(3):
        error = tries.run(10, "again=3", "write=0")
        assert isinstance(error, RunAgain)
        assert error.exit_code == 85
        lose_the_directory()
    assert tries.run(10, "again=3", "write=0") == 0
    assert begun() == [0, 3, 6, 9]


def test_who_asks_to_be_run_again_and_has_nothing_new_has_failed(tries):
    assert isinstance(tries.run(10, "again=0", before="echo 5 >state.txt; exit 85;"), RunAgain)
    error = tries.run(10, before="echo 5 >state.txt; exit 85;")
    assert isinstance(error, BashExitFailure)
    assert error.exitcode == 85


def test_another_exit_code_may_say_that(tries):
    error = tries.run(9, before="echo 5 >state.txt; exit 3;", options={"exit_code": 3})
    assert isinstance(error, RunAgain)
    error = tries.run(9, before="echo 6 >state.txt; exit 3;", options={"exit_code": None})
    assert isinstance(error, BashExitFailure)


def test_a_program_that_failed_is_not_saved_as_it_fell(tries):
    assert isinstance(tries.run(9, before="echo 5 >state.txt; exit 1;", interval=100.0), BashExitFailure)
    assert tries.store.saves() == []


def test_files_are_saved_while_it_runs_when_they_are_at_rest(tries):
    assert tries.run(3, "pause=0.8", interval=0.1) == 0
    assert {save.number for save in tries.store.saves()} >= {1}


def test_a_program_is_asked_for_its_state_through_the_shell_that_started_it(tries):
    def kill_when_saved():
        until(tries.store.saves, 20)
        Path("kill.txt").write_text("0")

    killer = threading.Thread(target=kill_when_saved)
    killer.start()
    words = ("pause=0.02", "write=0", "ask=yes", "kill=yes")
    error = tries.run(2000, *words, options={"signal": "SIGUSR1"}, before="cd . &&", after="&& true")
    killer.join()
    assert isinstance(error, BashExitFailure)
    lose_the_directory()
    assert tries.run(1) == 0
    assert begun()[1] > 0


def leave_when(condition, tries):
    def wait():
        until(condition, 20)
        tries.ask(LEAVE)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


HAS_BEGUN = "begun.txt"


@pytest.mark.parametrize("answer", ["ask=yes", "leave=yes"], ids=["goes on", "ends itself"])
def test_a_program_that_must_leave_is_asked_saved_and_ended(tries, answer):
    thread = leave_when(lambda: Path(HAS_BEGUN).exists(), tries)
    began = time.monotonic()
    words = ("pause=0.05", "write=0", answer)
    error = tries.run(2000, *words, interval=100.0, options={"signal": "SIGUSR1"})
    thread.join()
    assert isinstance(error, Leave)
    assert time.monotonic() - began < 15
    (save,) = tries.store.saves()
    assert tries.store.manifest(save).final
    lose_the_directory()
    assert tries.run(1) == 0
    assert begun()[1] > 0


def test_a_program_without_a_handler_leaves_with_what_it_has_written(tries):
    thread = leave_when(lambda: Path("state.txt").exists(), tries)
    error = tries.run(2000, "pause=0.9", interval=100.0, options={"signal": "SIGUSR1"})
    thread.join()
    assert isinstance(error, Leave)
    assert tries.store.saves()


def test_a_program_that_has_written_nothing_leaves_at_once(tries):
    thread = leave_when(lambda: Path(HAS_BEGUN).exists(), tries)
    began = time.monotonic()
    assert isinstance(tries.run(2000, "pause=0.1", "write=0"), Leave)
    thread.join()
    assert time.monotonic() - began < 10
    assert tries.store.saves() == []


def test_nobody_waits_longer_for_a_program_than_its_place_is_there(tries, monkeypatch):
    began = time.monotonic()
    monkeypatch.setenv(BLOCK_ENDS_VARIABLE, str(int(time.time()) + 7))
    assert isinstance(tries.run(2000, "pause=0.05", "rename=no", interval=100.0), Leave)
    assert time.monotonic() - began < 7
    assert tries.store.saves() == []  # it was never at rest


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_a_program_whose_walltime_is_over_is_saved_with_what_is_at_rest(tries):
    since = begun_at()
    error = tries.run(9, "pause=60", interval=100.0, walltime=2, before="echo 5 >state.txt; ")
    assert end_children(since) >= 1  # as the runner does
    assert isinstance(error, AppTimeout)
    assert len(tries.store.saves()) == 1
    del error
    gc.collect()


class Full(DirectoryLevel):
    """Takes marks of tries, and no save."""

    def write(self, key, name, parts):
        if name.endswith(".save"):
            raise OSError(28, "No space left on device")
        super().write(key, name, parts)


def test_a_store_that_takes_nothing_makes_no_free_try_of_it(tries, place):
    tries.store = Store([Full(place.parent / "saves")], "key")
    assert isinstance(tries.run(9, before="echo 5 >state.txt; exit 85;"), BashExitFailure)


def test_files_that_came_after_the_save_are_gone_when_it_is_restored(tries, place):
    first = tries.files(files=("state.*",))
    with pytest.raises(RunAgain):
        first.call(APP, 9, before="echo 5 >state.txt; exit 85;")
    Path("state.later").write_text("6")
    assert tries.files(files=("state.*",)).call(APP, 9) == 0
    assert "state.later" not in os.listdir(place)


def test_a_try_that_cannot_write_its_files_back_does_not_begin_with_some_of_them(tries, place):
    assert isinstance(tries.run(9, before="echo 5 >state.txt; exit 85;"), RunAgain)
    Path("state.txt").unlink()
    Path("state.txt").mkdir()
    error = tries.run(9)
    assert isinstance(error, StateNotRestored)
    assert error.errno == errno.EISDIR
    assert not Path("begun.txt").exists()


def test_a_program_that_was_to_leave_and_may_stay_runs_on(tries, monkeypatch):
    monkeypatch.setattr(program_files, "POLL", 0.05)

    def change_of_mind():
        until(Path("state.txt").exists)
        tries.ask(LEAVE)
        time.sleep(0.3)
        tries.ask(STAY)

    thread = threading.Thread(target=change_of_mind)
    thread.start()
    files = tries.files(interval=100.0)
    files._watch._quiet = 60.0  # it is never at rest, however slow this host is
    assert files.call(APP, 20, "pause=0.05", "rename=no") == 0
    thread.join()
