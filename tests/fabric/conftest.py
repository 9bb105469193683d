"""Help for the tests of fabrics: programs in processes of their own, and a disk that can be full."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from parsl_diaspora.fabric.relay import make_keys
from tests.fabric import stream_help
from tests.fabric.relay_help import HubProcess
from tests.small_disk import small_disk

pytest.register_assert_rewrite("parsl_diaspora.testing.fabric_contract")

_PRELUDE = """
import ctypes, json, os, random, resource, signal, sys, time
from pathlib import Path
from msgspec import structs
from parsl_diaspora.events import EventsLost, TaskSubmitted
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.file import immediate, publisher, segment

url, *arguments = sys.argv[1:]
directory = Path(url.partition(":")[2])


def counts(report):
    return [report.safe, report.waiting, report.lost]


def small_segments(size):
    def open_writer(directory, boot, options):
        return segment.open_writer(directory, boot, structs.replace(options, roll_bytes=size))

    publisher.open_writer = immediate.open_writer = open_writer


def obey_permissions():
    # Root passes all permission checks. Give that up (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH).
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None)
        header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
        assert libc.capget(header, sets) == 0
        for effective_or_permitted in (0, 1):
            sets[effective_or_permitted] &= ~0b110
        assert libc.capset(header, sets) == 0
"""


@pytest.fixture
def run_program(url):
    """Run a program in a process of its own and return what it printed as JSON, if anything."""

    def run(body: str, *arguments: object, expect: int = 0):
        code = _PRELUDE + textwrap.dedent(body)
        command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code, url, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == expect, done.stderr
        return json.loads(done.stdout) if done.stdout else None

    return run


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "events"


@pytest.fixture
def url(directory: Path) -> str:
    return f"file:{directory}"


@pytest.fixture(name="small_disk")
def _small_disk(tmp_path: Path):
    with small_disk(tmp_path / "disk", "256k") as place:
        yield place


@pytest.fixture(scope="session")
def misuse_log(tmp_path_factory):
    """Where the stand-in of the stream API writes what was wrong with its use."""
    return tmp_path_factory.mktemp("stand-in") / "misuse"


@pytest.fixture
def stand_in(misuse_log, monkeypatch):
    """The stand-in of the stream API in place of the real one; the test fails if it was misused."""
    misuse_log.write_text("")
    monkeypatch.syspath_prepend(stream_help.PACKAGE)
    path = os.pathsep.join(filter(None, [str(stream_help.PACKAGE), os.environ.get("PYTHONPATH")]))
    monkeypatch.setenv("PYTHONPATH", path)  # for processes that the test starts
    monkeypatch.setenv(stream_help.MISUSE, str(misuse_log))
    monkeypatch.setenv("NA_OFI_OP_RETRY_TIMEOUT", "300")
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "diaspora_stream"]:
        del sys.modules[name]
    assert misuse_log.read_text() == ""


@pytest.fixture(scope="session")
def session_directory(tmp_path_factory):
    """One directory of the file driver for all tests that use a topic of their own."""
    return tmp_path_factory.mktemp("stream")


@pytest.fixture(scope="session")
def session_server(tmp_path_factory):
    """One server for all tests that use a topic of their own."""
    server = stream_help.StreamServer(tmp_path_factory.mktemp("mofka"))
    yield server
    server.kill()


@pytest.fixture
def stream_server(session_server, stand_in):
    """The server, alive."""
    if session_server.process.poll() is not None:
        session_server.start()
    return session_server


@pytest.fixture
def keys(tmp_path):
    return make_keys(tmp_path / "keys").parent


@pytest.fixture
def hub(url, keys):
    hub = HubProcess(url, keys)
    yield hub
    hub.close()
