"""The relay as a candidate: a hub in its own process, over loopback, encrypted, into the embedded log."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from _candidates import Writer
from _events import BATCH, encoded
from _fabric_ours import FileLog

from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.protocols import Consumer, Publisher
from parsl_diaspora.fabric.relay import make_keys
from parsl_diaspora.fabric.relay.address import read_url
from parsl_diaspora.fabric.relay.keys import load_client_keys
from parsl_diaspora.fabric.relay.link import Link
from parsl_diaspora.fabric.relay.wake import Wake
from parsl_diaspora.fabric.relay.window import Window
from parsl_diaspora.fabric.relay.wire import Ack, Batch, pack, unpack_at_client


class Relay:
    """A hub that is started with the first publisher; what it writes is read as the log that it is."""

    def __init__(self, place: str) -> None:
        self.place = place
        self._log = FileLog(f"{place}/events")
        self._process: subprocess.Popen[bytes] | None = None
        self._url = ""

    def start(self) -> str:
        """The URL of the hub."""
        if self._process is None:
            keys = make_keys(Path(self.place) / "keys").parent
            command = [sys.executable, "-m", "parsl_diaspora.fabric.relay"]
            command += ["--to", f"file:{self._log.place}", "--keys", str(keys)]
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
            assert self._process.stdout is not None
            self._url = json.loads(self._process.stdout.readline())["url"]
        return self._url

    @property
    def pid(self) -> int:
        """The hub's process id."""
        assert self._process is not None
        return self._process.pid

    def writer(self, *, sync: bool = False) -> Writer:
        """A relay takes no batches from outside: see `ready_frames`."""
        raise NotImplementedError

    def publisher(self, buffer: int = 50_000, *, plain: bool = False) -> Publisher:
        """The library's publisher for a hub, whose log is as by default."""
        del plain
        return open_fabric(self.start()).publisher("benchmark", buffer=buffer)

    def reader(self) -> Consumer:
        """The library's consumer of the log that the hub writes."""
        return self._log.reader()

    def close(self) -> None:
        """End the hub."""
        if self._process is not None:
            self._process.terminate()
            self._process.communicate(timeout=30)


def ready_frames(url: str, boot: str, events: int) -> float:
    """Acknowledged events a second of a client that has its events encoded, in batches of 100."""
    address, key = read_url(url)
    with closing(Wake()) as wake, closing(Link(address.endpoint, load_client_keys(key), wake.fd)) as link:
        while not link.is_up:
            link.wait(1.0)
            list(link.changes())
        started = time.perf_counter()
        _send_all(link, boot, events)
        return events / (time.perf_counter() - started)


def _send_all(link: Link, boot: str, events: int) -> None:
    window, batch_of_events = Window(), encoded()
    packed = acknowledged = 0
    while acknowledged < events:
        while not window.is_full and packed < events:
            window.add(batch_of_events, packed + 1)
            packed += BATCH
        base = window.base
        while (batch := window.next_to_send()) is not None:
            if not link.send(pack(Batch(boot, batch.number, base)), batch.frame):
                window.take_back()
                break
        link.wait(1.0)
        for message in link.messages():
            said = unpack_at_client(message)
            if isinstance(said, Ack):
                acknowledged += sum(batch.count for batch in window.acknowledge(said.number))
