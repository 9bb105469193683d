"""The peak of a try is its own: neither that of the one before nor what is left at its end."""

from __future__ import annotations

import mmap
import subprocess
import sys

import pytest

from parsl_diaspora.monitoring.worker.peak import PeakMemory
from tests.monitoring.worker.stage import run_try

MIB = 2**20


def use(mebibytes):
    """Touch memory, and give it back."""
    with mmap.mmap(-1, mebibytes * MIB) as memory:
        for offset in range(0, len(memory), 4096):
            memory[offset] = 1
    if mebibytes > 500:
        raise MemoryError
    return mebibytes


@pytest.mark.usefixtures("worker")
def test_each_try_has_its_own():
    small, _ = run_try(use, 1)
    large, _ = run_try(use, 400)
    again, _ = run_try(use, 1)
    assert large.memory - small.memory > 250 * MIB
    assert again.memory < large.memory - 250 * MIB


@pytest.mark.usefixtures("worker")
def test_that_of_a_failed_try_is_known_as_well():
    failed, _ = run_try(use, 501)
    assert failed.failure.type == "builtins.MemoryError"
    assert failed.memory > 500 * MIB


@pytest.mark.parametrize("file", ["/no/such/file", "/proc/self/status"])
def test_where_the_kernel_does_not_count_nobody_knows(file):
    peak = PeakMemory(file)
    peak.begin()
    assert peak.end(1.0) is None


def test_a_process_that_a_larger_one_started_is_told_exactly_unless_its_try_was_short():
    code = (
        "from parsl_diaspora.monitoring.worker.peak import PeakMemory\n"
        "peak = PeakMemory(); peak.begin(); print(peak.end(0.0), peak.end(1.0))"
    )
    hold = bytearray(300 * MIB)
    hold[::4096] = bytes(len(hold[::4096]))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    short, long = map(int, done.stdout.split())
    assert long < 100 * MIB
    assert short >= long


@pytest.mark.usefixtures("worker")
def test_what_a_try_computed_is_known_children_included():
    code = "import time\nwhile time.process_time() < 0.3: pass"
    report, _ = run_try(lambda: subprocess.run([sys.executable, "-S", "-c", code], check=True))
    assert 0.3 <= report.cpu < 2.0
    idle, _ = run_try(lambda: None)
    assert idle.cpu is None or idle.cpu < 0.1
