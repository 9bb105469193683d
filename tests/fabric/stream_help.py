"""Help for the tests of streams: a server that can be killed, frozen and restarted, and side processes."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from tests.waiting import becomes

PACKAGE = Path(__file__).parents[1] / "services" / "diaspora_stream"
MISUSE = "DIASPORA_STREAM_MISUSE"


class StreamServer:
    """The stand-in's server as a process; restarted at the same address with the same directory."""

    def __init__(self, place: Path, transport="ofi+tcp"):
        self._transport = transport
        self.group_file = place / "group.json"
        self._topics = place / "topics"
        self._port = "0"
        self.start()

    def start(self):
        command = [sys.executable, "-m", "diaspora_stream.server", str(self.group_file), str(self._topics)]
        command += [self._transport, self._port]
        environment = {**os.environ, "PYTHONPATH": str(PACKAGE)}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
        with self.process.stdout as said:
            self._port = said.readline().decode().rpartition(":")[2].strip()
        assert self._port, "the server did not start"

    def url(self, topic, **options):
        more = "".join(f"&{name}={value}" for name, value in options.items())
        return f"mofka:{self.group_file}?topic={topic}{more}"

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)
        state = psutil.Process(self.process.pid)
        assert becomes(lambda: state.status() == psutil.STATUS_STOPPED)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait(20)

    def restart(self):
        self.kill()
        self.start()


def side_processes():
    """The processes of this one that hold the binding."""
    return [
        child
        for child in psutil.Process().children()
        if "parsl_diaspora.fabric.diaspora_stream" in " ".join(_command(child))
    ]


def limit_files(limit):
    """How large files may grow that are written here and in the processes that hold the binding."""
    resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    for side in side_processes():
        with suppress(ProcessLookupError):
            resource.prlimit(side.pid, resource.RLIMIT_FSIZE, limit)


def _command(process):
    try:
        return process.cmdline()
    except psutil.Error:
        return []
