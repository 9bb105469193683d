"""Sending by HTTPS alone, in batches, in order."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from parsl_diaspora.errors import FabricUnavailable
from parsl_diaspora.fabric.kafka.clients import OnFailure, OnFault
from parsl_diaspora.fabric.kafka.faults import Fault, Verdict, cause_of
from parsl_diaspora.fabric.kafka.layout import Record
from parsl_diaspora.fabric.kafka.url import TOPICS, KafkaUrl
from parsl_diaspora.fabric.octopus.access import Access
from parsl_diaspora.fabric.octopus.errors import Refusal
from parsl_diaspora.fabric.octopus.rest_cluster import RestCluster
from parsl_diaspora.fabric.octopus.rest_reader import RestReceiver
from parsl_diaspora.fabric.octopus.service import BATCH, Service

logger = logging.getLogger(__name__)

_HELD = 2000  # records
_BATCH_BYTES = 500_000
_SHORT = 0.05
_PAUSE_FIRST, _PAUSE_LONGEST = 0.2, 5.0
_ABSENT = 404
_TOO_MUCH = frozenset({400, 413, 422})  # a request with these statuses will never be taken as it is


class RestClient:
    """Makes senders, receivers and clusters that speak HTTPS with the web service.

    Args:
        access: with a login.
        service: of the same.
    """

    def __init__(self, access: Access, service: Service) -> None:
        self._access = access
        self._service = service

    def check(self, url: KafkaUrl) -> None:
        """Nothing to look at: options for librdkafka have no meaning here."""

    def sender(self, url: KafkaUrl, failed: OnFailure, fault: OnFault, *, linger: float) -> RestSender:
        """A sender of batches."""
        del linger
        return RestSender(self._access, self._service, url, failed, fault)

    def receiver(self, url: KafkaUrl, group: str, fault: OnFault) -> RestReceiver:
        """A consumer instance of the web service."""
        return RestReceiver(self._access, self._service, group, fault)

    def cluster(self, url: KafkaUrl) -> RestCluster:
        """What the web service tells of topics."""
        return RestCluster(self._access, self._service, url)


class RestSender:
    """Sends the oldest records of one topic at a time: nothing overtakes what has to be sent again.

    What became of a request without an answer is not known, so it is sent again: delivery is at least once.
    """

    direct = False

    def __init__(
        self, access: Access, service: Service, url: KafkaUrl, failed: OnFailure, fault: OnFault
    ) -> None:
        self._access = access
        self._service = service
        self._url = url
        self._failed = failed
        self._fault = fault
        self._queue: deque[Record] = deque()
        self._most = BATCH
        self._pause = _PAUSE_FIRST
        self._not_before = 0.0
        self._renew = False  # topics are to be looked for

    def warm(self, topics: Sequence[str], timeout: float) -> None:
        """Nothing to learn."""

    def hand(self, record: Record) -> Verdict:
        """Take a record without waiting."""
        if len(self._queue) >= _HELD:
            return "full"
        self._queue.append(record)
        return ""

    def poll(self, timeout: float) -> None:
        """Send one batch, if there is one and it is time."""
        if not self._queue:
            return
        if (left := self._not_before - time.monotonic()) > 0:
            time.sleep(min(left, max(timeout, _SHORT)))
            return
        batch = self._batch()
        try:
            if self._renew:
                self._ensure()
            failures = self._send(batch)
        except FabricUnavailable as error:
            self._refused(batch, error)
            return
        self._settle(batch, failures)

    def outstanding(self) -> int:
        """Records in the queue."""
        return len(self._queue)

    def purge(self) -> None:
        """Let all that waits fail."""
        while self._queue:
            self._failed(self._queue.popleft(), "again", "it was given up")

    def close(self) -> None:
        """Nothing is held open."""

    def _batch(self) -> list[Record]:
        """The oldest records, as far as they are of one topic and not too many."""
        batch: list[Record] = []
        size = 0
        for record in self._queue:
            size += len(record.value)
            if batch and (record.topic != batch[0].topic or len(batch) >= self._most or size > _BATCH_BYTES):
                break
            batch.append(record)
        return batch

    def _send(self, batch: list[Record]) -> dict[int, tuple[int, str]]:
        """Failures by their place in the batch: number of the error, words."""
        client, url = self._service.client(), self._access.url
        topic = self._access.short(batch[0].topic)
        entries = [_entry(record) for record in batch]
        answer = self._service.ask(lambda: client.produce_batch(topic, entries, namespace=url.namespace))
        return {
            int(failure["id"]): (int(failure.get("error_code", 0)), str(failure.get("message", ""))[:200])
            for failure in answer.get("failures", [])
        }

    def _settle(self, batch: list[Record], failures: dict[int, tuple[int, str]]) -> None:
        for _ in batch:
            self._queue.popleft()
        again: list[Record] = []
        for place, (code, why) in sorted(failures.items()):
            if _status(code) in _TOO_MUCH:
                self._failed(batch[place], "lost", f"the service answered {code}: {why}")
            else:
                again.append(batch[place])
                self._renew = self._renew or _status(code) == _ABSENT
        self._queue.extendleft(reversed(again))
        if again:
            code, why = next(found for found in failures.values() if _status(found[0]) not in _TOO_MUCH)
            cause = f"the service did not take {len(again)} events ({code}: {why}) and gets them again"
            self._wait(Fault(cause, lasting=False))
        else:
            self._pause, self._most = _PAUSE_FIRST, min(BATCH, 2 * self._most)

    def _refused(self, batch: list[Record], error: FabricUnavailable) -> None:
        status = error.status if isinstance(error, Refusal) else 0
        if status in _TOO_MUCH and len(batch) > 1:
            self._most = len(batch) // 2
        elif status in _TOO_MUCH:
            self._failed(self._queue.popleft(), "lost", f"the service answered {status}")
        else:
            self._renew = self._renew or status == _ABSENT
            self._wait(error.fault if isinstance(error, Refusal) else cause_of(error))

    def _ensure(self) -> None:
        cluster = RestCluster(self._access, self._service, self._url)
        try:
            cluster.ensure([self._url.topic(name) for name in TOPICS], 0.0)
        finally:
            cluster.close()
        self._renew = False

    def _wait(self, fault: Fault) -> None:
        self._fault(fault)
        self._not_before = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _PAUSE_LONGEST)


def _status(code: int) -> int:
    """HTTP's status in the service's number of an error: its first three digits."""
    return int(str(code)[:3])


def _entry(record: Record) -> dict[str, Any]:
    return {
        "value": record.value.decode(),
        "value_type": "STRING",
        "key": record.key.decode(),
        "headers": record.headers,
    }
