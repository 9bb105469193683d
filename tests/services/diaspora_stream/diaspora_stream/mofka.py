"""The `mofka` driver. Its own threads stand for those of the RPC library, which are not Python's."""

from __future__ import annotations

import atexit
import json
import queue
import threading
import weakref
from collections import deque

from diaspora_stream.common import Event, Exception, as_data, as_metadata, unchanged
from diaspora_stream.misuse import Misuse, Owned, abort, check_timeout
from diaspora_stream.rpc import Connection, Dead

_made_in: list[int] = []
_consumers: weakref.WeakSet = weakref.WeakSet()


@atexit.register
def _at_exit():
    if _consumers:
        abort("a normal exit with a consumer (ABT_ERR_INV_COND)")


class MofkaDriver(Owned):
    def __init__(self, options):
        super().__init__()
        if _made_in and _made_in[0] != self._pid:
            raise Misuse("a driver in a forked child, which hangs")
        _made_in.append(self._pid)
        try:
            with open(options["group_file"]) as file:
                group = json.load(file)
            self._address = group["members"][0]["address"]
        except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
            raise Exception(f"Could not read group file: {error}") from error
        self._transport = group.get("transport", "")
        self._calls = self.connect()
        self.call(do="open", name="", may_fail=True)

    def connect(self):
        return Connection(self._address, self._transport)

    def call(self, *, may_fail=False, **request):
        self.check(request["do"])
        try:
            return self._calls.call(freezing=True, **request)
        except Dead:
            raise
        except Exception:
            if not may_fail:
                raise
            return {}

    def create_topic(self, name, *, options=None, validator=None, partition_selector=None, serializer=None):
        options = options or {}
        kind = options.get("config", {}).get("type", "memory")
        self.call(do="create", name=name, num_partitions=options.get("num_partitions", 1), type=kind)

    def open_topic(self, name):
        return MofkaTopic(self, name, self.call(do="open", name=name)["num_partitions"])

    def topic_exists(self, name):
        try:
            return bool(self.call(do="open", name=name, may_fail=True))
        except Dead:
            return False

    def list_topics(self):
        raise ValueError("paging by 48 keys")


class MofkaTopic(Owned):
    def __init__(self, driver, name, count):
        super().__init__(driver)
        self.driver, self.name = driver, name
        self.partitions = [{"number": number} for number in range(count)]

    def producer(self, name="", *, batch_size=2**64 - 1, max_num_batches=2, options=None):
        self.check("producer")
        return MofkaProducer(self, batch_size, max_num_batches)

    def consumer(self, name, *, batch_size, max_num_batches=2, targets=None, options=None):
        self.check("consumer")
        return MofkaConsumer(self, name, batch_size, max_num_batches, targets)


class MofkaProducer(Owned):
    def __init__(self, topic, batch_size, max_num_batches):
        super().__init__(topic)
        self._topic, self._batch_size, self._most = topic, batch_size, max_num_batches
        self._filling: dict[int, list] = {}
        self._turn = 0
        self._sending: queue.SimpleQueue = queue.SimpleQueue()
        self._on_way = 0
        self._connection = topic.driver.connect()
        threading.Thread(target=self._send, daemon=True).start()

    def push(self, metadata, data=b"", *, partition=None):
        self.check("push")
        text, held = as_metadata(metadata), as_data(data)
        if partition is None:
            partition, self._turn = self._turn, self._turn + 1
        number = partition % len(self._topic.partitions)
        batch = self._filling.setdefault(number, [])
        if not batch and self._on_way >= self._most:
            raise Misuse("a push that waits for a batch, with the interpreter stopped")
        future = FuturePushed(self)
        batch.append((text, held, future))
        if len(batch) >= self._batch_size:
            self._hand_over(number)
        return future

    def flush(self):
        self.check("flush")
        for number in list(self._filling):
            self._hand_over(number)
        return FutureFlushed(self)

    def _hand_over(self, number):
        self._on_way += 1
        self._sending.put((number, self._filling.pop(number)))

    def is_idle(self):
        return not self._on_way

    def _send(self):
        while True:
            number, batch = self._sending.get()
            try:
                records = [(text.encode(), unchanged(held)) for text, held, _ in batch]
                answer = self._connection.call(
                    freezing=False, do="append", name=self._topic.name, partition=number, records=records
                )
            except RuntimeError:
                for _, _, future in batch:
                    future.settle(error=Exception(""))
            except Misuse as misuse:
                for _, _, future in batch:
                    future.settle(error=misuse)
            else:
                for nth, (_, _, future) in enumerate(batch):
                    future.settle(answer["first"] + nth)
            self._on_way -= 1


