"""What a node and its workers use: from the real /proc, and from made-up ones where it must be exact."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from parsl_diaspora.executors.supervision.board import Work
from parsl_diaspora.monitoring.node.processes import Processes
from parsl_diaspora.monitoring.node.sampling import Sampler
from tests.monitoring.node.trees import process, write

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")

BUSY = "import time\nend = time.process_time() + {seconds}\nwhile time.process_time() < end: pass\n"


class Works(dict):
    """What workers are at, by rank, in place of a board."""

    def works(self):
        return self


def at(pid, task=5, *, busy=True):
    return Work(pid, task, 1, busy, 0.0, 0)


@pytest.fixture
def start():
    started = []

    def start(code):
        child = subprocess.Popen([sys.executable, "-S", "-c", code], stdout=subprocess.PIPE, text=True)
        started.append(child)
        return child

    yield start
    for child in started:
        child.kill()
        child.wait()
        child.stdout.close()


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def pool(tmp_path):
    """A made-up pool 10 with workers 11 and 12, of which 11 has a child 13; process 2 is not its own."""
    write(tmp_path, stat="cpu  100 0 100 900 0 0 0 0 50 0\ncpu0 1", loadavg="1.25 0.5 0.1 1/2 3")
    write(tmp_path, meminfo="MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 400 kB\n")
    process(tmp_path, 2, 1, cpu=7)
    process(tmp_path, 10, 1, cpu=1)
    for pid, parent in (11, 10), (12, 10), (13, 11):
        process(tmp_path, pid, parent, pages=pid)
    return tmp_path


def sampler(pool, works, clock):
    return Sampler(10, Works(works), proc=str(pool), clock=clock)


class TestARealPool:
    def test_a_worker_that_computes_uses_a_core_and_one_that_sleeps_none(self, start):
        busy, idle = start(BUSY.format(seconds=30)), start("import time; time.sleep(30)")
        seen = Sampler(os.getpid(), Works({0: at(busy.pid), 3: at(idle.pid, busy=False)}))
        before = time.thread_time(), time.monotonic()
        time.sleep(0.5)
        node, first, second = seen.sample()
        assert time.monotonic() - before[1] < 30
        assert (first.worker, first.task, first.try_id, first.pid) == (0, 5, 1, busy.pid)
        assert (second.worker, second.task, second.try_id) == (3, None, None)
        assert 0.05 < first.cpu < 1.2
        assert second.cpu < first.cpu
        assert node.pool_cpu >= first.cpu
        assert node.pool_memory > first.memory > 1_000_000
        assert node.memory_used > 0 < node.memory_free

    def test_children_of_a_worker_count_to_it_while_they_live_and_after_their_end(self, start):
        child = f"[sys.executable, '-S', '-c', {BUSY.format(seconds=0.3)!r}]"
        code = f"import subprocess, sys\nsubprocess.run({child})"
        worker = start(f"{code}\nprint('ended', flush=True)\nimport time; time.sleep(30)")
        seen = Sampler(os.getpid(), Works({0: at(worker.pid)}))
        begun = time.monotonic()
        assert worker.stdout.readline() == "ended\n"
        took = time.monotonic() - begun
        _, event = seen.sample()
        assert event.cpu * took == pytest.approx(0.3, abs=0.15)
        assert event.processes == 1

    def test_what_a_worker_writes_and_opens_is_seen(self, start, tmp_path):
        code = (
            f"import os\nfiles = [open({str(tmp_path / 'f')!r}, 'wb') for _ in range(5)]\n"
            "os.write(files[0].fileno(), bytes(1 << 20)); os.fsync(files[0].fileno())\n"
            "print('written', flush=True)\nimport time; time.sleep(30)"
        )
        works = Works()
        seen = Sampler(os.getpid(), works)
        worker = start(code)
        works[0] = at(worker.pid)
        assert worker.stdout.readline() == "written\n"
        _, event = seen.sample()
        assert event.open_files >= 8
        assert event.written in (0, *range(1 << 20, 1 << 22))  # some file systems account no writing
        _, event = seen.sample()
        assert event.written == 0

    def test_a_killed_worker_is_no_longer_sampled(self, start):
        worker = start("import time; time.sleep(30)")
        seen = Sampler(os.getpid(), Works({0: at(worker.pid)}))
        assert len(seen.sample()) == 2
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        assert len(seen.sample()) == 1

    def test_room_on_the_disk_is_known_from_the_first_sample_on(self, tmp_path):
        seen = Sampler(os.getpid(), Works({}), directory=str(tmp_path))
        seen.settle(5.0)
        assert seen.sample()[0].disk_free > 0

    def test_32_workers_cost_far_less_than_a_hundredth_of_a_core(self, start):
        workers = [subprocess.Popen(["sleep", "60"]) for _ in range(32)]
        try:
            works = {rank: at(worker.pid) for rank, worker in enumerate(workers)}
            seen = Sampler(os.getpid(), Works(works))
            seen.sample()
            spent = time.thread_time()
            for _ in range(5):
                assert len(seen.sample()) == 33
            own = (time.thread_time() - spent) / 5
            assert own < 0.05, f"{own * 1e3:.1f} ms a sample"
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()


class TestAMadeUpPool:
    def test_cpu_is_in_cores_since_the_sample_before(self, pool):
        clock = Clock()
        seen = sampler(pool, {0: at(11), 1: at(12)}, clock)
        process(pool, 13, 11, cpu=2 * TICKS)
        process(pool, 12, 10, cpu=1 * TICKS)
        write(pool, stat=f"cpu  {100 + 6 * TICKS} 0 100 2000 0 0 0 0 50 0\n")
        clock.now = 2.0
        node, first, second = seen.sample()
        assert (node.cpu, node.load, node.pool_cpu) == (3.0, 1.25, 1.5)
        assert (node.memory_used, node.memory_free) == (600 * 1024, 400 * 1024)
        assert (first.cpu, first.processes, first.memory) == (1.0, 2, PAGE * (11 + 1))
        assert (second.cpu, second.processes, second.memory) == (0.5, 1, PAGE)

    def test_a_childs_past_is_not_counted_again_when_it_ends(self, pool):
        clock = Clock()
        process(pool, 13, 11, cpu=5 * TICKS)
        seen = sampler(pool, {0: at(11)}, clock)
        for file in (pool / "13").iterdir():
            file.rmdir() if file.is_dir() else file.unlink()
        (pool / "13").rmdir()
        process(pool, 11, 10, cpu=6 * TICKS)  # it has waited for the child, which took 5 of these
        clock.now = 1.0
        assert seen.sample()[1].cpu == 1.0

    def test_another_process_with_a_workers_number_is_new(self, pool):
        clock = Clock()
        process(pool, 12, 10, cpu=500 * TICKS)
        seen = sampler(pool, {1: at(12)}, clock)
        process(pool, 12, 10, cpu=1 * TICKS, started=9)
        clock.now = 1.0
        assert seen.sample()[1].cpu == 1.0

    def test_bytes_moved_are_those_since_the_sample_before_children_included(self, pool):
        clock = Clock()
        seen = sampler(pool, {0: at(11)}, clock)
        write(pool / "11", io="read_bytes: 1000\nwrite_bytes: 5\n")
        seen.sample()
        write(pool / "13", io="read_bytes: 10\nwrite_bytes: 7\ncancelled_write_bytes: 3\n")
        _, event = seen.sample()
        assert (event.read, event.written) == (10, 7)

    def test_memory_that_is_free_ends_at_the_groups_limit(self, pool):
        group = SimpleNamespace(free=100)
        seen = Sampler(10, Works({}), proc=str(pool), group=group)
        assert seen.sample()[0].memory_free == 100

    def test_a_process_that_descends_from_others_is_read_once(self, pool):
        processes = Processes(str(pool))
        assert list(processes.below(10)) == [10, 11, 12, 13]
        (pool / "2" / "stat").unlink()
        assert list(processes.below(10)) == [10, 11, 12, 13]
        assert (processes.vanished, processes.unreadable) == (0, 0)

    def test_a_pool_that_was_not_there_yet_is_found_later(self, pool):
        processes = Processes(str(pool))
        assert processes.below(99) == {}
        process(pool, 99, 1)
        assert list(processes.below(99)) == [99]
        assert list(processes.below(10)) == [10, 11, 12, 13]

    @pytest.mark.parametrize(
        ("break_it", "vanished", "unreadable"),
        [
            (lambda pid: (pid / "stat").unlink(), True, False),
            (lambda pid: (pid / "stat").write_text("11 (half"), False, True),
            (lambda pid: (pid / "stat").write_text("11 (x) S 10 what is this"), False, True),
            (lambda pid: ((pid / "stat").unlink(), (pid / "stat").mkdir()), False, True),
            (lambda pid: (pid / "fd").rmdir(), True, False),
            (lambda pid: ((pid / "io").unlink(), (pid / "io").mkdir()), False, True),
        ],
        ids=["gone", "cut", "nonsense", "no file", "no descriptors", "no counts"],
    )
    def test_what_cannot_be_read_is_counted_and_the_rest_is_told(self, pool, break_it, vanished, unreadable):
        seen = sampler(pool, {0: at(11), 1: at(12)}, Clock())
        break_it(pool / "11")
        events = seen.sample()
        assert events[0].kind == "node.sampled"
        assert events[-1].pid == 12
        assert (seen.vanished > 0, seen.unreadable > 0) == (vanished, unreadable)

    def test_without_any_proc_there_is_still_a_sample(self, tmp_path):
        seen = Sampler(10, Works({0: at(11)}), proc=str(tmp_path / "none"))
        (node,) = seen.sample()
        assert (node.cpu, node.memory_free, node.pool_memory) == (0.0, 0, 0)


def test_the_modules_of_the_node_do_without_parsl_and_stay_small():
    code = (
        "import sys\n"
        "from parsl_diaspora.monitoring.node import cgroups, facts, gpus, limits, sampling\n"
        "print([name for name in ('parsl', 'numpy', 'msgpack') if name in sys.modules])\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    heavy, kibibytes = done.stdout.splitlines()
    assert heavy == "[]"
    assert int(kibibytes) < 30_000
