"""Help for the tests of the relay: hubs in processes of their own, and a link that can be spoiled."""

from __future__ import annotations

import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil

from parsl_diaspora.fabric.file import FileFabric
from parsl_diaspora.fabric.relay import Hub, RelayFabric
from tests.ports import free_port
from tests.waiting import becomes


class HubProcess:
    """A hub as a process, which can be killed, frozen and started again at the same address."""

    def __init__(self, to, keys, *options, port=None, host="127.0.0.1", log=None):
        self._port = port or free_port()
        self._log = log  # a hub that says much would wait for somebody to read its pipe
        self._command = [sys.executable, "-W", "ignore", "-m", "parsl_diaspora.fabric.relay"]
        self._command += ["--to", to, "--keys", str(keys), "--listen", f"{host}:{self._port}", *options]
        self.start()

    def start(self):
        errors = self._log.open("ab") if self._log else subprocess.PIPE
        self.process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
        )
        if self._log:
            errors.close()
        line = self.process.stdout.readline()
        assert line, self._log.read_text() if self._log else self.process.stderr.read().decode()
        self.url = json.loads(line)["url"]

    def signal(self, number):
        self.process.send_signal(number)

    def freeze(self):
        self.signal(signal.SIGSTOP)
        state = psutil.Process(self.process.pid)
        assert becomes(lambda: state.status() == psutil.STATUS_STOPPED)

    def thaw(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        self.signal(signal.SIGKILL)
        self._end()

    def terminate(self):
        """Whether it ended as asked."""
        self.signal(signal.SIGTERM)
        return self._end()

    def _end(self):
        code = self.process.wait(20)
        self._close_pipes()
        return code

    def close(self):
        if self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.kill()
        self._close_pipes()

    def _close_pipes(self):
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


class Proxy:
    """A TCP link to a port that keeps what passes, and can be slowed, cut, and made to swallow or garble."""

    def __init__(self, port):
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.passed = bytearray()
        self.delay = 0.0
        self.swallow = False
        self.garble = 0  # so many pieces more
        self.open = True
        self.cut_after = None
        self._pairs = []
        self._ended = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while not self._ended:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if not self.open:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._to))
            except OSError:
                client.close()
                continue
            self._pairs.append((client, server))
            threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()

    def _pass_on(self, client, server):
        other = {client: server, server: client}
        with client, server, suppress(OSError, ValueError):
            while True:
                for end in select.select([client, server], [], [], 5.0)[0]:
                    data = end.recv(65536)
                    if not data:
                        return
                    self._transfer(data, other[end])

    def _transfer(self, data, to):
        if self.delay:
            time.sleep(self.delay)
        self.passed += data
        if self.swallow:
            return
        if self.garble:
            self.garble -= 1
            data = bytes(len(data))
        if self.cut_after is not None and len(data) > self.cut_after:
            to.sendall(data[: self.cut_after])
            self.cut_after = None
            raise OSError
        to.sendall(data)

    def cut(self):
        """Break all connections."""
        for pair in self._pairs:
            for end in pair:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        self._pairs.clear()

    def close(self):
        self._ended = True
        self._listener.close()
        self.cut()


class Paired:
    """A relay to publish through and the log behind its hub to read from, as one fabric for the contract."""

    def __init__(self, log, keys):
        self.log = log
        self.keys = keys
        self.hub = Hub(log.url, keys)
        self.relay = RelayFabric(self.hub.url)
        self.url = self.node_url = self.hub.url
        self.publisher = self.relay.publisher
        self.consumer = log.consumer

    def stop_hub(self):
        self.hub.close()

    def start_hub(self):
        self.hub = Hub(self.log.url, self.keys, listen=self.url[len("relay:") :].partition("?")[0])

    def close(self):
        pass


def read_log(directory: Path, name="checker"):
    """All events of a log in the order of its segments, and how many stretches were passed over."""
    consumer = FileFabric(f"file:{directory}").consumer(name)
    events = []
    while batch := consumer.poll():
        events.extend(batch)
    return events, consumer.skipped()


class Follower:
    """Reads a log in small bites while it is written."""

    def __init__(self, directory: Path):
        self._consumer = FileFabric(f"file:{directory}").consumer("follower")
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._events = []
        self._thread.start()

    def _follow(self):
        while not self._done.is_set():
            self._events.extend(self._consumer.poll(0.01, limit=20))

    def stop(self):
        """All events in the order in which it met them."""
        self._done.set()
        self._thread.join()
        while batch := self._consumer.poll(limit=20):
            self._events.extend(batch)
        return self._events


def new_seed():
    seed = int(os.environ.get("RELAY_SEED", random.randrange(2**32)))
    print(f"RELAY_SEED={seed}")
    return seed