class FuturePushed(Owned):
    def __init__(self, producer):
        super().__init__(producer)
        self._producer = producer
        self._done = threading.Event()
        self._value = self._error = None

    @property
    def completed(self):
        return self._done.is_set()

    def settle(self, value=None, error=None):
        self._value, self._error = value, error
        self._done.set()

    def wait(self, *, timeout_ms):
        self.check("wait")
        check_timeout(timeout_ms)
        self._producer.flush()
        self._done.wait(timeout_ms / 1000)
        if self._error is not None:
            raise self._error
        return self._value


class FutureFlushed(Owned):
    def __init__(self, producer):
        super().__init__(producer)
        self._producer = producer

    @property
    def completed(self):
        return self._producer.is_idle()

    def wait(self, *, timeout_ms):
        self.check("wait")
        check_timeout(timeout_ms)
        return self._producer.is_idle()  # True even if the batch failed


class MofkaConsumer(Owned):
    def __init__(self, topic, name, batch_size, max_num_batches, targets):
        super().__init__(topic)
        self._is_open = False
        self._topic, self._name, self._batch_size = topic, name, batch_size
        self._most = batch_size * max_num_batches
        self._inbox = Inbox()
        self._acknowledged: dict[int, int] = {}
        numbers = targets if targets is not None else range(len(topic.partitions))
        for number in numbers:
            cursor = topic.driver.call(
                do="cursor", name=topic.name, partition=number, consumer=name, limit=batch_size
            )
            work = _fetch, topic.driver.connect(), self._inbox, topic.name, number, cursor["next"], batch_size
            threading.Thread(target=work[0], args=(*work[1:], self._most, self._event), daemon=True).start()
        self._is_open = True
        _consumers.add(self)

    @property
    def _event(self):
        me = weakref.ref(self)

        def event(number, metadata, data, partition):
            def acknowledge(event_id):
                me()._acknowledge_one(partition, event_id)

            return Event(number, metadata, data, {"number": partition}, acknowledge)

        return event

    def _acknowledge_one(self, partition, event_id):
        if event_id < self._acknowledged.get(partition, -1):
            raise Misuse("an acknowledgement that goes backward")
        self._acknowledged[partition] = event_id
        self._topic.driver.call(
            do="acknowledge", name=self._topic.name, partition=partition, consumer=self._name, event=event_id
        )

    def pull(self):
        self.check("pull")
        return self._inbox.pull(self)

    def __del__(self):
        if self._is_open:
            abort("a consumer was dropped (ABT_ERR_INV_COND)")


class Inbox:
    """Events that came before they were pulled, or the pull that waits for one."""

    def __init__(self):
        self._changed = threading.Condition()
        self._events = deque()
        self._pending = None

    def pull(self, consumer):
        with self._changed:
            if self._pending is not None:
                raise Misuse("a second pull beside a pending one")
            future = FutureEvent(consumer, self._changed)
            if self._events:
                future.value = self._events.popleft()
                self._changed.notify_all()
            else:
                self._pending = weakref.ref(future)
            return future

    def put(self, event, most):
        with self._changed:
            self._changed.wait_for(lambda: len(self._events) < most)
            future = self._pending and self._pending()
            if future is not None:
                future.value, self._pending = event, None
                self._changed.notify_all()
            else:
                self._events.append(event)


class FutureEvent(Owned):
    def __init__(self, consumer, changed):
        super().__init__(consumer)
        self._changed = changed
        self.value, self._given = None, False

    def completed(self):
        self.check("completed")
        return self.value is not None

    def wait(self, *, timeout_ms):
        self.check("wait")
        check_timeout(timeout_ms)
        with self._changed:
            self._changed.wait_for(lambda: self.value is not None, timeout_ms / 1000)
            self._given = self.value is not None
            return self.value

    def __del__(self):
        if not self._given:
            abort("a pull was dropped while it was pending: it takes an event")


def _fetch(connection, inbox, name, number, first, limit, most, make):
    """Pre-fetch events of one partition. A server that dies is silence."""
    while True:
        try:
            answer = connection.call(
                freezing=False, do="fetch", name=name, partition=number, first=first, limit=limit
            )
        except RuntimeError:
            return
        for event_id, metadata, data in answer["records"]:
            inbox.put(make(event_id, metadata, data, number), most)
            first = event_id + 1
