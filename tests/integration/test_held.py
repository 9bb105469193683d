"""Held tasks and late evidence on real pools, with the command in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from parsl.executors.high_throughput.executor import DEFAULT_LAUNCH_CMD

from parsl_diaspora import hold
from parsl_diaspora.errors import TaskHeldTooLong
from parsl_diaspora.events import DecisionMade, NodeShortOfMemory, TaskHeld, TaskReleased, TryFailed
from parsl_diaspora.fabric import open_fabric
from tests.integration import apps
from tests.waiting import until

COMMAND = str(Path(sys.executable).parent / "parsl-diaspora")


def command(program, *arguments):
    """The command, called where the program's run directory is."""
    key = program.kernel.memoizer.session._run_dir / "orders.key"
    done = subprocess.run(
        [COMMAND, *map(str, arguments), "--fabric", program.url, "--key", str(key)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).strip()


@pytest.mark.slow
def test_a_worker_killed_for_memory_without_a_supervisor_is_understood_late(program, tmp_path, check_story):
    """The exception tells no exit code; the node's report of the OOM kill comes after the decision."""
    alone = f"exec {DEFAULT_LAUNCH_CMD}"  # a command of the program's own gets no supervisor
    pools = [program.pool(label, workers=1, launch_cmd=alone) for label in ("alder", "birch")]
    kernel = program.load(*pools, grace=5.0, move="any")
    live = kernel.memoizer.session.live
    future = apps.die_until(str(tmp_path / "deaths"), 1)
    failed = until(lambda: [event for event in read(program) if isinstance(event, TryFailed)])[0]
    assert failed.failure.exit_code is None
    publisher = open_fabric(program.url).publisher("node", immediate=True)
    place = {"executor": failed.executor, "manager": failed.manager, "node": failed.node}
    publisher.publish(NodeShortOfMemory(run=live.picture.run, counts={"oom_kill": 1}, **place))
    publisher.close(5.0)
    assert future.result(timeout=60) == 2
    events = program.events()
    first, second = [event for event in events if isinstance(event, DecisionMade)]
    assert first.diagnosis.failure_class == "worker_lost"
    assert (second.diagnosis.failure_class, second.action) == ("memory", "move")
    assert (second.target, second.revises) == (
        next(label for label in ("alder", "birch") if label != failed.executor),
        first.id,
    )
    check_story(events)


def read(program):
    from parsl_diaspora.state import read_events

    return list(read_events(open_fabric(program.url)))


@pytest.mark.slow
def test_a_task_is_held_by_one_shell_and_sent_to_another_pool_by_the_next(program, check_story):
    pools = [program.pool(label, workers=1) for label in ("alder", "birch")]
    kernel = program.load(*pools, hold_timeout=None)
    first = apps.spin(3, 3.0)
    waiting = apps.spin(first, 0.1)
    assert command(program, "hold", "last", "--task", waiting.tid, "--reason", "look first")[0] == 0
    assert first.result(timeout=60) == 9
    assert [held.task for held in kernel.memoizer.session.live.picture.held] == [waiting.tid]
    time.sleep(0.5)
    assert not waiting.done()
    status, words = command(program, "release", "last", "--task", waiting.tid, "--executor", "birch")
    assert status == 0, words
    assert waiting.result(timeout=60) == 81
    abandoned = apps.spin(apps.spin(1, 0.5), 0.1)
    hold(future=abandoned)
    events = program.events()  # the program ends without waiting
    assert isinstance(abandoned.exception(timeout=0), TaskHeldTooLong)
    assert [event.task for event in events if isinstance(event, TaskHeld)] == [waiting.tid, abandoned.tid]
    assert [event.executor for event in events if isinstance(event, TaskReleased)] == ["birch"]
    check_story(events)
