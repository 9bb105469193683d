"""Each command gets its answer, or an error in time; whatever became of the commands before it."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import pytest
from parsl.executors.high_throughput.errors import CommandClientTimeoutError
from parsl.executors.high_throughput.zmq_pipes import CommandClient

from parsl_diaspora.clock import SystemClock
from parsl_diaspora.executors.keeping.commands import NO_ANSWER, Commands

PORTS = (26_000 + os.getpid() % 40 * 50, 26_050 + os.getpid() % 40 * 50)
ANSWERER = """
import sys, zmq
socket = zmq.Context().socket(zmq.REP)
socket.connect(f"tcp://127.0.0.1:{sys.argv[1]}")
while True:
    socket.send_pyobj(("answer to", socket.recv_pyobj()))
"""


class Interchange:
    """A process that answers commands."""

    def __init__(self, patience=0.5):
        self.commands = Commands(self.client(), self.is_alive, SystemClock(), patience=patience)
        self.start()

    @staticmethod
    def client():
        return CommandClient("127.0.0.1", PORTS)

    def start(self):
        self.process = subprocess.Popen([sys.executable, "-c", ANSWERER, str(self.commands.port)])

    def is_alive(self):
        return self.process.poll() is None

    def freeze(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def end(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def patience():
    return 0.5


@pytest.fixture
def interchange(patience):
    made = Interchange(patience)
    assert made.commands.run("first", timeout_s=30) == ("answer to", "first")
    yield made
    made.end()
    made.commands.close()


def seconds_of(function):
    began = time.monotonic()
    function()
    return time.monotonic() - began


def refused(interchange):
    with pytest.raises(CommandClientTimeoutError) as raised:
        interchange.commands.run("anything")
    return str(raised.value)


def test_a_command_gets_its_answer(interchange):
    before = interchange.commands.last_answer
    assert interchange.commands.run(["HOLD", "m1"], max_retries=1) == ("answer to", ["HOLD", "m1"])
    assert interchange.commands.last_answer > before


def test_a_frozen_interchange_is_waited_for_once_and_then_every_command_fails_at_once(interchange):
    interchange.freeze()
    assert 0.4 < seconds_of(lambda: refused(interchange)) < 5
    assert not interchange.commands.answers
    assert seconds_of(lambda: [refused(interchange) for _ in range(20)]) < 5  # waited for, it would be 10


def test_after_a_time_out_the_next_answer_is_that_of_the_next_command(interchange):
    interchange.freeze()
    for _ in range(3):
        assert not interchange.commands.ask(0.2)
    interchange.thaw()
    assert interchange.commands.ask(10)
    assert interchange.commands.run("last") == ("answer to", "last")
    assert interchange.commands.run("very last") == ("answer to", "very last")


def test_a_wait_for_an_interchange_that_dies_ends_at_once(interchange):
    interchange.freeze()
    threading.Timer(0.3, interchange.process.kill).start()
    with pytest.raises(CommandClientTimeoutError, match="gone"):
        interchange.commands.run("anything", timeout_s=60)


@pytest.mark.parametrize("patience", [60.0])
def test_a_dead_interchange_is_not_waited_for(interchange):
    interchange.end()
    assert seconds_of(lambda: refused(interchange)) < 30


def test_many_threads_at_a_frozen_interchange_are_all_told_in_time(interchange):
    interchange.freeze()
    threads = [threading.Thread(target=refused, args=(interchange,)) for _ in range(8)]

    def run_all():
        for each in threads:
            each.start()
        for each in threads:
            each.join()

    assert seconds_of(run_all) < 5


def test_with_another_client_a_new_interchange_is_asked(interchange):
    interchange.freeze()
    assert not interchange.commands.ask(0.1)
    interchange.end()
    old = interchange.commands.port
    interchange.commands.replace(interchange.client())
    interchange.start()
    assert interchange.commands.port != old
    assert interchange.commands.run("new", timeout_s=30) == ("answer to", "new")


def test_who_waits_when_the_channel_is_closed_is_told(interchange):
    interchange.freeze()
    threading.Timer(0.3, interchange.commands.close).start()
    with pytest.raises(NO_ANSWER):
        interchange.commands.run("anything", timeout_s=60)
    with pytest.raises(NO_ANSWER, match="closed"):
        interchange.commands.run("anything", timeout_s=60)


def test_a_client_without_the_seam_is_used_as_it_is():
    class Plain:
        port = 7

        def run(self, message, max_retries, timeout_s):
            return message, max_retries, timeout_s

        def close(self):
            pass

    commands = Commands(Plain(), lambda: True, SystemClock())
    assert (commands.port, commands.can_time_out) == (7, False)
    assert commands.run("x", timeout_s=2) == ("x", 3, 2)


def test_the_error_is_parsls_own_and_travels():
    error = CommandClientTimeoutError("The interchange is gone")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
