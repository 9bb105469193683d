"""What a node is, what its limits and accelerators are."""

from __future__ import annotations

import os
import resource
import sys
import time
from importlib.metadata import version
from types import SimpleNamespace

from parsl_diaspora.monitoring.node.facts import cores, memory, node_facts, packages
from parsl_diaspora.monitoring.node.gpus import Gpus, GpuUse
from parsl_diaspora.monitoring.node.latest import Latest
from parsl_diaspora.monitoring.node.limits import group_limits, limits_of
from tests.monitoring.node.trees import write


def command(tmp_path, text):
    """A vendor's command that writes this and notes each time that it is run."""
    script = tmp_path / "smi"
    script.write_text(f"#!/bin/sh\necho run >> {tmp_path}/runs\n{text}\n")
    script.chmod(0o755)
    return (str(script),)


def runs(tmp_path):
    return (tmp_path / "runs").read_text().count("run")


class TestFacts:
    def test_a_node_is_told_as_it_is(self):
        event = node_facts()
        assert event.kind == "node.seen"
        assert (event.pid, event.cores) == (os.getpid(), len(os.sched_getaffinity(0)))
        assert event.memory == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        assert event.kernel.endswith(os.uname().release)
        assert event.packages["msgspec"] == version("msgspec")
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        assert event.limits["open_files"] == (None if soft == resource.RLIM_INFINITY else soft)

    def test_a_group_lowers_cores_and_memory(self):
        group = SimpleNamespace(cores=0.5, limit=1000, processes=None)
        assert (cores(group), memory(group)) == (1, 1000)
        assert node_facts(group).limits["memory"] == 1000
        assert group_limits(group) == {"memory": 1000, "cores": 0.5}

    def test_where_nothing_can_be_read_the_rest_is_told(self, tmp_path):
        event = node_facts(proc=str(tmp_path))
        assert (event.memory, event.limits) == (0, {})
        assert event.cores >= 1

    def test_packages_are_found_without_opening_anything(self, tmp_path):
        for name in ("Some_Thing-1.2.dist-info", "old-0.1.egg-info", "no_version.dist-info", "x.py"):
            (tmp_path / name).mkdir()
        path = [str(tmp_path), str(tmp_path / "missing"), *sys.path]
        found = packages(path)
        assert (found["some-thing"], found["old"]) == ("1.2", "0.1")
        assert "no-version" not in found

    def test_the_first_on_the_path_is_the_one_that_is_imported(self, tmp_path):
        (tmp_path / "msgspec-99.dist-info").mkdir()
        assert packages([str(tmp_path), *sys.path])["msgspec"] == "99"

    def test_limits_have_names_and_none_for_none(self, tmp_path):
        text = (
            "Limit                     Soft Limit           Hard Limit           Units     \n"
            "Max cpu time              unlimited            unlimited            seconds   \n"
            "Max open files            1024                 4096                 files     \n"
            "Max locked memory         18446744073709551615 18446744073709551615 bytes     \n"
            "Max something new         5                    5                    bytes     \n"
        )
        write(tmp_path / "7", limits=text)
        found = limits_of(7, str(tmp_path))
        assert found == {"cpu_seconds": None, "open_files": 1024, "locked_memory": None}


class TestGpus:
    def test_nvidias_command_is_run_once_a_sample_and_tells_at_the_next(self, tmp_path):
        gpus = Gpus(sys=str(tmp_path), command=command(tmp_path, "printf '50, 1024\\n100, 0\\n'"))
        assert gpus.use() == GpuUse()
        assert gpus.settle(10.0)
        assert gpus.use() == GpuUse(busy=0.75, memory=2**30)
        assert gpus.settle(10.0)
        assert runs(tmp_path) == 2

    def test_a_command_that_hangs_keeps_nobody_waiting_and_is_not_run_again_meanwhile(self, tmp_path):
        gpus = Gpus(sys=str(tmp_path), command=command(tmp_path, "exec sleep 2"))
        begun = time.monotonic()
        assert [gpus.use() for _ in range(50)] == [GpuUse()] * 50
        assert time.monotonic() - begun < 1.5
        assert gpus.settle(10.0)
        assert runs(tmp_path) == 1

    def test_a_command_that_fails_is_as_no_accelerators(self, tmp_path):
        gpus = Gpus(sys=str(tmp_path), command=command(tmp_path, "echo 'no devices, were found' >&2; exit 6"))
        gpus.use()
        gpus.settle(10.0)
        assert gpus.use() == GpuUse()

    def test_amds_are_read_from_the_kernel(self, tmp_path):
        for card, vendor in (("card0", "0x1a03"), ("card1", "0x1002"), ("card2", "0x1002")):
            device = tmp_path / "class/drm" / card / "device"
            write(device, vendor=f"{vendor}\n", gpu_busy_percent="40\n", mem_info_vram_used="1000\n")
        write(tmp_path / "class/drm/card2/device", gpu_busy_percent="60\n", product_name="MI300\n")
        gpus = Gpus(sys=str(tmp_path), command=("/no/such/command",))
        assert gpus.use() == GpuUse(busy=0.5, memory=2000)
        assert gpus.names == ("AMD accelerator", "MI300")

    def test_names_of_nvidias_are_read_without_the_command(self, tmp_path):
        write(tmp_path / "driver/nvidia/gpus/0000:01:00.0", information="Model: \t\t NVIDIA A100\nIRQ: 1\n")
        gpus = Gpus(sys=str(tmp_path), proc=str(tmp_path), command=("/no/such/command",))
        assert gpus.names == ("NVIDIA A100",)


class TestLatest:
    def test_a_reading_that_raises_keeps_the_value_before_and_is_counted(self, caplog):
        answers = iter([1])
        latest = Latest("answers", lambda: next(answers), 0)
        for _ in range(3):
            latest.ask()
            assert latest.settle(5.0)
        assert (latest.value, latest.faults) == (1, 2)
        assert caplog.text.count("answers cannot be read") == 1
