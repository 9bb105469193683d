"""Control groups of both versions, as Slurm, containers and systemd lay them out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from parsl_diaspora.monitoring.node.cgroups import ControlGroup, MemoryEvents
from tests.monitoring.node.trees import groups, write

NONE_V1 = "9223372036854771712\n"
GIB = 2**30


@pytest.fixture
def second(tmp_path):
    """Version 2: the job has 4 GiB, its step no limit of its own."""
    proc, group = groups(tmp_path, 2)
    write(group, memory__max="max\n", memory__current=f"{GIB}\n", memory__stat="inactive_file 0\n")
    write(group, memory__events="low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\noom_group_kill 0\n")
    write(group.parent, memory__max=f"{4 * GIB}\n", memory__current=f"{3 * GIB}\n")
    write(group.parent, memory__stat=f"anon 5\ninactive_file {GIB // 2}\n")
    return proc, group


@pytest.fixture
def first(tmp_path):
    """Version 1: the step has 2 GiB, the job no limit."""
    proc, group = groups(tmp_path, 1)
    write(
        group, memory__limit_in_bytes=f"{2 * GIB}\n", memory__usage_in_bytes=f"{GIB}\n", memory__failcnt="4\n"
    )
    write(group, memory__oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    write(group.parent, memory__limit_in_bytes=NONE_V1, memory__usage_in_bytes="1\n", memory__failcnt="1\n")
    return proc, group


def found(proc):
    return ControlGroup.of(proc=str(proc))


class TestLimits:
    def test_a_limit_above_counts_with_what_the_kernel_can_take_back(self, second):
        group = found(second[0])
        assert (group.version, group.directory) == (2, second[1])
        assert (group.limit, group.used, group.free) == (4 * GIB, 3 * GIB, GIB + GIB // 2)

    def test_of_two_limits_the_one_with_less_room_counts(self, second):
        write(second[1], memory__max=f"{GIB + 5}\n")
        assert (found(second[0]).limit, found(second[0]).free, found(second[0]).used) == (GIB + 5, 5, GIB)

    def test_a_group_of_version_1_tells_its_limit_and_what_is_used(self, first):
        group = found(first[0])
        assert (group.version, group.limit, group.used, group.free) == (1, 2 * GIB, GIB, GIB)

    def test_without_any_limit_there_is_none(self, first):
        write(first[1], memory__limit_in_bytes=NONE_V1)
        assert (found(first[0]).limit, found(first[0]).free) == (None, None)

    def test_a_container_sees_its_own_group_at_the_top(self, tmp_path):
        proc, group = groups(tmp_path, 2, "/docker/abc/pool", mounted="/docker/abc")
        write(group, memory__max="77\n")
        assert found(proc).directory == tmp_path / "cgroup" / "pool"
        assert found(proc).limit == 77

    @pytest.mark.parametrize("path", ["/../../other", "/docker/elsewhere"])
    def test_a_group_that_a_container_cannot_see_is_taken_to_be_its_top(self, tmp_path, path):
        proc, _ = groups(tmp_path, 2, "/docker/abc", mounted="/docker/abc")
        write(tmp_path / "cgroup", memory__max="88\n")
        write(proc / "self", cgroup=f"0::{path}\n")
        assert found(proc).limit == 88

    def test_shares_of_time_and_numbers_of_processes(self, second):
        write(second[1], cpu__max="150000 100000\n", pids__max="max\n")
        write(second[1].parent, cpu__max="max 100000\n", pids__max="512\n")
        assert (found(second[0]).cores, found(second[0]).processes) == (1.5, 512)

    def test_where_there_is_none_there_is_none(self, tmp_path):
        write(tmp_path / "self", cgroup="nonsense\n", mountinfo="")
        assert found(tmp_path) is None

    def test_nonsense_in_its_files_is_no_limit(self, second):
        write(
            second[1].parent, memory__max="lots\n", memory__current="\n", memory__stat="inactive_file many\n"
        )
        group = found(second[0])
        assert (group.limit, group.free, group.used) == (None, None, GIB)


class TestMishaps:
    def test_only_what_happened_since_is_told(self, second):
        events = MemoryEvents(found(second[0]))
        assert events.changes() == {}
        write(second[1], memory__events="max 9\noom 2\noom_kill 3\n")
        assert events.changes() == {"max": 6, "oom": 1, "oom_kill": 2}
        assert events.changes() == {}

    def test_a_group_of_version_1_tells_its_oom_kills(self, first):
        events = MemoryEvents(found(first[0]))
        write(first[1], memory__failcnt="6\n", memory__oom_control="oom_kill_disable 0\noom_kill 3\n")
        assert events.changes() == {"max": 2, "oom_kill": 1}

    def test_where_the_group_has_no_count_the_nodes_is_used(self, tmp_path):
        write(tmp_path, vmstat="pgfault 5\noom_kill 1\n")
        events = MemoryEvents(None, proc=str(tmp_path))
        write(tmp_path, vmstat="pgfault 6\noom_kill 2\n")
        assert events.changes() == {"oom_kill": 1}

    def test_files_that_come_and_go_are_no_mishap(self, second):
        events = MemoryEvents(found(second[0]))
        (second[1] / "memory.events").unlink()
        assert events.changes() == {}

    def test_a_kill_is_worth_saying_and_files_that_fill_the_limit_are_not(self, second):
        events = MemoryEvents(found(second[0]))
        killed = events.event({"oom_kill": 1})
        assert (killed.counts, killed.used, killed.limit) == ({"oom_kill": 1}, 3 * GIB, 4 * GIB)
        assert events.event({"max": 400}) is None
        assert events.event({}) is None
        write(second[1].parent, memory__current=f"{4 * GIB}\n", memory__stat="inactive_file 0\n")
        assert events.event({"max": 400}).counts == {"max": 400}


@pytest.mark.skipif(
    not os.access("/sys/fs/cgroup/memory/cgroup.procs", os.W_OK),
    reason="no groups of version 1 to be made here",
)
def test_a_process_that_the_kernel_kills_for_its_memory_is_counted():
    group = Path(f"/sys/fs/cgroup/memory/diaspora-{os.getpid()}")
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(32 * 2**20))
        if (group / "memory.memsw.limit_in_bytes").exists():
            (group / "memory.memsw.limit_in_bytes").write_text(str(32 * 2**20))
        code = (
            f"import os; open('{group}/cgroup.procs', 'w').write(str(os.getpid()))\n"
            "print('in', flush=True); input(); hog = bytearray(256 << 20)"
        )
        child = subprocess.Popen(
            [sys.executable, "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert child.stdout.readline() == "in\n"
        seen = ControlGroup.of(child.pid)
        assert (seen.directory, seen.limit) == (group, 32 * 2**20)
        events = MemoryEvents(seen)
        child.communicate("\n", timeout=20)
        assert child.returncode == -9
        changes = events.changes()
        assert changes["oom_kill"] == 1
        assert events.event(changes).limit == 32 * 2**20
    finally:
        group.rmdir()
