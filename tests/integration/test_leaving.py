"""Running tasks leave places that are drained, in quarantine, or near their end, and go on elsewhere."""

from __future__ import annotations

import pytest

from parsl_diaspora import drain
from parsl_diaspora.events import DecisionMade, TryFailed, TryStarted
from tests.integration.checkpoint_apps import occupy_left, walk
from tests.waiting import until


class Leaving:
    """A program whose tasks leave their places."""

    def __init__(self, program):
        self.program = program
        self.session = program.kernel.memoizer.session

    def at(self, future):
        """Where a task runs now; None if it does not."""
        last = self.session.live.picture.last_try(future.tid) if self.session.live is not None else None
        return last if last is not None and last.status == "running" else None

    def saves(self, future):
        last = future.task_record["try_id"]
        known = self.session.checkpoints.running.of(future.tid, last)
        return known is not None and known.saves


def of_task(events, kind, future):
    found = [event for event in events if isinstance(event, kind) and event.task == future.tid]
    return sorted(found, key=lambda event: event.time)


def begins(path):
    return [int(line.split()[2]) for line in path.read_text().splitlines() if line.startswith("begins")]


@pytest.mark.timeout(200)
def test_tasks_leave_what_is_drained_or_in_quarantine(program, tmp_path, check_story):
    program.load(program.pool("left", blocks=3, workers=1))
    leaving = Leaving(program)
    walks = walk(250, 0.1, str(tmp_path / "told"))
    stays = occupy_left(str(tmp_path / "go"))  # of an app without checkpoints
    until(lambda: leaving.at(stays) and leaving.saves(walks))

    first, block = leaving.at(walks).manager, leaving.at(stays).block
    session = leaving.session
    assert session.quarantines.place("manager", first, 60.0, "tasks fail there")
    until(lambda: leaving.at(walks) and leaving.at(walks).manager != first and leaving.saves(walks))
    second = leaving.at(walks)
    until(lambda: not session.live.picture.managers[first].running)

    drain(executor="left", block=block, reason="maintenance")  # what cannot save itself ends there
    assert not stays.done()
    (tmp_path / "go").touch()
    assert stays.result(60) == "done"

    drain(manager=second.manager, reason="a new kernel")
    until(lambda: not session.live.picture.managers[second.manager].running)
    session.quarantines.place("manager", first, 0.1, "it is looked at again")
    assert walks.result(120) == 250

    events = program.events()
    check_story(events)
    reasons = [event.reason for event in of_task(events, DecisionMade, walks)]
    assert len(reasons) == 2
    assert "in quarantine: tasks fail there" in reasons[0]
    assert "is drained: a new kernel" in reasons[1]
    assert [each.diagnosis.failure_class for each in of_task(events, DecisionMade, walks)] == ["left"] * 2
    assert not of_task(events, TryFailed, stays)
    started = begins(tmp_path / "told")
    assert len(started) == 3
    assert 0 == started[0] < started[1] < started[2]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_leaving_twenty_times_spends_no_budget(program, tmp_path):
    program.load(program.pool("left", workers=1), config={"retries": 0})
    leaving = Leaving(program)
    future = walk(20_000, 0.01, str(tmp_path / "told"))
    for number in range(20):
        until(lambda number=number: future.task_record["try_id"] == number and leaving.saves(future))
        leaving.session.checkpoints.leaving.leave("left", leaving.at(future).block, f"leaves {number}")
    until(lambda: future.task_record["try_id"] == 20 and leaving.saves(future))
    events = program.events()
    decided = of_task(events, DecisionMade, future)
    assert len([each for each in decided if each.diagnosis.failure_class == "left"]) == 20
    assert {each.budget for each in decided} <= {"", "left"}
    assert all(each.tries <= 1 for each in decided), "tries in which a task got on are counted"
    started = begins(tmp_path / "told")
    assert started == sorted(started)
    assert len(set(started)) == len(started), "a try began where the one before it did"


@pytest.mark.timeout(200)
def test_a_task_leaves_before_its_block_ends_and_does_not_come_back(program, tmp_path):
    pool = program.pool("left", workers=1)
    end = "export PARSL_DIASPORA_BLOCK_ENDS=$(($(date +%s) + 60))"
    pool.provider.worker_init += f"\nif mkdir {tmp_path}/first 2>/dev/null; then {end}; fi"
    program.load(pool)  # its first block ends soon, as far as workers know; a second one does not
    leaving = Leaving(program)
    future = walk(900, 0.1, str(tmp_path / "told"))
    until(lambda: leaving.saves(future))
    program.kernel.executors["left"].scale_out_facade(1)
    until(lambda: future.task_record["try_id"] == 1 and leaving.saves(future), 150)
    events = program.events()
    (decision,) = of_task(events, DecisionMade, future)
    assert decision.diagnosis.failure_class == "left"
    (failed,) = of_task(events, TryFailed, future)
    assert "its block ends in" in failed.failure.message
    before, after = of_task(events, TryStarted, future)
    assert (before.block, after.block) == ("0", "1")
    assert begins(tmp_path / "told")[1] > 0
