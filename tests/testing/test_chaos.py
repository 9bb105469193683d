"""Faults are real, aimed, seeded and recorded; proved on stock HTEX and on small marked programs."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

import msgspec
import parsl
import psutil
import pytest
from parsl import Config, HighThroughputExecutor, python_app
from parsl.executors.high_throughput.errors import WorkerLost
from parsl.logconfigs.noop import NoopLogging
from parsl.providers import LocalProvider

from parsl_diaspora.testing import processes
from parsl_diaspora.testing.chaos import Chaos, Fault
from parsl_diaspora.testing.processes import busy, busy_among, find, sweep, worker_init
from parsl_diaspora.testing.shutdown import shut_down

ROOTS = [str(Path(__file__).parent), str(Path(__file__).parents[2])]  # where workers find these apps
SLEEPER = "import time; print('up', flush=True); time.sleep(60)"
PORTS = itertools.count(14_000 + os.getpid() % 50 * 100, 50)


@python_app
def where():
    import os
    import time

    time.sleep(0.3)  # long enough for each worker to get one
    return os.getpid(), os.getppid()


@python_app
def spin(seconds, started):
    import os
    import time
    from pathlib import Path

    Path(started).write_text(str(os.getpid()))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    return "spun"


@python_app
def watch_a_child_spin(seconds, started):
    import os
    import subprocess
    import sys
    from pathlib import Path

    Path(started).write_text(str(os.getpid()))
    code = f"import time; end = time.monotonic() + {seconds}\nwhile time.monotonic() < end: pass"
    subprocess.run([sys.executable, "-c", code], check=True)


def executor(site, workers, mark):
    port = next(PORTS)
    return HighThroughputExecutor(
        label=site,
        address="127.0.0.1",
        encrypted=True,
        worker_port_range=(port, port + 20),
        interchange_port_range=(port + 20, port + 50),
        heartbeat_period=1,
        heartbeat_threshold=3,
        max_workers_per_node=workers,
        cores_per_worker=0.01,
        provider=LocalProvider(
            init_blocks=1,
            min_blocks=1,
            max_blocks=1,
            worker_init=worker_init(mark, site, {"PYTHONPATH": os.pathsep.join(ROOTS)}),
        ),
    )


@contextmanager
def pools(run_dir, workers, **options):
    """One HTEX for each site with that many workers; their mark."""
    mark = f"test-{uuid.uuid4().hex}"
    config = Config(
        executors=[executor(site, count, mark) for site, count in workers.items()],
        run_dir=str(run_dir),
        strategy="none",
        strategy_period=0.5,
        **options,
    )
    kernel = parsl.load(config)
    try:
        yield mark
    finally:
        shut_down(kernel, mark)
        assert find(mark) == []


@contextmanager
def program(mark, code=SLEEPER, place="alder"):
    """A small program that carries a mark, or none; it is up when this yields."""
    marked = {processes.MARK_VARIABLE: mark, processes.PLACE_VARIABLE: place} if mark else {}
    with subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, **marked}, stdout=subprocess.PIPE
    ) as child:
        try:
            assert child.stdout.readline() == b"up\n"
            yield child
        finally:
            child.kill()


@pytest.fixture
def mark():
    token = f"test-{uuid.uuid4().hex}"
    yield token
    sweep(token)


def until(true, timeout=30.0):
    end = time.monotonic() + timeout
    while not (answer := true()):
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.02)
    return answer


def of_role(mark, role, site=None):
    return [one for one in find(mark) if one.role == role and site in {None, one.site}]


def ready(mark, workers):
    """Wait until so many workers are up and idle; they are returned."""
    found = until(lambda: len(up := of_role(mark, "worker")) == workers and up)
    until(lambda: not busy_among(found))
    return found


# ------------------------------------------------------------------ finding, on real pools


@pytest.fixture(scope="class")
def two_sites(tmp_path_factory):
    with pools(tmp_path_factory.mktemp("two"), {"alder": 2, "birch": 1}) as mark:
        ready(mark, 3)
        yield mark


class TestFinding:
    @pytest.mark.slow
    def test_the_processes_called_workers_are_those_that_run_the_tasks(self, two_sites):
        reported = {future.result() for future in [where() for _ in range(24)]}
        workers = of_role(two_sites, "worker")
        assert {(one.pid, one.parent) for one in workers} == reported
        assert [one.site for one in workers] == ["alder", "alder", "birch"]

    def test_there_is_one_manager_at_each_site_and_its_helpers_are_neither(self, two_sites):
        managers = {one.site: one.pid for one in of_role(two_sites, "manager")}
        assert {one.parent for one in of_role(two_sites, "worker", "alder")} == {managers["alder"]}
        helpers = of_role(two_sites, "other", "birch")
        assert [one.parent for one in helpers] == [managers["birch"]] * 2  # dictionary and tracker

    def test_only_the_worker_that_computes_is_busy(self, two_sites, tmp_path):
        future = spin(3, str(tmp_path / "started"))
        running = until(lambda: (tmp_path / "started").exists() and (tmp_path / "started").read_text())
        workers = of_role(two_sites, "worker")
        until(lambda: busy_among(workers) == {int(running)})  # a worker may still be tidying up its last task
        assert next(busy(one) for one in workers if one.pid == int(running))
        future.result()
        until(lambda: not busy_among(workers))

    def test_a_worker_is_busy_while_a_program_that_its_task_started_computes(self, two_sites, tmp_path):
        future = watch_a_child_spin(2, str(tmp_path / "started"))
        running = until(lambda: (tmp_path / "started").exists() and (tmp_path / "started").read_text())
        until(lambda: busy_among(of_role(two_sites, "worker")) == {int(running)})
        assert len(of_role(two_sites, "worker")) == 3
        future.result()


def test_workers_are_told_from_helpers_by_age_when_they_write_no_logs(tmp_path):
    with pools(tmp_path, {"alder": 2}, initialize_logging=NoopLogging()) as mark:
        reported = {future.result()[0] for future in [where() for _ in range(12)]}
        assert {one.pid for one in of_role(mark, "worker")} == reported


# ------------------------------------------------------------------ faults, on real pools


def test_a_killed_busy_worker_is_dead_its_task_fails_and_the_record_says_who_it_was(tmp_path):
    with pools(tmp_path, {"alder": 2}) as mark:
        ready(mark, 2)
        future = spin(30, str(tmp_path / "started"))
        until((tmp_path / "started").exists)
        with Chaos(seed=1, mark=mark, plan=[Fault(kind="kill_busy_worker", at=0)]) as chaos:
            assert chaos.wait(10)
        (record,) = chaos.records
        assert record.kind == "kill_busy_worker"
        assert record.pid == int((tmp_path / "started").read_text())
        assert (record.site, record.note) == ("alder", "")
        assert [record.manager] == [one.pid for one in of_role(mark, "manager")]
        assert record.pid not in {one.pid for one in find(mark)}
        assert isinstance(future.exception(timeout=10), WorkerLost)


def test_without_an_idle_worker_a_busy_one_is_taken_and_the_record_says_so(tmp_path):
    with pools(tmp_path, {"alder": 1}) as mark:
        ready(mark, 1)
        spin(30, str(tmp_path / "started"))
        until((tmp_path / "started").exists)
        plan = [Fault(kind="kill_idle_worker", at=0)]
        with Chaos(seed=1, mark=mark, plan=plan, patience=0.5) as chaos:
            assert chaos.wait(10)
        (record,) = chaos.records
        assert (record.fault.kind, record.kind) == ("kill_idle_worker", "kill_busy_worker")
        assert record.note == "found nothing to kill idle worker in 0.5 s"
        assert record.elapsed >= 0.5


@pytest.mark.slow
def test_a_killed_manager_leaves_orphans_that_are_still_known_and_swept(tmp_path):
    with pools(tmp_path, {"alder": 2, "birch": 1}) as mark:
        (worker,) = [one.pid for one in ready(mark, 3) if one.site == "birch"]
        with Chaos(seed=1, mark=mark, plan=[Fault(kind="kill_manager", at=0, site="birch")]) as chaos:
            assert chaos.wait(10)
        assert chaos.records[0].manager == chaos.records[0].pid
        assert of_role(mark, "manager", "birch") == []
        assert [one.pid for one in of_role(mark, "worker", "birch")] == [worker]
        assert sweep(mark) >= 5
        assert find(mark) == []


def test_a_lost_node_takes_all_its_processes_with_it(tmp_path):
    with pools(tmp_path, {"alder": 2}) as mark:
        ready(mark, 2)
        with Chaos(seed=1, mark=mark, plan=[Fault(kind="kill_node", at=0)]) as chaos:
            assert chaos.wait(10)
        until(lambda: find(mark) == [], timeout=2)


@pytest.mark.slow
def test_a_frozen_worker_goes_on_after_its_time(tmp_path):
    with pools(tmp_path, {"alder": 1}) as mark:
        (worker,) = ready(mark, 1)
        plan = [Fault(kind="stop_worker", at=0, resume_after=1.5)]
        with Chaos(seed=1, mark=mark, plan=plan) as chaos:
            until(lambda: psutil.Process(worker.pid).status() == psutil.STATUS_STOPPED)
            future = where()
            assert chaos.wait(10)
        assert future.result(timeout=60)[0] == worker.pid


@pytest.mark.slow
def test_a_run_whose_interchange_is_dead_is_ended_in_bounded_time_and_another_can_follow(tmp_path):
    mark = f"test-{uuid.uuid4().hex}"
    config = Config(executors=[executor("alder", 1, mark)], run_dir=str(tmp_path), strategy_period=0.5)
    others = {child.pid for child in psutil.Process().children()}
    kernel = parsl.load(config)
    ready(mark, 1)
    kernel.executors["alder"].interchange_proc.kill()
    time.sleep(1)  # the status poller meets the dead interchange
    ended = shut_down(kernel, mark, timeout=3)
    assert not ended.finished
    assert find(mark) == []
    assert {child.pid for child in psutil.Process().children()} <= others
    with pools(tmp_path, {"alder": 1}):
        assert where().result()


# ------------------------------------------------------------------ plans


def test_equal_seeds_make_equal_plans_and_others_make_others():
    def plan(seed):
        return Chaos.plan(seed, busy_workers=3, idle_workers=2, managers=1, window=(1, 60))

    assert plan(5) == plan(5)
    assert plan(5) != plan(6)
    assert sorted(fault.kind for fault in plan(5)) == [
        *["kill_busy_worker"] * 3,
        *["kill_idle_worker"] * 2,
        "kill_manager",
    ]


@pytest.mark.parametrize("seed", range(20))
def test_planned_faults_keep_their_distance_within_the_window(seed):
    plan = Chaos.plan(seed, busy_workers=5, window=(0.1, 0.9), min_gap=0.15, by="progress")
    moments = [fault.at for fault in plan]
    assert all(0.1 <= at <= 0.9 for at in moments)
    assert all(later - at >= 0.15 - 1e-9 for at, later in itertools.pairwise(moments))
    assert {fault.by for fault in plan} == {"progress"}


def test_faults_that_do_not_fit_the_window_are_refused():
    with pytest.raises(ValueError, match=r"3 faults do not fit into 0 to 1 with 0\.6 between them"):
        Chaos.plan(1, busy_workers=3, window=(0, 1), min_gap=0.6)


@pytest.mark.parametrize("wrong", [{"kind": "trip"}, {"at": -1}, {"at": 1.1, "by": "progress"}])
def test_a_fault_that_cannot_happen_is_refused(wrong):
    with pytest.raises(ValueError, match=r"is no kind of fault|cannot happen"):
        Fault(**{"kind": "kill_manager", "at": 0, **wrong})


def test_faults_wait_for_the_progress_that_they_are_planned_for(mark):
    plan = [Fault(kind="kill_worker", at=at, by="progress") for at in (0.8, 0.3)]
    with Chaos(seed=1, mark=mark, plan=plan, patience=0) as chaos:
        time.sleep(0.2)
        assert chaos.records == ()
        chaos.progress(0.5)
        until(lambda: chaos.records)
        assert not chaos.wait(0.2)
        chaos.progress(1.0)
        assert chaos.wait(5)
    assert [record.fault.at for record in chaos.records] == [0.3, 0.8]
    assert [record.pid for record in chaos.records] == [None, None]


def test_a_listener_that_fails_does_not_end_the_plan(mark, caplog):
    heard = []

    def listen(record):
        heard.append(record)
        raise RuntimeError("no")

    plan = [Fault(kind="kill_manager", at=0), Fault(kind="kill_worker", at=0.1)]
    with Chaos(seed=1, mark=mark, plan=plan, on_fault=listen, patience=0) as chaos:
        assert chaos.wait(5)
    assert tuple(heard) == chaos.records
    assert len(heard) == 2
    assert "The listener of faults failed" in caplog.text


def test_a_stopped_plan_does_no_more_and_is_not_started_again(mark):
    chaos = Chaos(seed=1, mark=mark, plan=[Fault(kind="kill_worker", at=60)])
    chaos.start()
    chaos.stop()
    assert chaos.records == ()
    with pytest.raises(RuntimeError, match="has been started before"):
        chaos.start()


# ------------------------------------------------------------------ marks and sweeping


def test_a_sweep_ends_everything_with_the_mark_and_nothing_without(mark):
    with program(mark), program(mark, place="birch"), program("") as bystander, program(mark + "x") as other:
        assert sweep(mark) == 2
        assert find(mark) == []
        assert bystander.poll() is None
        assert other.poll() is None


def test_a_sweep_also_ends_the_processes_that_it_is_given(mark):
    with program("") as named:
        assert sweep(mark, extra=[named.pid]) == 1
        assert named.wait(5) == -signal.SIGTERM


def test_what_ignores_the_polite_signal_or_is_frozen_is_killed(mark):
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    with program(mark, deaf + SLEEPER) as stubborn, program(mark) as frozen:
        frozen.send_signal(signal.SIGSTOP)
        assert sweep(mark, timeout=1) == 2
        assert stubborn.wait(5) == -signal.SIGKILL
        assert frozen.wait(5) in {-signal.SIGKILL, -signal.SIGTERM}


def test_an_empty_mark_is_refused_since_it_would_match_too_much():
    for act in (find, sweep, lambda mark: worker_init(mark, "alder")):
        with pytest.raises(ValueError, match="must not be empty"):
            act("")


def test_a_program_that_carries_the_mark_itself_does_not_end_itself(mark):
    code = f"""
from parsl_diaspora.testing.processes import sweep
import os
print('up', flush=True)
print(sweep({mark!r}, extra=[os.getpid(), os.getppid()]), flush=True)
"""
    with program(mark, f"import sys; sys.path[:0] = {ROOTS!r}{code}") as careless:
        assert careless.stdout.read() == b"0\n"
        assert careless.wait(10) == 0


def test_a_number_that_now_belongs_to_another_process_is_not_touched(mark):
    with program(mark) as child:
        (found,) = find(mark)
        stale = msgspec.structs.replace(found, create_time=found.create_time - 60)
        assert not stale.alive
        assert not processes.send(stale, signal.SIGKILL)
        assert found.alive
        assert child.poll() is None
