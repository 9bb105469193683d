"""The demonstration, ended before its end."""

from __future__ import annotations

import signal
import subprocess
import sys

import psutil

from parsl_diaspora.executors.alive import is_alive
from tests.waiting import LONG, becomes, until


def pools_below(directory):
    processes = psutil.process_iter(["cmdline"])
    return [each for each in processes if f"--logdir={directory}" in " ".join(each.info["cmdline"] or ())]


def test_sigterm_ends_the_demo_with_all_that_it_has_started(tmp_path):
    command = [
        sys.executable,
        "-m",
        "parsl_diaspora.cli.main",
        "demo",
        "--campaign-only",
        "--dir",
        str(tmp_path),
    ]
    demo = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        known = psutil.Process(demo.pid)
        until(lambda: pools_below(tmp_path))  # which are no children of its own
        started = [*known.children(recursive=True), *pools_below(tmp_path)]
        demo.send_signal(signal.SIGTERM)
        assert demo.wait(LONG) == 130
    finally:
        demo.kill()
        demo.communicate()
    assert becomes(lambda: not [each for each in started if is_alive(each)], 30.0)
