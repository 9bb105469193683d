"""The supervisor with real processes: what dies is told and replaced, and nothing is left behind."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest

from parsl_diaspora.monitoring.node import kernel

DEFAULT_HEARTBEAT = 30  # seconds between two looks of the pool's own watchdog


def gone(pid):
    return not kernel.is_alive(pid)


# ---------------------------------------------------------------- workers


def test_a_killed_worker_is_told_with_its_try_and_replaced_long_before_the_next_heartbeat(node):
    here = node("--does=work")
    pid, uid = here.pool()
    worker = here.worker(1)
    here.until(lambda: here.events("node.seen"), "the supervisor")
    time.sleep(0.3)
    killed = time.time()
    os.kill(worker, signal.SIGKILL)
    ended = here.event("worker.ended")
    assert ended.time - killed < 5  # seconds on a busy machine; the benchmark has the figure
    assert (ended.exit_code, ended.pid, ended.worker) == (-signal.SIGKILL, worker, 1)
    assert (ended.task, ended.try_id) == (101, 2)
    assert (ended.run, ended.executor, ended.block, ended.manager) == ("r", "cpu", "7", uid)
    assert ended.node == os.uname().nodename
    assert ended.source == f"node:{ended.node}:{here.process.pid}"
    assert not ended.out_of_memory
    here.worker(1, not_in=[worker])
    assert time.time() - killed < DEFAULT_HEARTBEAT / 2
    assert not gone(pid)


def test_an_idle_worker_that_ends_has_no_try(node):
    here = node("--does=idle")
    worker = here.worker(0)
    os.kill(worker, signal.SIGSEGV)
    ended = here.event("worker.ended")
    assert (ended.exit_code, ended.task, ended.try_id) == (-signal.SIGSEGV, None, None)
    here.worker(0, not_in=[worker])


def test_workers_that_cannot_live_are_started_less_and_less_often(node):
    here = node("--does=crash", "--workers=1")
    here.until(lambda: len(here.events("worker.ended")) >= 3, "three deaths")
    time.sleep(3)
    ended = here.events("worker.ended")
    assert {event.exit_code for event in ended} == {3}
    assert len(ended) <= 7
    gaps = [later.time - event.time for event, later in itertools.pairwise(ended)]
    assert max(gaps[2:], default=9) > gaps[0]


def test_children_of_a_dead_workers_try_end_with_it_unless_they_left_its_session(node):
    here = node("--does=child", "--workers=1")
    worker = here.worker(0)
    children = here.until(lambda: c if len(c := psutil.Process(worker).children()) == 2 else [], "children")
    stays = here.until(
        lambda: [child for child in children if os.getsid(child.pid) == child.pid], "a session"
    )
    os.kill(worker, signal.SIGKILL)
    here.event("worker.ended")
    ends = [child for child in children if child not in stays]
    here.until(lambda: all(gone(child.pid) for child in ends), "the end of the try's child")
    assert len(stays) == 1
    assert not gone(stays[0].pid)


# ---------------------------------------------------------------- the pool


def test_a_killed_pool_is_replaced_in_the_same_block_and_leaves_nothing(node):
    here = node("--does=child")
    pid, uid = here.pool()
    workers = [here.worker(0), here.worker(1)]
    below = [child.pid for child in psutil.Process(pid).children(recursive=True)]
    os.kill(pid, signal.SIGKILL)
    ended = here.event("manager.ended")
    assert (ended.manager, ended.exit_code, ended.pid) == (uid, -signal.SIGKILL, pid)
    assert "SIGKILL" in ended.reason
    assert ended.workers >= len(workers)
    assert all(gone(each) for each in below)
    new, its_uid = here.pool(1)
    assert (its_uid == ended.next, its_uid != uid) == (True, True)
    assert here.event("node.seen", 1).manager == its_uid
    worker = here.worker(0, not_in=workers)
    os.kill(worker, signal.SIGKILL)  # the new pool is looked after as the first one was
    again = here.event("worker.ended")
    assert (again.manager, again.task) == (its_uid, 100)
    assert not gone(new)


def test_a_pool_that_is_killed_again_and_again_is_given_up(node):
    here = node(restarts=1)
    for number in range(2):
        os.kill(here.pool(number)[0], signal.SIGKILL)
        here.event("manager.ended", number)
    assert here.exit_code() == 128 + signal.SIGKILL
    assert here.events("manager.ended")[-1].next == ""
    assert here.left() == []


@pytest.mark.parametrize("code", [0, 3])
def test_a_pool_that_ends_by_itself_ends_the_supervisor_with_its_code(node, code):
    here = node(f"--code={code}")
    assert here.exit_code() == code
    assert here.event("manager.ended").exit_code == code
    assert len(list(here.directory.glob("*.pool.*"))) == 1


def test_the_pool_gets_its_arguments_and_an_id(node):
    here = node("--code=0", "--does=idle")
    here.exit_code()
    (told,) = here.directory.glob("*.pool.*")
    text = told.read_text()
    assert text.startswith("['-u', '" + told.name.split(".")[0])
    assert "'--block_id=7', '--code=0', '--does=idle']" in text
    assert text.endswith(str(here.directory))  # the first of the pool's path, as if it had been run by itself


# ---------------------------------------------------------------- the end


def test_sigterm_is_told_passed_on_and_leaves_nothing(node):
    here = node("--does=child")
    here.worker(0)
    here.event("node.seen")
    here.process.send_signal(signal.SIGTERM)
    assert here.exit_code() == 128 + signal.SIGTERM
    ending = here.event("node.ending")
    assert "SIGTERM" in ending.reason
    assert here.event("manager.ended").exit_code == -signal.SIGTERM
    assert here.left() == []


def test_nothing_is_left_when_the_supervisor_itself_is_killed(node):
    here = node("--does=child")
    here.worker(1)
    psutil.Process(here.worker(0)).children()
    here.event("node.seen")
    board = psutil.Process(here.pool()[0]).environ()["PARSL_DIASPORA_BOARD"]
    here.process.send_signal(signal.SIGKILL)
    here.until(lambda: here.left() == [], "the end of all", 15)
    assert not os.path.exists(board)


def test_the_pool_ends_when_the_programs_process_is_gone(node):
    program = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    start = kernel.stat(program.pid).start
    here = node(submit_host=os.uname().nodename, submit_pid=program.pid, submit_start=start)
    here.worker(0)
    time.sleep(2.5)
    assert here.process.poll() is None
    program.kill()
    program.wait()
    assert here.exit_code() == 0
    assert "gone" in here.event("node.ending").reason
    assert here.left() == []


def test_a_process_that_only_has_the_programs_number_is_not_taken_for_it(node):
    here = node("--code=0", submit_host=os.uname().nodename, submit_pid=os.getpid(), submit_start=1)
    assert here.exit_code() == 0


def test_the_pool_ends_when_nobody_listens_where_the_interchange_was(node):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        here = node("-a", "127.0.0.1", f"--port={port}", "--cert_dir=None", command=None)
        here.worker(0)
        time.sleep(3)
        assert here.process.poll() is None
    assert here.exit_code(40) == 0
    assert "nobody listens" in here.event("node.ending").reason


# ---------------------------------------------------------------- orders


def test_the_end_is_ordered(node):
    here = node()
    here.worker(0)
    here.orders.give({"block": "7"}, {"kind": "end", "reason": "the node is needed"})
    assert here.exit_code() == 0
    assert here.event("node.ending").reason == "the node is needed"
    assert here.left() == []


def test_a_new_pool_is_ordered_once_and_orders_for_others_are_left_alone(node):
    here = node()
    pid, uid = here.pool()
    here.worker(0)
    here.orders.give({"manager": "another"}, {"kind": "end"})
    here.orders.give({"manager": uid}, {"kind": "restart_pool", "reason": "it stalls"})
    assert here.event("manager.ended").reason == "it stalls"
    assert gone(pid)
    here.worker(0, not_in=[here.worker(0)])
    time.sleep(1)
    assert len(here.events("manager.ended")) == 1
    assert here.process.poll() is None


def test_what_is_no_order_is_passed_over(node):
    here = node()
    here.worker(0)
    (here.orders.directory / "1.order").write_text("{")
    here.orders.give({}, {"kind": "sing"})
    here.orders.give({}, {"kind": "stop", "task": "none"})
    here.orders.give({}, {"kind": "end"})
    assert here.exit_code() == 0
    (said,) = here.events("service.degraded")
    assert "order" in said.part


def stop(here, rank=0, **more):
    here.orders.give({"executor": "cpu"}, {"kind": "stop", "task": 100 + rank, "try": 2, **more})


def test_a_task_that_gives_way_is_stopped_by_a_signal_and_its_worker_lives(node):
    here = node("--does=yield")
    worker = here.worker(1)
    time.sleep(0.5)
    stop(here, rank=1, reason="cancelled", grace=20.0)
    stopped = here.event("task.try_stopped")
    assert (stopped.how, stopped.task, stopped.try_id, stopped.pid) == ("signal", 101, 2, worker)
    assert stopped.reason == "cancelled"
    assert not gone(worker)
    assert here.events("worker.ended") == []


def test_a_task_in_c_code_that_holds_the_interpreter_is_killed_with_its_worker(node):
    here = node("--does=hold", "--workers=1")
    worker = here.worker(0)
    time.sleep(0.5)
    stop(here, reason="cancelled", grace=0.3)
    stopped = here.event("task.try_stopped")
    assert (stopped.how, stopped.pid) == ("kill", worker)
    ended = here.event("worker.ended")
    assert (ended.stopped, ended.exit_code, ended.task) == ("cancelled", -signal.SIGKILL, 100)
    assert not ended.out_of_memory
    here.worker(0, not_in=[worker])


def test_the_children_of_a_killed_task_are_killed_too(node):
    here = node("--does=child", "--workers=1")
    worker = here.worker(0)
    children = here.until(lambda: c if len(c := psutil.Process(worker).children()) == 2 else [], "children")
    stop(here, grace=0.1)
    assert here.event("task.try_stopped").how == "kill"
    here.until(lambda: all(gone(child.pid) for child in children), "the end of the children")


def test_a_try_that_has_not_begun_is_stopped_when_it_does(node):
    here = node("--does=hold", "--workers=1")
    stop(here, grace=0.1)  # long before the worker is there
    assert here.event("task.try_stopped").how == "kill"


def test_a_try_that_runs_elsewhere_stops_nothing_here(node):
    here = node()
    here.worker(0), here.worker(1)
    here.orders.give({}, {"kind": "stop", "task": 100, "try": 1, "grace": 0.0})
    here.orders.give({}, {"kind": "stop", "task": 7, "try": 2, "grace": 0.0})
    time.sleep(1.5)
    assert here.events("task.try_stopped", "worker.ended") == []


# ---------------------------------------------------------------- degraded


def test_with_a_broken_file_the_pool_runs_as_stock_has_it(tmp_path):
    (tmp_path / "node.json").write_text("{")
    script = [sys.executable, "-c", "import sys; sys.exit(5)"]
    command = [sys.executable, "-m", "parsl_diaspora.monitoring.node.main", str(tmp_path / "node.json"), "--"]
    done = subprocess.run([*command, *script], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 5
    assert "without a supervisor" in done.stderr


def test_a_pool_that_is_no_python_is_looked_after_from_outside(node, tmp_path):
    """Nothing can run it within ours: there are no reports of dead workers, but all the rest."""
    (tmp_path / "shell_pool").write_text("#!/bin/sh\nexec sleep 600\n")
    (tmp_path / "shell_pool").chmod(0o755)
    here = node(command=[str(tmp_path / "shell_pool")])
    here.event("node.seen")
    (pool,) = here.until(lambda: psutil.Process(here.process.pid).children(), "the pool")
    pool.kill()
    assert here.event("manager.ended").exit_code == -signal.SIGKILL


def test_events_go_on_when_the_log_cannot_be_reached(node, tmp_path):
    here = node("--code=0", url=f"file:{tmp_path / 'nowhere'}")
    assert here.exit_code() == 0
    assert not (tmp_path / "nowhere").exists()


def test_samples_are_said_of_the_node_and_of_workers_that_have_had_a_task(node):
    here = node("--does=work", sample=0.3)
    here.until(lambda: {e.worker for e in here.events("worker.sampled")} == {0, 1}, "samples of workers")
    sample = here.events("worker.sampled")[-1]
    assert (sample.task, sample.try_id, sample.memory > 0) == (100 + sample.worker, 2, True)
    assert here.event("node.sampled").memory_free > 0
