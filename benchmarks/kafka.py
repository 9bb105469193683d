"""What the Kafka fabric costs against bare confluent-kafka with the same settings and the same bytes.

    python benchmarks/kafka.py kafka://127.0.0.1:9092

Both sides run in turn in one process, so that the ratio says more than the rates.
"""

from __future__ import annotations

import argparse
import statistics
import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial

from confluent_kafka import Consumer, Producer, TopicPartition

from parsl_diaspora.events import Event, TaskSubmitted
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.kafka.confluent_settings import common_settings, producer_settings
from parsl_diaspora.fabric.kafka.delivery import LINGER
from parsl_diaspora.fabric.kafka.layout import Record, record_of
from parsl_diaspora.fabric.kafka.url import read_url

COUNT, ROUNDS = 50_000, 5
PATIENCE = 60.0


def sample(count: int) -> list[Event]:
    """So many events of a usual size."""
    return [
        TaskSubmitted(
            run="6f1c0b5e-7a6d-4d59-a1de-0c1f2b3a4d5e", task=number, executor="htex", func="simulate"
        )
        for number in range(count)
    ]


def produce_ours(url: str, events: Sequence[Event]) -> float:
    """Events a second from the first `publish` until all are acknowledged."""
    publisher = open_fabric(url).publisher("benchmark", buffer=len(events) + 1000)
    publisher.publish(TaskSubmitted())
    assert publisher.flush(PATIENCE).safe == 1
    started = time.perf_counter()
    for event in events:
        publisher.publish(event)
    report = publisher.flush(PATIENCE)
    took = time.perf_counter() - started
    assert report.safe == len(events) + 1, report
    publisher.close()
    return len(events) / took


def produce_bare(url: str, events: Sequence[Event], *, encode: bool = False) -> float:
    """The same with a bare producer: ready bytes, or with the encoding, which any program needs."""
    read = read_url(url)
    failed: list[object] = []

    def delivered(error: object, _: object) -> None:
        if error is not None:
            failed.append(error)

    settings = {**producer_settings(read, LINGER), "on_delivery": delivered}
    producer = Producer(settings)
    ready = [] if encode else [_record(event, number, read.prefix) for number, event in enumerate(events)]
    producer.produce(read.topic("tasks"), b"{}")
    assert producer.flush(PATIENCE) == 0
    started = time.perf_counter()
    for number in range(len(events)):
        topic, key, value, headers = _record(events[number], number, read.prefix) if encode else ready[number]
        producer.produce(topic, value, key, headers=headers)
        if number % 1000 == 0:
            producer.poll(0)
    assert producer.flush(PATIENCE) == 0
    took = time.perf_counter() - started
    assert not failed
    return len(events) / took


def consume_ours(url: str, count: int) -> float:
    """Events a second until so many are decoded and in order."""
    consumer = open_fabric(url).consumer(uuid.uuid4().hex)
    started, found = time.perf_counter(), 0
    while found < count and time.perf_counter() - started < PATIENCE:
        found += len(consumer.poll(0.1, 1000))
    took = time.perf_counter() - started
    assert found >= count
    consumer.close()
    return found / took


def consume_bare(url: str, count: int) -> float:
    """Messages a second until a bare consumer has so many, not decoded."""
    read = read_url(url)
    settings = {**common_settings(read), "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest"}
    consumer = Consumer(settings)
    started, found = time.perf_counter(), 0
    consumer.assign([TopicPartition(read.topic("tasks"), 0, 0)])
    while found < count and time.perf_counter() - started < PATIENCE:
        found += len(consumer.consume(1000, 0.05))
    took = time.perf_counter() - started
    assert found >= count
    consumer.close()
    return found / took


def _record(event: Event, number: int, prefix: str) -> Record:
    return record_of(event, f"{prefix}.", f"0123456789abcdef-{number}")


def main() -> None:
    """Print medians and ratios."""
    parser = argparse.ArgumentParser(description="The Kafka fabric against bare confluent-kafka.")
    parser.add_argument("url")
    parser.add_argument("--events", type=int, default=COUNT)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    measured: dict[str, list[tuple[float, float]]] = {}
    for _ in range(arguments.rounds):
        url = f"{arguments.url.rstrip('/')}/{uuid.uuid4().hex}"
        count = arguments.events
        sides: dict[str, Callable[[], float]] = {
            "produce ours": partial(produce_ours, url, sample(count)),
            "produce bare, ready bytes": partial(produce_bare, url, sample(count)),
            "produce bare, with encoding": partial(produce_bare, url, sample(count), encode=True),
            "consume ours": partial(consume_ours, url, count),
            "consume bare, not decoded": partial(consume_bare, url, count),
        }
        for name, work in sides.items():
            began = time.process_time()
            rate = work()
            measured.setdefault(name, []).append((rate, (time.process_time() - began) / count * 1e6))
    print(f"{'':28} {'events/s':>10} {'ours/this':>10} CPU us/event")
    for name, found in measured.items():
        ours = statistics.median(rate for rate, _ in measured[f"{name.partition(' ')[0]} ours"])
        rate, cpu = (statistics.median(column) for column in zip(*found, strict=True))
        print(f"{name:28} {rate:10,.0f} {ours / rate:10.2f} {cpu:10.1f}")


if __name__ == "__main__":
    main()
