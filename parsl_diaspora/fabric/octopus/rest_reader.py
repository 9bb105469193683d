"""Reading by HTTPS alone: a consumer instance of the web service, and our own positions."""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate  # another class on Python 3.10
from contextlib import suppress
from importlib import import_module
from typing import Any, TypeVar

from parsl_diaspora.errors import FabricUnavailable
from parsl_diaspora.fabric.kafka.clients import Fetched, OnFault
from parsl_diaspora.fabric.kafka.faults import Fault, Faults, cause_of
from parsl_diaspora.fabric.kafka.layout import Part
from parsl_diaspora.fabric.octopus.access import Access
from parsl_diaspora.fabric.octopus.errors import Refusal
from parsl_diaspora.fabric.octopus.rest_worker import Worker
from parsl_diaspora.fabric.octopus.service import Service

T = TypeVar("T")
FETCH_BYTES = 1_000_000
_LONGEST, _SHORTEST = 1.0, 0.05  # seconds that the service waits for records
_PAUSE = 0.5
_END = 2.0
_GONE = 40403
_ABSENT = 404


def open_instance(access: Access, service: Service, group: str) -> Any:
    """A consumer instance in a group; values are those bytes that were written.

    It does not recover by itself: the SDK would go on at the group's last commit, we know where we are.
    """
    client = service.client()
    kind = import_module("diaspora_event_sdk").RESTConsumer
    plain = group.removeprefix(f"{access.url.namespace}.")  # the service puts the namespace before it
    return service.ask(
        lambda: kind(
            plain,
            client=client,
            format="binary",
            auto_offset_reset="earliest",
            auto_commit_enable=False,
            recover=False,
        )
    )


def part_names(access: Access, parts: Iterable[Part]) -> list[Part]:
    """Partitions as the service is told of them."""
    short = access.url.options.get("names") == "short"
    return [(access.short(topic) if short else topic, number) for topic, number in parts]


