"""Our part in the interchange's process: a thread that reads and marks the interchange's own records.

Stock acts on what it finds in these records: a manager whose last heartbeat is long ago loses its tasks to
others at once, and one that is draining is told to leave when it holds none. So nothing of Parsl's wire
protocol is touched. The thread also ends the process when the program is gone.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec

from parsl_diaspora.executors.agent.connections import Connections, read_address
from parsl_diaspora.executors.agent.control import (
    MAIL,
    Control,
    ManagerSighting,
    NodeSighting,
    Sightings,
    control_file,
    sightings_file,
)
from parsl_diaspora.executors.agent.hearing import Hearing
from parsl_diaspora.executors.agent.parent import Parent
from parsl_diaspora.executors.agent.pending import GuardedQueue, Pending, held_by

logger = logging.getLogger("parsl.executors.high_throughput.interchange")  # whose log file is there

PERIOD, SEE_PERIOD = 0.1, 0.4
QUIET = 1.5  # seconds of silence that are not worth a word; supervisors beat once a second
NODE_LINK = "node-"
ORPHANED = 70  # exit code

Record = dict[str, Any]


class Agent:
    """Does what `control.json` asks, and writes what is seen to `nodes.json`.

    Args:
        directory: of both files.
        program: process id of the submit side.

    Attributes:
        records: the interchange's managers by id, once they are known.
        pending: what is taken back of the tasks that wait.
    """

    def __init__(self, directory: Path, program: int) -> None:
        self.records: dict[bytes, Record] | None = None
        self.pending = Pending()
        self._control = control_file(directory)
        self._sightings = sightings_file(directory)
        self._mail = directory / MAIL
        self._written: Sightings | None = None
        self._program = Parent(program)
        self._hearing = Hearing()
        self._connections = Connections()
        self._addresses: dict[str, object] = {}
        self._faults = 0
        self._draining: frozenset[str] = frozenset()
        self._see_at = 0.0
        self._withdrawing: frozenset[int] = frozenset()
        self._thread = threading.Thread(target=self._run, name="diaspora-agent", daemon=True)

    def start(self) -> None:
        """Begin; the end is the process's."""
        self._thread.start()

    def _run(self) -> None:
        while not self._program.gone:
            try:
                self.look(time.monotonic())
            except Exception:  # the interchange must go on whatever is wrong here
                self._faults += 1
                if self._faults == 1:
                    logger.exception(
                        "parsl_diaspora: a look at the managers failed; further ones are counted"
                    )
            time.sleep(PERIOD)
        os._exit(ORPHANED)  # the main thread may wait in a library

    def look(self, now: float) -> None:
        """One round: obey each time, and see each few times.

        Args:
            now: monotonic seconds.
        """
        records = self.records if self.records is not None else interchange_records()
        if records is None:
            return
        control = self._control.read()
        self._obey(control, records)
        if now >= self._see_at or control.withdrawn != self._withdrawing:
            self._withdrawing = control.withdrawn
            self._see_at = now + SEE_PERIOD
            self.see({name.decode(): record for name, record in list(records.items())}, control, now)

    def _obey(self, control: Control, records: dict[bytes, Record]) -> None:
        for name in control.lost:
            if (record := records.get(name.encode())) is not None:
                record["last_heartbeat"] = 0.0  # again and again: one that lives goes on sending them
        for name in control.draining | self._draining:  # the latter may have been released meanwhile
            if (record := records.get(name.encode())) is not None:
                record["draining"] = name in control.draining
        self._draining = control.draining

    def see(self, managers: dict[str, Record], control: Control, now: float) -> None:
        """Write down what has changed."""
        self._pass_on_mail(managers)
        seen = Sightings(
            interchange=os.getpid(),
            nodes=self._see_nodes(managers, now),
            managers=tuple(_manager(name, each, control) for name, each in _real(managers)),
            withdrawn=frozenset(self.pending.withdraw(control.withdrawn)),
            begun=frozenset(held_by(control.withdrawn, managers.values())),
        )
        if seen != self._written:
            self._sightings.write(seen)
            self._written = seen

    def guard_queue(self) -> None:
        """Let tasks that wait be taken back; called in the main thread before it hands any out."""
        interchange = getattr(sys.modules.get("__main__"), "ic", None)
        queue = getattr(interchange, "pending_task_queue", None)
        if hasattr(queue, "add") and hasattr(queue, "remove") and not isinstance(queue, GuardedQueue):
            interchange.pending_task_queue = self.pending.guard(queue)  # type: ignore[union-attr]

    def _see_nodes(self, managers: dict[str, Record], now: float) -> tuple[NodeSighting, ...]:
        links = {name: record for name, record in managers.items() if name.startswith(NODE_LINK)}
        self._hearing.begin(now)
        silent = {name: self._hearing.look(name, each["last_heartbeat"], now) for name, each in links.items()}
        self._hearing.forget_all_but(links)
        self._look_at_connections(links, silent)
        return tuple(
            NodeSighting(
                link=name,
                manager=str(each.get("supervises", "")),
                block=str(each.get("real_block", "")),
                node=str(each.get("hostname", "")),
                silent=round(silent[name], 1) if silent[name] >= QUIET else 0.0,
                connected=self._connections.is_open(read_address(each.get("local")))
                if silent[name] >= QUIET
                else None,
            )
            for name, each in links.items()
        )

    def _look_at_connections(self, links: dict[str, Record], silent: dict[str, float]) -> None:
        """Only when it matters: a node is silent, or new, or has connected anew."""
        addresses: dict[str, object] = {name: read_address(each.get("local")) for name, each in links.items()}
        new = addresses != self._addresses
        if not new and not any(seconds >= QUIET for seconds in silent.values()):
            return
        self._addresses = addresses
        self._connections.look()
        for each in links.values():
            if (address := read_address(each.get("local"))) is not None:
                self._connections.note(address)

    def _pass_on_mail(self, managers: dict[str, Record]) -> None:
        """Events of nodes that reach no fabric come with a registration, and go into a file."""
        for name, record in managers.items():
            if name.startswith(NODE_LINK) and (events := record.get("events")):
                record["events"] = []
                with self._mail.open("ab") as file:
                    file.writelines(_line(event) for event in events)


def interchange_records() -> dict[bytes, Record] | None:
    """The managers of the interchange that this process runs; None if it is not there, or not yet."""
    interchange = getattr(sys.modules.get("__main__"), "ic", None)
    records = getattr(interchange, "_ready_managers", None)
    return records if isinstance(records, dict) else None


def _real(managers: dict[str, Record]) -> list[tuple[str, Record]]:
    return [(name, record) for name, record in managers.items() if not name.startswith(NODE_LINK)]


def _manager(name: str, record: Record, control: Control) -> ManagerSighting:
    return ManagerSighting(
        manager=name,
        block=str(record.get("block_id", "")),
        node=str(record.get("hostname", "")),
        tasks=tuple(record["tasks"]) if name in control.asked else None,
    )


def _line(event: Any) -> bytes:
    text = event.encode() if isinstance(event, str) else event
    return (text if isinstance(text, bytes) else msgspec.json.encode(text)).replace(b"\n", b" ") + b"\n"
