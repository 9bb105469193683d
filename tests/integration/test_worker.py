"""Real workers: whatever a task does to its own, the next one finds it alive and as it was."""

from __future__ import annotations

import time

import psutil
import pytest
from parsl.app.errors import AppTimeout

from parsl_diaspora.errors import TaskExited, TaskInterrupted
from parsl_diaspora.events import DecisionMade, ServiceDegraded, TaskProgressed, TryEnded, TryFailed
from tests.integration import worker_apps

MIB = 2**20


def is_running(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_one_worker_outlives_exits_interrupts_walltimes_and_messes(program, check_story, tmp_path):
    program.load(program.pool("alder", workers=1), retries={"application": 0, "walltime": 0})
    before = worker_apps.look().result(timeout=60)
    with pytest.raises(ValueError, match="after a mess"):
        worker_apps.mess_up().result(timeout=60)
    with pytest.raises(TaskExited) as exited:
        worker_apps.leave(7).result(timeout=60)
    assert exited.value.exit_code == 7
    assert isinstance(exited.value.__cause__, SystemExit)
    with pytest.raises(TaskInterrupted, match="KeyboardInterrupt"):
        worker_apps.interrupt().result(timeout=60)
    with pytest.raises(AppTimeout):
        worker_apps.too_slow(str(tmp_path / "pids")).result(timeout=60)
    assert [pid for pid in map(int, (tmp_path / "pids").read_text().split()) if is_running(pid)] == []
    assert worker_apps.use_memory(300).result(timeout=60) == 300 * MIB
    assert worker_apps.look().result(timeout=60) == before

    events = program.events()
    check_story(events)
    classes = [event.diagnosis.failure_class for event in events if isinstance(event, DecisionMade)]
    assert classes == ["bad_input", "exited", "interrupted", "walltime"]
    failures = [event for event in events if isinstance(event, TryFailed)]
    assert [event.failure.exit_code for event in failures] == [None, 7, None, None]
    assert all(event.memory and event.memory > MIB for event in failures)
    ended = [event.memory for event in events if isinstance(event, TryEnded)]
    assert ended[1] - ended[0] > 200 * MIB
    assert ended[1] - ended[2] > 200 * MIB
    used = [event.cpu for event in events if isinstance(event, TryEnded)]
    assert used[1] >= 0.2
    assert used[1] - (used[2] or 0.0) > 0.1
    (progressed,) = [event for event in events if isinstance(event, TaskProgressed)]
    assert (progressed.part, progressed.note, progressed.worker) == (0.5, "touched", 0)


def test_a_worker_that_cannot_be_put_back_makes_room_without_losing_a_task(program, check_story):
    program.load(program.pool("alder", workers=1), stall_after=60.0)  # a new worker may be slow to come
    spoilt = worker_apps.spoil().result(timeout=60)
    pids = [worker_apps.pid().result(timeout=60) for _ in range(3)]
    assert spoilt not in pids
    deadline = time.monotonic() + 10
    while is_running(spoilt) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(spoilt)
    events = program.events()
    check_story(events)
    assert not [event for event in events if isinstance(event, TryFailed)]
    (degraded,) = [event for event in events if isinstance(event, ServiceDegraded)]
    assert "a limit of this test" in degraded.why
