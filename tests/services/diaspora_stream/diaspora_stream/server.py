"""``python -m diaspora_stream.server GROUP_FILE DIRECTORY TRANSPORT [PORT]``: a server as Mofka's.

Topics and partitions of the types `default` and `legacy` are kept in the directory; cursors only in memory.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from pathlib import Path

from diaspora_stream.misuse import abort
from diaspora_stream.rpc import receive, send
from diaspora_stream.store import InMemory, Partition

POOL = 64 * 1024
DESCRIPTORS = 64
LONG_POLL = 0.5


class Server:
    def __init__(self, place: Path) -> None:
        self._place = place
        self._topics: dict[str, dict] = {}
        self._stores: dict[tuple[str, int], Partition | InMemory] = {}
        self._cursors: dict[tuple[str, int, str], int] = {}
        self._lock = threading.RLock()
        self._grown: dict[tuple[str, int], threading.Condition] = {}
        for about in place.glob("*/topic.json"):
            self._add(about.parent.name, json.loads(about.read_text()))

    def _add(self, name, about):
        self._topics[name] = about
        for number in range(about["num_partitions"]):
            on_disk = about["type"] != "memory"
            store = Partition(self._place / name / f"{number}.part") if on_disk else InMemory()
            self._stores[name, number] = store
            self._grown[name, number] = threading.Condition(self._lock)

    def create(self, name, num_partitions, type):
        if name in self._topics:
            return {"error": "Topic already exists"}
        about = {"num_partitions": num_partitions, "type": type}
        if type != "memory":
            (self._place / name).mkdir()
            (self._place / name / "topic.json").write_text(json.dumps(about))
        self._add(name, about)
        return about

    def open(self, name):
        return self._topics.get(name) or {"error": f'Topic "{name}" not found'}

    def append(self, name, partition, records):
        if self._topics[name]["type"] == "default":
            size = sum(len(metadata) for metadata, _ in records)
            if size > POOL:
                abort(f"no bucket with buf_size >= min_size ({size} bytes of metadata)")
        if any(b"POISON" in metadata for metadata, _ in records):
            return {"error": "the validator refuses it"}
        first = self._stores[name, partition].append(records)
        self._grown[name, partition].notify_all()
        return {"first": first}

    def cursor(self, name, partition, consumer, limit):
        if self._topics[name]["type"] == "default" and limit > DESCRIPTORS:
            abort(f"no bucket with buf_size >= min_size ({limit} descriptors)")
        return {"next": self._cursors.get((name, partition, consumer), 0)}

    def fetch(self, name, partition, first, limit):
        deadline = time.monotonic() + LONG_POLL
        while not (found := self._stores[name, partition].read(first, limit)):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            self._grown[name, partition].wait(left)
        return {"records": found}

    def acknowledge(self, name, partition, consumer, event):
        self._cursors[name, partition, consumer] = event + 1
        return {}

    def serve(self, connection):
        with connection:
            while (request := receive(connection)) is not None:
                operation = request.pop("do")
                with self._lock:
                    answer = getattr(self, operation)(**request)
                send(connection, answer)


def main() -> None:
    group_file, place, transport, *port = sys.argv[1:]
    Path(place).mkdir(exist_ok=True)
    server = Server(Path(place))
    with socket.create_server(("127.0.0.1", int(port[0]) if port else 0)) as listener:
        address = "tcp://{}:{}".format(*listener.getsockname())
        new = Path(group_file + ".new")
        new.write_text(
            json.dumps({"transport": transport, "members": [{"address": address, "provider_id": 1}]})
        )
        new.rename(group_file)
        sys.stdout.write(address + "\n")
        sys.stdout.flush()
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=server.serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
