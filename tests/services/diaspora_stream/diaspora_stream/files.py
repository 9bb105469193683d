"""The `files` driver: safe for threads and forks, always read from the beginning, no cursors."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from diaspora_stream.common import Event, Exception, as_data, as_metadata, unchanged
from diaspora_stream.misuse import Misuse, check_timeout, note
from diaspora_stream.store import Partition


class FilesDriver:
    def __init__(self, options):
        self._root = Path(options["root_path"])
        if not self._root.is_dir():
            raise Exception(f"{self._root} is no directory")

    def create_topic(self, name, *, options=None, validator=None, partition_selector=None, serializer=None):
        if (self._root / name).exists():
            raise Exception("Topic already exists")
        made = Path(tempfile.mkdtemp(prefix=".new", dir=self._root))
        about = {"num_partitions": (options or {}).get("num_partitions", 1)}
        try:
            (made / "topic.json").write_text(json.dumps(about))
            made.rename(self._root / name)  # another process sees all of it, or nothing
        except OSError as error:
            shutil.rmtree(made)
            there = (self._root / name).exists()
            why = "Topic already exists" if there else f"Could not create topic: {error.strerror}"
            raise Exception(why) from error

    def open_topic(self, name):
        try:
            about = json.loads((self._root / name / "topic.json").read_text())
        except FileNotFoundError:
            raise Exception(f'Topic "{name}" not found') from None
        return FilesTopic(name, self._root / name, about["num_partitions"])

    def topic_exists(self, name):
        return (self._root / name / "topic.json").exists()

    def list_topics(self):
        return {path.parent.name: {} for path in self._root.glob("*/topic.json")}


class FilesTopic:
    def __init__(self, name, place, count):
        self.name = name
        self.partitions = [{} for _ in range(count)]
        self.stores = [Partition(place / f"{number}.part") for number in range(count)]

    def producer(self, name="", *, batch_size=2**64 - 1, max_num_batches=2, options=None):
        return FilesProducer(self, batch_size)

    def consumer(self, name, *, batch_size=64, max_num_batches=2, targets=None, options=None):
        return FilesConsumer(self)


class FilesProducer:
    def __init__(self, topic, batch_size):
        self._topic, self._batch_size = topic, batch_size
        self._batch, self._turn = [], 0

    def push(self, metadata, data=b"", *, partition=None):
        text, held = as_metadata(metadata), as_data(data)
        if partition is None:
            partition, self._turn = self._turn, self._turn + 1
        future = FuturePushed(self)
        self._batch.append((partition % len(self._topic.stores), text, held, future))
        if len(self._batch) >= self._batch_size:
            self.write()
        return future

    def flush(self):
        self.write()
        return FutureFlushed()

    def write(self):
        batch, self._batch = self._batch, []
        for number in {entry[0] for entry in batch}:
            own = [entry for entry in batch if entry[0] == number]
            try:
                records = [(text.encode(), unchanged(held)) for _, text, held, _ in own]
                first = self._topic.stores[number].append(records)
            except OSError as error:
                for entry in own:
                    entry[3].error = Exception(f"Could not write: {error.strerror or error}")
            else:
                for nth, entry in enumerate(own):
                    entry[3].value = first + nth


class FuturePushed:
    def __init__(self, producer):
        self._producer = producer
        self.value = self.error = None

    @property
    def completed(self):
        return self.value is not None or self.error is not None

    def wait(self, *, timeout_ms):
        check_timeout(timeout_ms)
        if not self.completed:
            self._producer.write()
        if self.error:
            raise self.error
        return self.value


class FutureFlushed:
    completed = True

    def wait(self, *, timeout_ms):
        check_timeout(timeout_ms)
        return True  # whatever became of the batch


class FilesConsumer:
    def __init__(self, topic):
        self._topic = topic
        self._next = [0] * len(topic.stores)
        self._ready = []
        self._pending = None

    def pull(self):
        if self._pending is not None and not self._pending.done:
            raise Misuse("a second pull beside a pending one")
        self._pending = FutureEvent(self.take)
        return self._pending

    def take(self):
        if not self._ready:
            for number, store in enumerate(self._topic.stores):
                found = store.read(self._next[number], 64)
                self._next[number] += len(found)
                self._ready += found
            self._ready.reverse()
        return Event(*self._ready.pop(), {}) if self._ready else None


class FutureEvent:
    """With nothing to be had it is done at once, with None."""

    def __init__(self, take):
        self._take = take
        self.done, self._value = False, None

    def completed(self):
        return self.done

    def wait(self, *, timeout_ms):
        check_timeout(timeout_ms)
        if not self.done:
            self.done, self._value = True, self._take()
        return self._value

    def __del__(self):
        if not self.done:
            note("a pull was dropped before it was waited for")
