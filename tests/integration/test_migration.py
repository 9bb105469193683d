"""Running tasks move between real pools while they run."""

from __future__ import annotations

import subprocess
import sys

from parsl_diaspora import migrate
from parsl_diaspora.events import DecisionMade, MigrationDone, MigrationRound, MigrationStarted, TryStarted
from tests.integration.checkpoint_apps import turn
from tests.waiting import until

MB = 1_000_000


def expected(size, dirty, steps):
    import numpy as np

    big = np.zeros(size // 8)
    for step in range(steps):
        begin = step * dirty // 8 % len(big)
        big[begin : begin + dirty // 8] += 1
    return float(big.sum())


def has_saved(program, future):
    known = program.kernel.memoizer.session.checkpoints.running.of(future.tid, 0)
    return known is not None and known.saves > 0


def of_kind(events, kind):
    return [event for event in events if isinstance(event, kind)]


def test_a_running_task_goes_on_elsewhere(program, tmp_path):
    program.load(program.pool("left", workers=1), program.pool("right", workers=1))
    told = tmp_path / "told"
    future = turn(64 * MB, MB // 10, 1500, str(told))
    until(lambda: has_saved(program, future))
    assert migrate(future, to="right", reason="a test").result(timeout=60)
    assert future.result(timeout=90) == expected(64 * MB, MB // 10, 1500)
    events = program.events()
    (done,) = of_kind(events, MigrationDone)
    rounds = of_kind(events, MigrationRound)
    for each in rounds:
        print(f"round {each.number}: {each.read / 1e6:.1f} MB in {each.seconds:.3f} s")
    print(f"downtime {done.downtime:.3f} s")
    assert done.final
    starts = sorted(of_kind(events, TryStarted), key=lambda event: event.time)
    assert [event.executor for event in starts] == ["left", "right"]
    assert [event.rule for event in of_kind(events, DecisionMade)] == ["migrated"]
    begins = [int(line.split()[2]) for line in told.read_text().splitlines() if "begins" in line]
    assert begins[0] == 0
    assert begins[1] > 0


def test_the_command_moves_a_task(program, tmp_path):
    program.load(program.pool("left", workers=1), program.pool("right", workers=1))
    future = turn(MB, 8, 2000, str(tmp_path / "told"))
    until(lambda: has_saved(program, future))
    key = program.kernel.memoizer.session._run_dir / "orders.key"
    where = ["--fabric", program.url, "--key", str(key), "--owner", "ada", "--wait", "60"]

    def move(label):
        command = [sys.executable, "-m", "parsl_diaspora.cli.main", "migrate", "last", str(future.tid)]
        command += ["--to", label, *where]
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
        return done.returncode, done.stdout + done.stderr

    status, words = move("rihgt")
    assert status == 1
    assert "'right'" in words, words
    assert move("right") == (0, f"Task {future.tid} on its way.\n")
    assert future.result(timeout=90) == expected(MB, 8, 2000)
    events = program.events()
    (started,) = of_kind(events, MigrationStarted)
    assert (started.owner, started.to) == ("ada", "right")
    assert len(of_kind(events, MigrationDone)) == 1