class RestReceiver:
    """Reads partitions through one consumer instance, which is made again where the service has dropped it.

    Args:
        access: with a login.
        service: of the same.
        group: keeps positions.
        fault: is told what goes wrong.
    """

    repeats_ends = True

    def __init__(self, access: Access, service: Service, group: str, fault: OnFault) -> None:
        self._access = access
        self._service = service
        self._group = group
        self._fault = fault
        self._worker = Worker(f"diaspora-octopus-{uuid.uuid4().hex[:4]}")
        self._instance: Any = None
        self._at: dict[Part, int] = {}  # the thread's own
        self._stale = False  # the instance has another assignment or other positions
        self._kept_at_zero: set[Part] = set()
        self._coming: Future[list[Fetched]] | None = None
        self._kept: deque[Fetched] = deque()
        self._not_before = 0.0

    # --- the consumer's thread ---

    def assign(self, offsets: Mapping[Part, int]) -> None:
        """Read these partitions from these offsets on, beside those that are read already."""
        new = dict(offsets)

        def change() -> None:
            self._at.update(new)
            self._stale = True

        self._worker.ask(change)

    def fetch(self, timeout: float, limit: int) -> list[Fetched]:
        """What is there, waiting up to ``timeout`` seconds for the first."""
        if not self._kept:
            self._await_more(timeout)
        return [self._kept.popleft() for _ in range(min(limit, len(self._kept)))]

    def _await_more(self, timeout: float) -> None:
        if self._coming is None:
            if (left := self._not_before - time.monotonic()) > 0:
                time.sleep(min(left, timeout))
                return
            patience = min(max(timeout, _SHORTEST), _LONGEST)
            self._coming = self._worker.ask(lambda: self._get(patience))
        try:
            found = self._coming.result(timeout)
        except TooLate:
            if self._coming.done():
                self._coming = None
            return
        except FabricUnavailable as error:
            self._fault(error.fault if isinstance(error, Refusal) else cause_of(error))
            self._not_before = time.monotonic() + _PAUSE
            found = []
        self._coming = None
        self._kept.extend(found)

    def pause(self, parts: Iterable[Part]) -> None:
        """All partitions are read together: nothing can be left out."""

    def resume(self, parts: Iterable[Part]) -> None:
        """Nothing was paused."""

    def committed(self, parts: Iterable[Part], timeout: float) -> dict[Part, int]:
        """Positions that the group keeps."""
        wanted = list(parts)
        return self._answer(lambda: self._with_instance(lambda one: self._known(one, wanted)), timeout)

    def commit(self, offsets: Mapping[Part, int], timeout: float) -> None:
        """Let the group keep positions; in time, or an error says that it is not known."""
        wanted = dict(offsets)
        self._answer(lambda: self._keep(wanted), timeout)

    def close(self) -> None:
        """Let the service drop the instance."""
        self._worker.ask(self._let_go)
        self._worker.close(_END)

    def _answer(self, question: Callable[[], T], timeout: float) -> T:
        future = self._worker.ask(question)
        try:
            answer: T = future.result(timeout)
        except TooLate:
            future.cancel()
            cause = Fault("no answer came in time", "Check that the service is healthy.")
            raise Faults(self._access.url.shown, "").error(cause) from None
        return answer

    # --- the worker's thread ---

    def _with_instance(self, use: Callable[[Any], T]) -> T:
        """Use the instance; once more with a new one if the service has dropped it."""
        try:
            return use(self._opened())
        except Refusal as refusal:
            if refusal.code != _GONE:
                raise
        self._instance = None
        return use(self._opened())

    def _opened(self) -> Any:
        if self._instance is None:
            self._instance = open_instance(self._access, self._service, self._group)
            self._stale = bool(self._at)
        if self._stale:
            one = self._instance
            names = part_names(self._access, self._at)
            self._service.ask(lambda: one.assign(names))
            positions = dict(zip(names, self._at.values(), strict=True))
            self._service.ask(lambda: one.seek(positions))
            self._stale = False
        return self._instance

    def _get(self, patience: float) -> list[Fetched]:
        if not self._at:
            return []
        try:
            records = self._with_instance(lambda one: self._service.ask(lambda: _fetch(one, patience)))
        except Refusal as refusal:
            if refusal.status != _ABSENT or refusal.code == _GONE:
                raise
            self._stale = True
            return [Fetched(part, at, None, "topic") for part, at in self._at.items()]
        if not records:
            return [Fetched(part, at, None, "end") for part, at in self._at.items()]
        return self._understood(records)

    def _understood(self, records: list[dict[str, Any]]) -> list[Fetched]:
        found: list[Fetched] = []
        restarted: set[Part] = set()
        for record in records:
            part, offset = (self._access.full(record["topic"]), record["partition"]), record["offset"]
            if part not in self._at or part in restarted:
                continue
            if offset < self._at[part]:  # the topic has been made anew, and the service begins at its first
                restarted.add(part)
                found.append(Fetched(part, offset, None, "range"))
                continue
            self._at[part] = offset + 1
            found.append(Fetched(part, offset, record["value"] or b""))
        return found

    def _known(self, one: Any, parts: list[Part]) -> dict[Part, int]:
        names = part_names(self._access, parts)
        kept = self._service.ask(lambda: one.committed(names)) if names else {}
        return {(self._access.full(topic), number): at for (topic, number), at in kept.items() if at >= 0}

    def _keep(self, offsets: dict[Part, int]) -> None:
        """The service takes the last offset that was processed; a position of 0 has none."""
        last = {part: offset - 1 for part, offset in offsets.items() if offset > 0}
        named = dict(zip(part_names(self._access, last), last.values(), strict=True))
        if named:
            self._with_instance(lambda one: self._service.ask(lambda: one.commit(named)))
        self._keep_zero([part for part in offsets if part not in last and part not in self._kept_at_zero])

    def _keep_zero(self, parts: list[Part]) -> None:
        """Positions of 0 can be kept as those of an instance that has read nothing."""
        if not parts:
            return
        names = part_names(self._access, parts)
        one = open_instance(self._access, self._service, self._group)
        try:
            self._service.ask(lambda: one.assign(names))
            self._service.ask(lambda: one.seek(dict.fromkeys(names, 0)))
            self._service.ask(one.commit)
        finally:
            with suppress(FabricUnavailable):
                self._service.ask(one.close)
        self._kept_at_zero.update(parts)

    def _let_go(self) -> None:
        if (one := self._instance) is not None:
            self._instance = None
            with suppress(FabricUnavailable):
                self._service.ask(one.close)


def _fetch(one: Any, patience: float) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = one.fetch(timeout_ms=int(patience * 1000), max_bytes=FETCH_BYTES)
    return records
