"""Processes around a real broker: forked children, and tests that are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest

from tests.fabric.kafka_help import opened, read, say
from tests.waiting import becomes

pytest.importorskip("confluent_kafka")

_TESTS = """
import sys, time
from pathlib import Path
from tests.services.kafka.broker import Broker
broker = Broker(Path(sys.argv[1]))
print(broker.process.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_child_speaks_with_a_life_of_its_own_and_ends(kafka):
    with opened(kafka.url(partitions=2)) as (fabric, publisher):
        say(publisher, range(10))
        assert publisher.flush(20.0).safe == 10
        reader = fabric.consumer("reader")
        assert len(read(reader, 10)) == 10
        child = os.fork()
        if child == 0:
            say(publisher, range(100, 110))
            code = 0 if publisher.close(20.0).safe == 10 and reader.poll(0.1) == [] else 1
            os._exit(code)
        say(publisher, range(10, 20))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        events = read(reader, 20)
        assert publisher.flush(20.0).safe == 20
        by_boot = {}
        for event in events:
            by_boot.setdefault(event.boot, []).append(event.task)
        assert sorted(by_boot.values()) == [list(range(10, 20)), list(range(100, 110))]


@pytest.mark.slow
def test_broker_does_not_outlive_tests_that_are_killed(kafka, tmp_path):
    del kafka  # only for its reasons to skip
    command = [sys.executable, "-c", _TESTS, str(tmp_path / "broker")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tests:
        broker = psutil.Process(int(tests.stdout.readline()))
        assert broker.is_running()
        tests.send_signal(signal.SIGKILL)
    assert becomes(lambda: not broker.is_running() or broker.status() == psutil.STATUS_ZOMBIE)
