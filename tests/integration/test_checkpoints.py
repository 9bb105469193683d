"""Tasks that save their state, on real pools: killed, they go on from there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

from parsl_diaspora import open_fabric
from parsl_diaspora.events import CheckpointRestored, CheckpointSaved, DecisionMade, TryFailed, TryStarted
from parsl_diaspora.testing.processes import find
from tests.integration.checkpoint_apps import count_and_die, count_in_a_file
from tests.waiting import until


def steps_done(path):
    return [int(line.split()[0]) for line in path.read_text().splitlines()]


def read_if_there(path):
    return path.read_text() if path.exists() else ""


def test_a_task_that_is_killed_goes_on_from_its_newest_state(program, tmp_path):
    program.load(program.pool("cpu", workers=1))
    told = tmp_path / "steps"
    future = count_and_die(120, (30, 60, 90), str(told))
    assert future.result(timeout=120) == 120
    events = program.events()
    saved = [event for event in events if isinstance(event, CheckpointSaved)]
    restored = [event for event in events if isinstance(event, CheckpointRestored)]
    assert len([event for event in events if isinstance(event, TryFailed)]) == 3
    assert [event.saved_try for event in restored] == [0, 1, 2]
    for event in restored:  # the newest that was told to be safe, or one that was just about to be told
        of_try = [each.number for each in saved if each.try_id == event.saved_try]
        assert event.number >= max(of_try)
    redone = len(steps_done(told)) - 120
    print(f"steps done again after three kills: {redone}")
    assert redone <= 3 * 10
    assert not list((tmp_path / "runinfo" / "checkpoints").iterdir()), "states of a task that is done stay"


def test_without_a_kill_nothing_differs(program, tmp_path):
    program.load(program.pool("cpu", workers=1))
    told = tmp_path / "steps"
    assert count_and_die(20, (), str(told)).result(timeout=60) == 20
    assert steps_done(told) == list(range(1, 21))
    events = program.events()
    assert not [event for event in events if isinstance(event, CheckpointRestored)]


PROGRAM = """
    import sys, parsl
    from parsl import Config, HighThroughputExecutor
    from parsl.providers import LocalProvider
    from parsl_diaspora import resilient
    from parsl_diaspora.testing.processes import worker_init
    from tests.integration.checkpoint_apps import sum_slowly

    directory, mark, root = sys.argv[1:]
    provider = LocalProvider(worker_init=worker_init(mark, "cpu", {"PYTHONPATH": root}))
    executor = HighThroughputExecutor(
        label="cpu", address="127.0.0.1", encrypted=True, max_workers_per_node=2, provider=provider,
        cores_per_worker=0.01, heartbeat_period=1, heartbeat_threshold=5,
    )
    config = Config(executors=[executor], run_dir=directory + "/runinfo", strategy="none")
    with parsl.load(resilient(config, fabric="file:" + directory + "/log")):
        futures = [sum_slowly(name, 80, f"{directory}/{name}") for name in ("a", "b")]
        print(*[future.result() for future in futures])
"""


def test_a_program_that_is_started_again_goes_on_where_its_tasks_were(tmp_path):
    root = str(Path(__file__).parents[2])
    mark = f"test-{os.getpid()}-again"
    script = tmp_path / "program.py"
    script.write_text(textwrap.dedent(PROGRAM))
    command = [sys.executable, str(script), str(tmp_path), mark, root]
    environment = {**os.environ, "PYTHONPATH": root}
    first = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE)
    until(lambda: all("did 8" in read_if_there(tmp_path / name) for name in ("a", "b")))
    first.send_signal(signal.SIGKILL)
    first.wait()
    first.stdout.close()
    until(lambda: not find(mark))
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    expected = sum(range(80)) * sum(range(1000))
    assert done.stdout.split() == [f"{float(expected)}"] * 2, done.stderr[-2000:]
    for name in ("a", "b"):
        begins = [
            int(line.split()[2]) for line in (tmp_path / name).read_text().splitlines() if "begins" in line
        ]
        print(f"{name} begins at {begins}")
        assert begins[0] == 0
        assert begins[-1] >= 5, "the second run began anew"
    until(lambda: not find(mark))


def begun(directory):
    return [int(line) for line in (directory / "begun.txt").read_text().split()]


def test_a_bash_app_goes_on_from_its_file_when_its_worker_is_killed(program, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    program.load(program.pool("cpu", workers=1))
    future = count_in_a_file(str(work), 60, "pause=0.05")
    log = open_fabric(program.url).consumer("killer")
    heard = []
    until(lambda: heard.extend(log.poll()) or any(isinstance(each, CheckpointSaved) for each in heard))
    (start,) = [each for each in heard if isinstance(each, TryStarted)]
    os.kill(start.pid, signal.SIGKILL)
    assert future.result(timeout=120) == 0
    first, second = begun(work)
    print(f"killed, and went on from {second}")
    assert (first, (work / "result.txt").read_text()) == (0, "60")
    assert second > 0
    restored = [each for each in program.events() if isinstance(each, CheckpointRestored)]
    assert [(each.saved_try, each.try_id) for each in restored] == [(0, 1)]
    assert not list((tmp_path / "runinfo" / "checkpoints").iterdir())


def test_a_bash_app_that_asks_to_be_run_again_is_with_no_budget_spent(program, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    program.load(program.pool("cpu", workers=1), config={"retries": 0}, max_tries=2)
    assert count_in_a_file(str(work), 35, "again=10").result(timeout=120) == 0
    assert begun(work) == [0, 10, 20, 30]
    decisions = [each for each in program.events() if isinstance(each, DecisionMade)]
    assert [(each.rule, each.tries) for each in decisions] == [("checkpointed-again", 1)] * 3
    assert "asked to be run again" in decisions[0].reason
